//! Operations that are sent together: one pipeline on one wire.

use std::io::{self, IoSlice};
use std::sync::Arc;

use redis::{Cmd, ErrorKind as DriverKind, RedisError, RedisResult, Value};
use session_core::{Applied, BatchFailure, Deadline, SessionId, StoreError, Transport};

use crate::failure::did_nothing;
use crate::packet::{Joint, Packet};
use crate::store::NAME;
use crate::wire::Wire;
use crate::wires::Wires;

/// How operations reach one server: either questions or changes.
///
/// Each is answered, or refused, by itself, since the server takes one after the other. So no batch fails as
/// a whole, but for its connection.
#[derive(Debug)]
pub(crate) struct Batches {
    wires: Arc<Wires>,
    changes: bool,
    /// What waits until replicas have a batch of changes, and how many must.
    wait: Option<(Vec<u8>, u32)>,
}

impl Batches {
    pub(crate) fn new(wires: Arc<Wires>, changes: bool) -> Self {
        let acknowledged = wires.acknowledged().filter(|_| changes);
        let wait = acknowledged.map(|(replicas, limit)| {
            let wait = Cmd::new().arg("WAIT").arg(replicas).arg(limit).take();
            (wait.get_packed_command(), replicas)
        });
        Self {
            wires,
            changes,
            wait,
        }
    }

    /// Sends operations, and gives what each is answered. Those that may go together go in one command, if they
    /// are to be `joined`; else each of them in one of its own.
    async fn exchange(
        &self,
        wire: &mut Wire,
        operations: &[&Packet],
        joined: bool,
    ) -> io::Result<Vec<RedisResult<Value>>> {
        let groups = groups(operations, joined);
        let joint: Vec<Vec<u8>> = groups
            .iter()
            .map(|group| command_of(operations, group))
            .collect();
        let alone = operations.iter().filter(|one| one.joint.is_none());
        let wait = self.wait.as_ref().map(|(wait, _)| wait);
        let leading = operations
            .iter()
            .filter(|one| one.joint.is_some() && one.leading > 0);
        let mut packed: Vec<_> = alone
            .clone()
            .chain(leading.clone())
            .map(|packet| &packet.bytes)
            .chain(&joint)
            .chain(wait)
            .map(|bytes| IoSlice::new(bytes))
            .collect();
        let expected = alone.clone().map(|one| one.leading + 1).sum::<usize>()
            + leading.clone().map(|one| one.leading).sum::<usize>()
            + joint.len()
            + usize::from(wait.is_some());
        let mut answers = wire.exchange(&mut packed, expected).await?.into_iter();

        let mut own: Vec<RedisResult<Value>> = operations.iter().map(|_| Ok(Value::Nil)).collect();
        for (own, packet) in own.iter_mut().zip(operations) {
            if packet.joint.is_none() {
                answers.by_ref().take(packet.leading).for_each(drop);
                *own = answers.next().unwrap_or_default().extract_error();
            }
        }
        let leading = leading.map(|packet| packet.leading).sum();
        answers.by_ref().take(leading).for_each(drop);
        for group in &groups {
            let mut shares = Shares::of(answers.next().unwrap_or_default());
            for at in group {
                if let Some(own) = own.get_mut(*at) {
                    *own = shares.next();
                }
            }
        }
        if let Some((_, replicas)) = &self.wait {
            let reached = answers.next().unwrap_or_default().extract_error();
            if !matches!(reached, Ok(Value::Int(reached)) if reached >= i64::from(*replicas)) {
                const WHY: &str = "fewer replicas than asked for have the change";
                let lonely: RedisError = (DriverKind::Client, WHY).into();
                for answer in own.iter_mut().filter(|answer| answer.is_ok()) {
                    *answer = Err(lonely.clone());
                }
            }
        }
        Ok(own)
    }

    /// As [`Batches::exchange`]; and where a command that took several steps was refused, which so took none of
    /// them, each of these by itself: the others may have nothing to do with the reason.
    async fn exchange_fairly(
        &self,
        wire: &mut Wire,
        operations: &[&Packet],
    ) -> io::Result<Vec<RedisResult<Value>>> {
        let mut answers = self.exchange(wire, operations, true).await?;
        let refused: Vec<usize> = groups(operations, true)
            .into_iter()
            .filter(|group| {
                let mut answers = group.iter().filter_map(|at| answers.get(*at));
                group.len() > 1 && answers.all(|one| one.as_ref().is_err_and(did_nothing))
            })
            .flatten()
            .collect();
        if refused.is_empty() {
            return Ok(answers);
        }
        let again: Vec<_> = refused
            .iter()
            .filter_map(|at| operations.get(*at).copied())
            .collect();
        let fresh = match self.exchange(wire, &again, false).await {
            Ok(fresh) => fresh,
            Err(error) => {
                self.wires.close();
                let broken = RedisError::from(error);
                again.iter().map(|_| Err(broken.clone())).collect()
            }
        };
        for (at, answer) in refused.into_iter().zip(fresh) {
            if let Some(place) = answers.get_mut(at) {
                *place = answer;
            }
        }
        Ok(answers)
    }
}

/// Which operations go in one command: lists of their places.
fn groups(operations: &[&Packet], joined: bool) -> Vec<Vec<usize>> {
    let mut groups: Vec<(&Joint, Vec<usize>)> = Vec::new();
    for (at, packet) in operations.iter().enumerate() {
        let Some(joint) = &packet.joint else { continue };
        let group = groups
            .iter_mut()
            .find(|(first, _)| joined && first.goes_with(joint));
        match group {
            Some((_, group)) => group.push(at),
            None => groups.push((joint, vec![at])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn command_of(operations: &[&Packet], group: &[usize]) -> Vec<u8> {
    let mut steps = group
        .iter()
        .filter_map(|at| operations.get(*at)?.joint.as_deref());
    let first = steps.next();
    let others: Vec<_> = steps.collect();
    first.map_or_else(Vec::new, |first| first.with(&others))
}

/// What a command that took several steps answered, step by step.
enum Shares {
    Each(std::vec::IntoIter<Value>),
    All(RedisResult<Value>),
}

impl Shares {
    fn of(answer: Value) -> Self {
        match answer {
            Value::Array(answers) => Self::Each(answers.into_iter()),
            other => Self::All(other.extract_error()),
        }
    }

    fn next(&mut self) -> RedisResult<Value> {
        match self {
            Self::Each(answers) => answers.next().unwrap_or_default().extract_error(),
            Self::All(answer) => answer.clone(),
        }
    }
}

impl Transport for Batches {
    type Operation = Packet;
    type Answer = RedisResult<Value>;
    type Line = (Wire, Deadline);

    fn store(&self) -> &'static str {
        NAME
    }

    fn in_doubt(&self) -> Applied {
        match self.changes {
            true => Applied::Unknown,
            false => Applied::No,
        }
    }

    fn bytes(&self, operation: &Packet) -> usize {
        operation.len()
    }

    fn session(&self, _: &Packet) -> Option<SessionId> {
        None
    }

    async fn line(&self, deadline: Deadline) -> Result<Self::Line, StoreError> {
        Ok((self.wires.take().await?, deadline))
    }

    async fn send(
        &self,
        (mut wire, deadline): Self::Line,
        operations: &[Packet],
    ) -> Result<Vec<Result<RedisResult<Value>, StoreError>>, BatchFailure> {
        let operations: Vec<_> = operations.iter().collect();
        let mut overdue = Overdue {
            wires: &self.wires,
            deadline: Some(deadline),
        };
        let answers = self.exchange_fairly(&mut wire, &operations).await;
        overdue.deadline = None;
        let answers = match answers {
            Ok(answers) => {
                self.wires.put_back(wire);
                answers
            }
            Err(error) => {
                self.wires.close();
                let broken = RedisError::from(error);
                operations.iter().map(|_| Err(broken.clone())).collect()
            }
        };
        Ok(answers.into_iter().map(Ok).collect())
    }
}

/// Gives up the wires to a server that did not answer by the deadline: they may be cut without either end
/// knowing.
struct Overdue<'a> {
    wires: &'a Wires,
    /// Nothing once it has answered.
    deadline: Option<Deadline>,
}

impl Drop for Overdue<'_> {
    fn drop(&mut self) {
        if self.deadline.is_some_and(Deadline::has_passed) {
            self.wires.close();
        }
    }
}
