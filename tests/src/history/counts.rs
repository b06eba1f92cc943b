//! Counts: what the histories of a run came across, and how much of it they must have.

use std::collections::BTreeMap;
use std::fmt;

use session_core::{LimitPolicy, Record};

use super::answer::Answer;
use super::call::{Call, Edit};

/// Every answer that a right store gives, by the name under which it is counted.
const OUTCOMES: [&str; 24] = [
    "create: created",
    "create: exists",
    "create: too large",
    "load: live",
    "load: ended",
    "load: absent",
    "apply: applied",
    "apply: absent",
    "apply: conflict",
    "apply: too large",
    "delete: ended it",
    "delete: nothing to end",
    "ticket",
    "sign_in: admitted",
    "sign_in: admitted, others ended",
    "sign_in: revoked",
    "sign_in: exists",
    "sign_in: limit reached",
    "sign_in: wrong shard",
    "sign_in: too large",
    "sessions_of: none",
    "sessions_of: some",
    "revoke: nothing to end",
    "revoke: ended some",
];

/// What must have happened within the answers, at least now and then.
const DETAILS: [&str; 20] = [
    "a change is guarded and applied",
    "a change starts from no copy",
    "a change starts from a stale copy",
    "a change starts from a copy of this revision, but of an earlier use",
    "a clear leaves a reserved entry",
    "a pure touch moves the last use",
    "a touch finds the last use where it is",
    "a secret is presented for the first time",
    "a secret that is presented changes nothing",
    "a renewal adds a secret",
    "a renewal pushes a fifth secret out",
    "a soft renewal adds none",
    "a deadline moves",
    "a deadline does not move back out",
    "a predecessor is settled",
    "a later try ends what an earlier one made",
    "an earlier try comes after a later one",
    "a session makes room although the policy refuses",
    "a session and its predecessor count as one",
    "a ticket is stale",
];

/// What the histories of a run came across.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Histories that were checked.
    pub histories: u64,
    /// Calls that were answered.
    pub calls: u64,
    /// Calls that name an id which another call names: one that runs at the same time, or, in a
    /// history of one call after another, one of the four before it.
    pub overlapping: u64,
    pub(super) outcomes: BTreeMap<&'static str, u64>,
    pub(super) details: BTreeMap<&'static str, u64>,
    /// Of each race, how often its first and how often its second side won.
    pub(super) races: BTreeMap<&'static str, [u64; 2]>,
}

impl Counts {
    /// Counts one answer.
    pub(super) fn answer(&mut self, call: &Call, answer: &Answer<Record>) {
        if matches!(call, Call::Advance(_)) {
            return;
        }
        self.calls += 1;
        *self.outcomes.entry(answer.outcome(call)).or_default() += 1;
        for detail in details(call, answer) {
            self.detail(detail);
        }
    }

    pub(super) fn detail(&mut self, detail: &'static str) {
        *self.details.entry(detail).or_default() += 1;
    }

    /// Adds what another part of the run came across.
    pub fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.calls += other.calls;
        self.overlapping += other.overlapping;
        for (name, count) in &other.outcomes {
            *self.outcomes.entry(name).or_default() += count;
        }
        for (name, count) in &other.details {
            *self.details.entry(name).or_default() += count;
        }
        for (name, [first, second]) in &other.races {
            let sides = self.races.entry(name).or_default();
            sides[0] += first;
            sides[1] += second;
        }
    }

    /// Where the run fell short: too few calls on one id, an outcome below 1 % of the answers. `large`
    /// says whether anything can be too large.
    #[must_use]
    pub fn shortfalls(&self, large: bool) -> Vec<String> {
        let mut short = self.overlap_shortfall();
        for name in OUTCOMES {
            let count = self.outcomes.get(name).copied().unwrap_or_default();
            let expected = large || !name.ends_with("too large");
            if expected && count * 100 < self.calls {
                short.push(format!("{name}: {count} of {} answers", self.calls));
            }
        }
        short
    }

    /// What a long run did not come across once in 5,000 calls, if the clock moved.
    #[must_use]
    pub fn missed_details(&self) -> Vec<String> {
        let mut short = Vec::new();
        for name in DETAILS {
            let count = self.details.get(name).copied().unwrap_or_default();
            if count * 5_000 < self.calls {
                short.push(format!("{name}: {count} in {} calls", self.calls));
            }
        }
        short
    }

    /// Where the races of a run fell short: one that a side won in less than `percent` of a hundred.
    #[must_use]
    pub fn unfair_races(&self, expected: &[&'static str], percent: u64) -> Vec<String> {
        let mut short = self.overlap_shortfall();
        for name in expected {
            let [first, second] = self.races.get(name).copied().unwrap_or_default();
            let fewest = first.min(second);
            if fewest == 0 || fewest * 100 < (first + second) * percent {
                short.push(format!("{name}: won {first} to {second}"));
            }
        }
        short
    }

    fn overlap_shortfall(&self) -> Vec<String> {
        let mut short = Vec::new();
        if self.overlapping * 100 < self.calls * 30 {
            let (overlapping, calls) = (self.overlapping, self.calls);
            short.push(format!("{overlapping} of {calls} calls overlap on one id"));
        }
        short
    }
}

/// What is worth a count in one answer.
fn details(call: &Call, answer: &Answer<Record>) -> Vec<&'static str> {
    let mut seen = Vec::new();
    match (call, answer) {
        (
            Call::Apply {
                plan, seen: copy, ..
            },
            Answer::Applied { previous, record },
        ) => {
            let mut note = |holds: bool, detail| {
                if holds {
                    seen.push(detail);
                }
            };
            note(plan.guard.is_some(), DETAILS[0]);
            match copy {
                None => note(true, DETAILS[1]),
                Some(copy) => {
                    let same = copy.revision() == previous.revision();
                    note(!same, DETAILS[2]);
                    let earlier = copy.last_seen_at() < previous.last_seen_at();
                    note(same && earlier, DETAILS[3]);
                }
            }
            let clears = plan.edits.iter().any(|edit| matches!(edit, Edit::Clear));
            let reserved = record
                .entries()
                .any(|(name, _)| name.starts_with("session:"));
            note(clears && reserved, DETAILS[4]);
            let moved = previous.last_seen_at() < record.last_seen_at();
            note(plan.is_pure_touch() && moved, DETAILS[5]);
            note(plan.touch && !moved, DETAILS[6]);
            let standing = |record: &Record, hash| {
                record
                    .slots()
                    .find(|slot| slot.hash == hash)
                    .map(|slot| slot.standing)
            };
            if let Some(hash) = plan.promote {
                let changed = standing(previous, hash) != standing(record, hash);
                note(changed, DETAILS[7]);
                note(!changed, DETAILS[8]);
            }
            if let Some(renewal) = plan.renew {
                let added = standing(record, renewal.issue).is_some();
                note(added, DETAILS[9]);
                note(added && previous.slots().count() == 4, DETAILS[10]);
                note(!added, DETAILS[11]);
            }
            if plan.shorten.is_some() {
                let moved = record.deadline() < previous.deadline();
                note(moved, DETAILS[12]);
                note(!moved, DETAILS[13]);
            }
            note(plan.settle && previous.predecessor().is_some(), DETAILS[14]);
        }
        (
            Call::SignIn {
                ticket,
                limit,
                draft,
                ..
            },
            Answer::Admitted { ended, .. },
        ) => {
            if ticket.attempt() > 1 && limit.is_none() && !ended.is_empty() {
                seen.push(DETAILS[15]);
            }
            let limit = limit.filter(|_| ticket.attempt() == 1);
            if limit.is_some_and(|limit| limit.policy == LimitPolicy::Refuse) && !ended.is_empty() {
                seen.push(DETAILS[17]);
            }
            if limit.is_some_and(|limit| limit.max.get() == 1)
                && ended.is_empty()
                && draft.predecessor.is_some()
            {
                seen.push(DETAILS[18]);
            }
        }
        _ => {}
    }
    seen
}

/// An earlier try that came after a later one.
pub(super) const EARLIER_TRY: &str = DETAILS[16];
/// A ticket that was too old.
pub(super) const STALE_TICKET: &str = DETAILS[19];

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} histories, {} calls, {} % of them overlap on one id",
            self.histories,
            self.calls,
            self.overlapping * 100 / self.calls.max(1)
        )?;
        for (name, count) in &self.outcomes {
            let thousandths = count * 1000 / self.calls.max(1);
            let (whole, tenth) = (thousandths / 10, thousandths % 10);
            writeln!(f, "{count:>9}  {whole:>2}.{tenth} %  {name}")?;
        }
        for (name, count) in &self.details {
            writeln!(f, "{count:>9}          {name}")?;
        }
        for (name, [first, second]) in &self.races {
            writeln!(f, "{first:>9} : {second:<6} {name}")?;
        }
        Ok(())
    }
}
