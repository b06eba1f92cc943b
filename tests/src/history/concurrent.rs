//! Concurrent histories: calls of several tasks that overlap, judged by the search for an order.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use session_core::{ClockSource, Freshness, LimitPolicy, ManualClock, SessionId, SharedStore};

use super::answer::Answer;
use super::call::{Call, Plan, now};
use super::counts::Counts;
use super::linear::{self, Event};
use super::oracle::Oracle;
use super::races;
use super::reading::Reading;
use super::recorder::Recorder;
use super::schedule::{Yielding, interleaved, yield_once};
use super::sequential::UnderTest;
use super::stage::{IDLE, Stage};
use super::world::World;
use crate::rng::Rng;

/// How the tasks of a history run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// On one thread, in an order that follows from the seed.
    Interleaved,
    /// On the threads of the runtime.
    Parallel,
}

/// Answers that no order of the calls explains.
#[derive(Debug)]
pub struct NotLinearizable {
    /// The seed of the history.
    pub seed: u64,
    events: Vec<Event>,
    longest: Vec<usize>,
}

/// Checks concurrent histories. The seed of each follows from `seed`, the first being `seed` itself.
///
/// # Errors
///
/// The first that is [`NotLinearizable`].
pub async fn check(
    under: &UnderTest,
    histories: u64,
    schedule: Schedule,
    seed: u64,
) -> Result<Counts, Box<NotLinearizable>> {
    let mut counts = Counts::default();
    let mut seeds = Rng::new(seed);
    let mut seed = seed;
    for _ in 0..histories {
        let (start, events) = history(under, schedule, seed).await;
        judge(&start, under.clock.as_ref(), seed, &events)?;
        races::count(&events, &mut counts);
        counts.histories += 1;
        seed = seeds.next();
    }
    Ok(counts)
}

/// Whether an order of the calls explains their answers; if so, which.
pub(super) fn judge(
    start: &Oracle,
    clock: Option<&ManualClock>,
    seed: u64,
    events: &[Event],
) -> Result<Vec<usize>, Box<NotLinearizable>> {
    linear::order(start, &Reading::of(clock), events).map_err(|longest| {
        Box::new(NotLinearizable {
            seed,
            events: events.to_vec(),
            longest,
        })
    })
}

/// Lets one history happen.
async fn history(under: &UnderTest, schedule: Schedule, seed: u64) -> (Oracle, Vec<Event>) {
    let (clock, facts) = (under.clock.as_ref(), under.handles[0].facts());
    let oracle = Oracle::new(facts, now(clock).unwrap_or_default());
    let world = World::new(seed, 1, facts, None, false);
    let recorder = Arc::new(Recorder::default());
    let store = &*under.handles[0];
    let mut stage = Stage::set(world, store, clock, &recorder).await;
    // A test clock that stands in for a server's is read when a call is sent, not when it happens.
    let moves_clock = clock.is_some() && facts.clock == ClockSource::Injected;
    let mut script = Script::new(&mut stage, moves_clock);
    let tasks: Vec<_> = (1..=3 + script.stage.world.rng.below(2))
        .map(|number| {
            let lines = script.lines();
            let pauses = script.stage.world.rng.next();
            let handle = &under.handles[number % under.handles.len()];
            let store: SharedStore = Arc::new(Yielding::at_random(Arc::clone(handle), pauses));
            let (recorder, clock) = (Arc::clone(&recorder), clock.cloned());
            play(number, lines, store, clock, recorder).boxed()
        })
        .collect();
    match schedule {
        Schedule::Interleaved => {
            interleaved(tasks, Rng::new(stage.world.rng.next())).await;
        }
        Schedule::Parallel => {
            let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
            for task in running {
                task.await.expect("a task of a history ends");
            }
        }
    }
    stage.look(store, clock, &recorder).await;
    stage.clear(store, clock).await;
    (oracle, recorder.events())
}

/// One call of a task.
struct Line {
    call: Call,
    /// Whether a sign-in takes a ticket of its own first.
    with_own_ticket: bool,
}

async fn play(
    task: usize,
    lines: Vec<Line>,
    store: SharedStore,
    clock: Option<ManualClock>,
    recorder: Arc<Recorder>,
) {
    for Line {
        mut call,
        with_own_ticket,
    } in lines
    {
        if let Call::SignIn { ticket, .. } = &mut call
            && with_own_ticket
        {
            let subject = ticket.subject().clone();
            let asked = Call::Ticket { subject };
            let answer = recorder.perform(task, asked, &*store, clock.as_ref()).await;
            if let Answer::Ticket(own) = answer {
                *ticket = own;
            }
        }
        if matches!(call, Call::Advance(_)) {
            yield_once().await;
        }
        recorder.perform(task, call, &*store, clock.as_ref()).await;
    }
}

/// What a history is mostly about.
#[derive(Clone, Copy, Debug)]
enum Theme {
    OneRecord(SessionId),
    OneNewId,
    Subject,
    Tries,
    Expiry,
}

/// Draws the calls of the tasks.
struct Script<'a> {
    stage: &'a mut Stage,
    theme: Theme,
    moves_clock: bool,
}

impl<'a> Script<'a> {
    fn new(stage: &'a mut Stage, moves_clock: bool) -> Self {
        let theme = match stage.world.rng.below(12) {
            0..3 => Theme::OneRecord(stage.user),
            3 => Theme::OneRecord(stage.visitor),
            4 | 5 => Theme::OneNewId,
            6..8 => Theme::Subject,
            8 | 9 => Theme::Tries,
            _ if moves_clock => Theme::Expiry,
            _ => Theme::OneRecord(stage.user),
        };
        Self {
            stage,
            theme,
            moves_clock,
        }
    }

    fn lines(&mut self) -> Vec<Line> {
        let number = 2 + self.stage.world.rng.below(3);
        (0..number).map(|_| self.line()).collect()
    }

    fn line(&mut self) -> Line {
        let call = match self.theme {
            _ if self.stage.world.rng.one_in(8) => self.anything(),
            Theme::OneRecord(id) => self.about_a_record(id),
            Theme::OneNewId => self.about_a_new_id(),
            Theme::Subject => self.about_a_subject(),
            Theme::Tries => self.about_tries(),
            Theme::Expiry => self.about_expiry(),
        };
        Line {
            with_own_ticket: matches!(self.theme, Theme::Subject) && self.stage.world.rng.one_in(4),
            call,
        }
    }

    fn anything(&mut self) -> Call {
        match self.stage.world.rng.below(4) {
            0 => self.about_a_record(self.stage.user),
            1 => self.about_a_new_id(),
            2 => self.about_a_subject(),
            _ => self.about_tries(),
        }
    }

    fn about_a_record(&mut self, id: SessionId) -> Call {
        match self.stage.world.rng.below(16) {
            0..5 => {
                let plan = self.stage.guarded(id);
                self.stage.apply(id, plan)
            }
            5..12 => self.stage.any_change(id),
            12 => Call::Delete { id },
            13 => self.stage.create(id),
            _ => load(id),
        }
    }

    fn about_a_new_id(&mut self) -> Call {
        let id = self.stage.free;
        match self.stage.world.rng.below(11) {
            0..4 => self.stage.create(id),
            4..7 => self.stage.sign_in(id, None),
            7 => {
                let plan = self.stage.edit();
                self.stage.apply(id, plan)
            }
            8 => Call::Delete { id },
            _ => load(id),
        }
    }

    fn about_a_subject(&mut self) -> Call {
        let (subject, user) = (self.stage.subject.clone(), self.stage.user);
        match self.stage.world.rng.below(14) {
            0..4 => {
                let limit = self.stage.limit(LimitPolicy::Refuse);
                let id = self.stage.fresh_id();
                self.stage.sign_in(id, limit)
            }
            4..8 => {
                let limit = self.stage.limit(LimitPolicy::EndOldest);
                let id = self.stage.fresh_id();
                self.stage.sign_in(id, limit)
            }
            8 => {
                let except = self.stage.world.one_of(&[None, None, Some(user)]);
                Call::Revoke { subject, except }
            }
            9 => Call::SessionsOf { subject },
            10..14 => self.stage.any_change(user),
            _ => load(user),
        }
    }

    fn about_tries(&mut self) -> Call {
        if self.stage.world.rng.one_in(8) {
            return Call::SessionsOf {
                subject: self.stage.subject.clone(),
            };
        }
        let mut ticket = self.stage.tickets[0].clone();
        for _ in 0..self.stage.world.rng.below(3) {
            ticket = ticket.next_attempt();
        }
        let policy = self
            .stage
            .world
            .one_of(&[LimitPolicy::EndOldest, LimitPolicy::Refuse]);
        let limit = self
            .stage
            .limit(policy)
            .filter(|_| self.stage.world.rng.one_in(4));
        let id = self.stage.fresh_id();
        self.stage.sign_in_under(ticket, id, limit)
    }

    fn about_expiry(&mut self) -> Call {
        let id = self.stage.user;
        match self.stage.world.rng.below(8) {
            0..3 if self.moves_clock => {
                let millis = Duration::from_millis;
                let steps = [IDLE, IDLE - millis(1), millis(1), millis(1), millis(30_000)];
                Call::Advance(self.stage.world.one_of(&steps))
            }
            3 => load(id),
            4 => {
                let limit = self.stage.limit(LimitPolicy::Refuse);
                let id = self.stage.fresh_id();
                self.stage.sign_in(id, limit)
            }
            5 => self.stage.any_change(id),
            _ => {
                let plan = Plan {
                    touch: true,
                    ..self.stage.renewal()
                };
                self.stage.apply(id, plan)
            }
        }
    }
}

fn load(id: SessionId) -> Call {
    let freshness = Freshness::Source;
    Call::Load { id, freshness }
}

impl fmt::Display for NotLinearizable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "no order of the calls explains the answers of the history of seed {}:",
            self.seed
        )?;
        for event in &self.events {
            writeln!(f, "  {event:?}")?;
        }
        writeln!(f, "the longest order that explains its part:")?;
        for at in &self.longest {
            let event = &self.events[*at];
            writeln!(f, "  {}..{} task {}", event.began, event.ended, event.task)?;
        }
        Ok(())
    }
}

impl std::error::Error for NotLinearizable {}
