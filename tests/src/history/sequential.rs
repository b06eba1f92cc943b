//! Random histories, one call after another, each answer compared with two models.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use session_core::{ManualClock, Record, SessionId, SharedStore, Subject};

use super::answer::Answer;
use super::call::{Call, now};
use super::counts::{Counts, EARLIER_TRY, STALE_TICKET};
use super::functions::Functions;
use super::generate::Generator;
use super::oracle::Oracle;
use super::reading::Reading;
use super::world::{Oversized, World};
use crate::rng::Rng;

/// The store under test, as a history meets it.
#[derive(Clone, Debug)]
pub struct UnderTest {
    /// Handles to the same sessions: calls are spread over them.
    pub handles: Vec<SharedStore>,
    /// The clock that the store goes by, if it stands still unless it is moved.
    pub clock: Option<ManualClock>,
    /// Whether a load that takes a copy may be answered with an earlier state of the session.
    pub reads_copies: bool,
}

/// How much a run checks.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// Histories.
    pub histories: u64,
    /// Calls of each history.
    pub calls: usize,
}

/// A store that did what the contract does not allow.
#[derive(Debug)]
pub struct Violation {
    /// The seed of the history.
    pub seed: u64,
    steps: Vec<(Call, Answer<Record>)>,
    expected: String,
    by: &'static str,
}

/// Checks random histories. The seed of each follows from `seed`, the first being `seed` itself.
///
/// # Errors
///
/// The first [`Violation`].
pub async fn check(under: &UnderTest, amount: Amount, seed: u64) -> Result<Counts, Box<Violation>> {
    let mut counts = Counts::default();
    let mut seeds = Rng::new(seed);
    let mut seed = seed;
    let bounds = under.handles[0].facts().bounds;
    let oversized = Oversized::of(&bounds);
    for _ in 0..amount.histories {
        let history = History::new(under, seed, oversized.clone());
        history.run(amount.calls, &mut counts).await?;
        counts.histories += 1;
        seed = seeds.next();
    }
    Ok(counts)
}

/// Whether a store's bounds are within what a run tries to go over.
#[must_use]
pub fn tries_bounds(under: &UnderTest) -> bool {
    Oversized::of(&under.handles[0].facts().bounds).is_some()
}

struct History<'a> {
    under: &'a UnderTest,
    seed: u64,
    generator: Generator,
    oracle: Oracle,
    functions: Functions,
    reading: Reading,
    steps: Vec<(Call, Answer<Record>)>,
}

impl<'a> History<'a> {
    fn new(under: &'a UnderTest, seed: u64, oversized: Option<Oversized>) -> Self {
        let facts = under.handles[0].facts();
        let clock = under.clock.as_ref();
        let start = now(clock).unwrap_or_default();
        let world = World::new(seed, 3, facts, oversized, clock.is_some());
        Self {
            under,
            seed,
            generator: Generator::new(world, clock.is_some()),
            oracle: Oracle::new(facts, start),
            functions: Functions::new(facts, start),
            reading: Reading::of(clock),
            steps: Vec::new(),
        }
    }

    async fn run(mut self, calls: usize, counts: &mut Counts) -> Result<(), Box<Violation>> {
        for _ in 0..calls {
            let call = self.generator.call(&self.oracle);
            if let Call::SignIn { ticket, .. } = &call {
                if self.oracle.is_stale(ticket) {
                    counts.detail(STALE_TICKET);
                } else if self.oracle.is_overtaken(ticket) {
                    counts.detail(EARLIER_TRY);
                }
            }
            let answer = self.ask(&call).await;
            counts.answer(&call, &answer);
            if call.id().is_some_and(|id| self.is_recent(id)) {
                counts.overlapping += 1;
            }
            self.steps.push((call.clone(), answer.clone()));
            self.compare(&call, &answer)?;
            self.generator.hear(&call, &answer);
        }
        self.tidy_up().await;
        Ok(())
    }

    async fn ask(&mut self, call: &Call) -> Answer<Record> {
        let at = self.generator.world.rng.below(self.under.handles.len());
        call.perform(&*self.under.handles[at], self.under.clock.as_ref())
            .await
    }

    fn is_recent(&self, id: SessionId) -> bool {
        let mut recent = self.steps.iter().rev().take(4);
        recent.any(|(call, _)| call.id() == Some(id))
    }

    fn compare(&mut self, call: &Call, answer: &Answer<Record>) -> Result<(), Box<Violation>> {
        if let (Call::Load { id, .. }, Answer::Live(record)) = (call, answer)
            && self.under.reads_copies
            && self.may_be_a_copy(call)
            && self.generator.heard(*id, record)
        {
            return Ok(());
        }
        let plain = answer.plain();
        if let Err(says) = self.reading.explain(&mut self.oracle, call, answer, &plain) {
            return Err(self.violation(format!("{says:?}"), "the naive oracle"));
        }
        let agreed = self
            .reading
            .agree(&mut self.functions, &self.oracle, call, answer);
        agreed.map_err(|says| {
            self.violation(
                format!("{:?}", says.plain()),
                "session-core's own functions",
            )
        })
    }

    fn may_be_a_copy(&self, call: &Call) -> bool {
        matches!(
            call,
            Call::Load {
                freshness: session_core::Freshness::Any,
                ..
            }
        )
    }

    fn violation(&self, expected: String, by: &'static str) -> Box<Violation> {
        Box::new(Violation {
            seed: self.seed,
            steps: self.steps.clone(),
            expected,
            by,
        })
    }

    /// Leaves as little as can be on a server that others use. Nothing is asserted of it.
    async fn tidy_up(&mut self) {
        for id in self.oracle.live_ids() {
            self.ask(&Call::Delete { id }).await;
        }
    }
}

/// The steps that have to do with the last one.
fn related(steps: &[(Call, Answer<Record>)]) -> Vec<&(Call, Answer<Record>)> {
    let Some((last, _)) = steps.last() else {
        return Vec::new();
    };
    let owners: BTreeMap<SessionId, Subject> = steps
        .iter()
        .filter_map(|(call, _)| match call {
            Call::SignIn { ticket, id, .. } => Some((*id, ticket.subject().clone())),
            _ => None,
        })
        .collect();
    let owner = last.id().and_then(|id| owners.get(&id));
    let subjects: BTreeSet<&Subject> = last.subject().into_iter().chain(owner).collect();
    let concerns = |call: &Call| {
        let owner = call.id().and_then(|id| owners.get(&id));
        matches!(call, Call::Advance(_))
            || call.id().is_some() && call.id() == last.id()
            || call
                .subject()
                .or(owner)
                .is_some_and(|subject| subjects.contains(subject))
    };
    steps.iter().filter(|(call, _)| concerns(call)).collect()
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let related = related(&self.steps);
        writeln!(
            f,
            "the history of seed {} breaks the contract at step {} ({} unrelated steps left out):",
            self.seed,
            self.steps.len(),
            self.steps.len() - related.len()
        )?;
        for (call, answer) in &related {
            writeln!(f, "  {call:?}\n      -> {}", answer.outcome(call))?;
        }
        let answer = self.steps.last().map(|(_, answer)| answer.plain());
        writeln!(f, "answered: {answer:?}")?;
        writeln!(f, "expected: {} (by {})", self.expected, self.by)
    }
}

impl std::error::Error for Violation {}
