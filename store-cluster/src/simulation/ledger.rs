//! What the clients did and heard, and what must therefore hold.

use std::collections::{BTreeMap, BTreeSet};

use session_core::{Loaded, Record, SecretHash, SessionId, Subject};

use crate::core::{Incarnation, Revokes, Stamp};

/// What is known from outside of one session.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) subject: Option<Subject>,
    /// Revokes that its ticket had seen; later also those that it was excepted from.
    pub(super) seen: Revokes,
    pub(super) has_limit: bool,
    pub(super) secrets: Vec<SecretHash>,
    /// Whether its creation was acknowledged by another node.
    pub(super) is_acked: bool,
    /// Whether somebody tried to end it, whatever came of that.
    pub(super) may_be_over: bool,
    /// Whether an end of it was acknowledged by all.
    pub(super) is_ended: bool,
    /// Until when it lives at least, by any node's clock.
    pub(super) lives_until: u64,
    /// After which it lives nowhere, by any node's clock.
    pub(super) dead_from: u64,
    /// Per entry, the greatest stamp of an acknowledged write.
    pub(super) acked: BTreeMap<String, Stamp>,
}

/// An operation that waits for its acknowledgement.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) seq: u64,
    pub(super) needs_all: bool,
    pub(super) effect: Acked,
}

/// What an acknowledgement says.
#[derive(Clone, Debug)]
pub(super) enum Acked {
    Created(SessionId),
    Wrote(SessionId, Vec<(String, Stamp)>),
    Revoked(Subject, Revokes, Vec<SessionId>),
    Ended(SessionId),
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) sessions: BTreeMap<SessionId, Known>,
    pub(super) ids: Vec<SessionId>,
    /// All revokes, by subject.
    pub(super) revokes: BTreeMap<Subject, Revokes>,
    /// Those that all acknowledged.
    pub(super) acked_revokes: BTreeMap<Subject, Revokes>,
    /// Sessions of which a node said, or was told, that they ended.
    pub(super) ended_at: BTreeSet<(Incarnation, SessionId)>,
    /// Guards that let somebody in, per node.
    pub(super) winners: BTreeSet<(Incarnation, SessionId, u64)>,
    pub(super) acked: usize,
    pub(super) answers: usize,
}

impl Ledger {
    pub(super) fn acknowledge(&mut self, effect: Acked) {
        self.acked += 1;
        match effect {
            Acked::Created(id) => self.get(id).is_acked = true,
            Acked::Wrote(id, writes) => {
                let known = self.get(id);
                for (name, stamp) in writes {
                    let acked = known.acked.entry(name).or_default();
                    *acked = (*acked).max(stamp);
                }
            }
            Acked::Revoked(subject, dot, ended) => {
                self.acked_revokes.entry(subject).or_default().join(&dot);
                ended
                    .into_iter()
                    .for_each(|id| self.get(id).is_ended = true);
            }
            Acked::Ended(id) => self.get(id).is_ended = true,
        }
    }

    pub(super) fn get(&mut self, id: SessionId) -> &mut Known {
        self.sessions.entry(id).or_default()
    }

    /// Whether a revoke may end the session once it arrives.
    pub(super) fn may_be_revoked(&self, known: &Known) -> bool {
        is_outside(&self.revokes, known)
    }

    /// Whether a revoke that all acknowledged ends the session.
    pub(super) fn is_revoked(&self, known: &Known) -> bool {
        is_outside(&self.acked_revokes, known)
    }

    /// Checks what a node answered to a load at the true instant `at`.
    pub(super) fn check(
        &mut self,
        node: Incarnation,
        id: SessionId,
        loaded: &Loaded,
        at: u64,
    ) -> Result<(), String> {
        self.answers += 1;
        let Some(known) = self.sessions.get(&id) else {
            return match loaded {
                Loaded::Absent => Ok(()),
                _ => Err(format!("{id} was never made, and {node:?} has it")),
            };
        };
        match loaded {
            Loaded::Live(record) => {
                if self.ended_at.contains(&(node, id)) {
                    return Err(format!("{id} came back to life on {node:?}"));
                }
                if known.is_ended || self.is_revoked(known) {
                    return Err(format!("all acknowledged the end of {id}: not so {node:?}"));
                }
                if at > known.dead_from {
                    return Err(format!("{id} lives on {node:?} past its deadline"));
                }
                check_record(id, known, record)
            }
            Loaded::Absent | Loaded::Ended(_) => {
                let must_live = known.is_acked
                    && !known.may_be_over
                    && !self.may_be_revoked(known)
                    && at < known.lives_until;
                if must_live {
                    return Err(format!("{node:?} says that {id} is not there: it lives"));
                }
                Ok(())
            }
        }
    }
}

/// A record is its subject's, knows its own secrets alone, and shows no half of a change.
pub(super) fn check_record(id: SessionId, known: &Known, record: &Record) -> Result<(), String> {
    if record.subject() != known.subject.as_ref().map(Subject::as_str) {
        return Err(format!("{id} has another's subject"));
    }
    if let Some(slot) = record
        .slots()
        .find(|slot| !known.secrets.contains(&slot.hash))
    {
        return Err(format!("{id} knows a secret that is not its own: {slot:?}"));
    }
    if record.slots().count() == 0 {
        return Err(format!("{id} has no secret left"));
    }
    if record.get("left") != record.get("right") {
        return Err(format!("{id} shows half a change"));
    }
    Ok(())
}

/// Whether the session began before a revoke of its subject, and was not excepted.
fn is_outside(revokes: &BTreeMap<Subject, Revokes>, known: &Known) -> bool {
    let subject = known.subject.as_ref();
    let revokes = subject.and_then(|subject| revokes.get(subject));
    revokes.is_some_and(|revokes| !revokes.is_within(&known.seen))
}
