//! Operations that are sent together: one pipeline on one wire.

use std::io::IoSlice;
use std::sync::Arc;

use redis::{Cmd, ErrorKind as DriverKind, RedisError, RedisResult, Value};
use session_core::{Applied, BatchFailure, Deadline, SessionId, StoreError, Transport};

use crate::command::Packet;
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

    /// What each operation is answered.
    fn read(&self, operations: &[Packet], answers: Vec<Value>) -> Vec<RedisResult<Value>> {
        let mut answers = answers.into_iter();
        let mut next = || answers.next().unwrap_or_default().extract_error();
        let mut own: Vec<_> = operations
            .iter()
            .map(|operation| {
                for _ in 0..operation.leading {
                    let _ = next();
                }
                next()
            })
            .collect();
        if let Some((_, replicas)) = &self.wait {
            let reached = next();
            if !matches!(reached, Ok(Value::Int(reached)) if reached >= i64::from(*replicas)) {
                const WHY: &str = "fewer replicas than asked for have the change";
                let lonely: RedisError = (DriverKind::Client, WHY).into();
                for answer in own.iter_mut().filter(|answer| answer.is_ok()) {
                    *answer = Err(lonely.clone());
                }
            }
        }
        own
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
        operation.bytes.len()
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
        let wait = self.wait.as_ref().map(|(wait, _)| wait);
        let packed = operations.iter().map(|operation| &operation.bytes);
        let mut packed: Vec<_> = packed
            .chain(wait)
            .map(|bytes| IoSlice::new(bytes))
            .collect();
        let own = operations.iter().map(|operation| operation.leading + 1);
        let answers = own.sum::<usize>() + usize::from(wait.is_some());
        let mut overdue = Overdue {
            wires: &self.wires,
            deadline: Some(deadline),
        };
        let answers = wire.exchange(&mut packed, answers).await;
        overdue.deadline = None;
        let answers = match answers {
            Ok(answers) => {
                self.wires.put_back(wire);
                self.read(operations, answers)
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
