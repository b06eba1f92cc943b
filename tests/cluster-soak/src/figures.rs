//! How many, how long: what a run measures besides what it checks.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::moment::now;
use crate::order::Answer;
use crate::process::Failed;

/// What a call is to whoever waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    Read,
    Write,
    Touch,
    End,
}

/// How the calls of one sort went.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    answered: u64,
    refused: u64,
    unknown: u64,
    unsent: u64,
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Figures {
    calls: BTreeMap<Sort, Calls>,
    /// Microseconds until the answer.
    reads: Vec<u32>,
    writes: Vec<u32>,
    last_write: Instant,
    longest_stall: Duration,
    /// Calls that were not made, because too many to the same node were under way.
    pub(crate) left_out: u64,
    /// Per fault, how long after it all that was done before was everywhere.
    pub(crate) spread: BTreeMap<&'static str, Vec<Duration>>,
    pub(crate) rest: Vec<Duration>,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            calls: BTreeMap::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            last_write: now(),
            longest_stall: Duration::ZERO,
            left_out: 0,
            spread: BTreeMap::new(),
            rest: Vec::new(),
        }
    }
}

impl Figures {
    /// A call is over.
    pub(crate) fn called(&mut self, sort: Sort, begun: Instant, answer: Result<&Answer, &Failed>) {
        let calls = self.calls.entry(sort).or_default();
        match answer {
            Err(Failed::Unsent) => calls.unsent += 1,
            Ok(Answer::Refused(_)) => calls.refused += 1,
            Err(Failed::Unanswered) | Ok(Answer::Unknown(_)) => calls.unknown += 1,
            Ok(_) => {
                calls.answered += 1;
                let micros = u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX);
                match sort {
                    Sort::Read => self.reads.push(micros),
                    Sort::Write => {
                        self.writes.push(micros);
                        self.longest_stall = self.longest_stall.max(self.last_write.elapsed());
                        self.last_write = now();
                    }
                    Sort::Touch | Sort::End => {}
                }
            }
        }
    }

    /// Takes up to `most` of the calls that were left out, to be made now.
    pub(crate) fn make_up(&mut self, most: u32) -> u32 {
        let taken = self.left_out.min(u64::from(most));
        self.left_out -= taken;
        u32::try_from(taken).unwrap_or(most)
    }

    /// Nobody asked anything until now.
    pub(crate) fn go_on(&mut self) {
        self.last_write = now();
    }

    /// How many calls were made.
    #[must_use]
    pub(crate) fn made(&self) -> u64 {
        let made = |calls: &Calls| calls.answered + calls.refused + calls.unknown;
        self.calls.values().map(made).sum()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (sort, calls) in &self.calls {
            let Calls {
                answered,
                refused,
                unknown,
                unsent,
            } = calls;
            let failed = percent(refused + unknown, answered + refused + unknown);
            let sort = match sort {
                Sort::Read => "reads",
                Sort::Write => "writes",
                Sort::Touch => "touches",
                Sort::End => "ends",
            };
            writeln!(
                f,
                "  {sort}: {answered} answered, {refused} refused, {unknown} unknown ({failed} failed); \
                 {unsent} while the node was down"
            )?;
        }
        let micros = |all: &[u32]| {
            let all: Vec<_> = all
                .iter()
                .map(|it| Duration::from_micros((*it).into()))
                .collect();
            spread(&all)
        };
        writeln!(f, "  reads answered after {}", micros(&self.reads))?;
        writeln!(f, "  writes acknowledged after {}", micros(&self.writes))?;
        let stall = self.longest_stall;
        writeln!(
            f,
            "  longest time without an acknowledged write: {stall:.1?}"
        )?;
        let all: Vec<_> = self.spread.values().flatten().copied().collect();
        writeln!(
            f,
            "  after a fault all that was done before it ended was everywhere after {}",
            spread(&all)
        )?;
        for (name, times) in &self.spread {
            writeln!(f, "    {name}: {}", spread(times))?;
        }
        writeln!(
            f,
            "  at rest all nodes held the same after {}",
            spread(&self.rest)
        )?;
        write!(
            f,
            "  {} calls left out, because too many to the same node were under way",
            self.left_out
        )
    }
}

fn percent(part: u64, whole: u64) -> String {
    let hundredths = part * 10_000 / whole.max(1);
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

/// The median, the 99th percentile and the maximum.
fn spread(all: &[Duration]) -> String {
    let mut all = all.to_vec();
    all.sort_unstable();
    let at = |hundredths: usize| {
        let index = (all.len() * hundredths / 100).min(all.len().saturating_sub(1));
        all.get(index).copied().unwrap_or_default()
    };
    let (half, most, max) = (at(50), at(99), at(100));
    format!(
        "p50 {half:.1?}, p99 {most:.1?}, max {max:.1?} ({} times)",
        all.len()
    )
}
