//! What time it is for a model: exactly, by a test clock; or as far as answers tell, by a server's.

use session_core::{ManualClock, Record, Timestamp};

use super::answer::Answer;
use super::call::{Call, now};
use super::functions::Functions;
use super::oracle::Oracle;
use super::plain::{Session, millis};
use super::state::{FOREVER, OVERLAP};

/// How far the next instant of a running clock may lie from the last that was seen.
const PLAUSIBLE: u64 = 60_000;

/// What time it is for a model.
#[derive(Clone, Debug)]
pub(super) enum Reading {
    /// The clock stands still between two calls.
    Exact,
    /// The clock runs. The last instant that an answer told, if any did.
    Running(Option<u64>),
}

impl Reading {
    pub(super) fn of(clock: Option<&ManualClock>) -> Self {
        match now(clock) {
            Some(_) => Self::Exact,
            None => Self::Running(None),
        }
    }

    /// The instants at which the store may have taken its step, if it gave `answer`.
    pub(super) fn instants(&self, model: u64, call: &Call, answer: &Answer<Record>) -> Vec<u64> {
        let Self::Running(last) = self else {
            return vec![model];
        };
        let mut instants = vec![last.unwrap_or(model)];
        instants.extend(stamped(call, answer));
        if let Some(last) = last {
            instants.retain(|instant| instant.abs_diff(*last) <= PLAUSIBLE);
        }
        instants.dedup();
        instants
    }

    /// Takes note that the store took a step at `instant`.
    pub(super) fn learn(&mut self, instant: u64, answer: &Answer<Record>) {
        if let Self::Running(last) = self
            && (last.is_some() || !answer.records().is_empty())
        {
            *last = Some(last.map_or(instant, |last| last.max(instant)));
        }
    }

    /// Whether a model's expectation and an answer are the same. By a running clock the instant of an
    /// end is not known: no answer told it.
    pub(super) fn same(&self, expected: &Answer<Session>, answer: &Answer<Session>) -> bool {
        match (self, expected, answer) {
            (Self::Running(_), Answer::Ended(expected), Answer::Ended(answer)) => {
                expected.hashes == answer.hashes
            }
            _ => expected == answer,
        }
    }

    /// Whether the oracle can have given `answer`; it then has taken the step. Else what it expects.
    pub(super) fn explain(
        &mut self,
        oracle: &mut Oracle,
        call: &Call,
        answer: &Answer<Record>,
        plain: &Answer<Session>,
    ) -> Result<(), Box<Answer<Session>>> {
        if matches!(self, Self::Exact) {
            let says = oracle.step(call, Some(answer));
            return if says == *plain {
                Ok(())
            } else {
                Err(Box::new(says))
            };
        }
        let mut expected = None;
        for instant in self.instants(oracle.state.now, call, answer) {
            let mut next = oracle.clone();
            next.state.now = instant;
            let says = next.step(call, Some(answer));
            if self.same(&says, plain) {
                self.learn(instant, answer);
                *oracle = next;
                return Ok(());
            }
            expected.get_or_insert(says);
        }
        Err(Box::new(
            expected.unwrap_or(Answer::Never("no instant is plausible")),
        ))
    }

    /// As [`Reading::explain`], at the instant that the oracle found.
    pub(super) fn agree(
        &self,
        functions: &mut Functions,
        oracle: &Oracle,
        call: &Call,
        answer: &Answer<Record>,
    ) -> Result<(), Box<Answer<Record>>> {
        if matches!(self, Self::Running(_)) {
            functions.now = Timestamp::from_millis(oracle.state.now);
        }
        let says = functions.step(call, answer);
        let both_ended = matches!((&says, answer), (Answer::Ended(_), Answer::Ended(_)));
        if says == *answer || both_ended && self.same(&says.plain(), &answer.plain()) {
            Ok(())
        } else {
            Err(Box::new(says))
        }
    }
}

/// The instants that an answer tells of its own step.
fn stamped(call: &Call, answer: &Answer<Record>) -> Vec<u64> {
    let record = match answer {
        Answer::Ticket(ticket) => return vec![ticket.issued_at().as_millis()],
        Answer::Created(record)
        | Answer::Applied { record, .. }
        | Answer::Admitted { record, .. } => Session::of(record),
        _ => return Vec::new(),
    };
    let mut instants = in_record(&record);
    if let Call::Apply { plan, .. } = call
        && let Some(life) = plan.shorten
    {
        instants.push(record.deadline.saturating_sub(millis(life)));
    }
    instants.sort_unstable();
    instants.dedup();
    instants.reverse();
    instants
}

/// All instants that an answer tells, also those of calls before it.
pub(super) fn told(answer: &Answer<Record>) -> Vec<u64> {
    let records = answer.records().into_iter();
    records
        .flat_map(|record| in_record(&Session::of(record)))
        .collect()
}

fn in_record(record: &Session) -> Vec<u64> {
    let mut instants = vec![record.last_seen, record.created];
    for secret in &record.secrets {
        instants.push(secret.issued);
        if secret.accepted_until < FOREVER {
            instants.push(secret.accepted_until.saturating_sub(OVERLAP));
        }
    }
    instants
}
