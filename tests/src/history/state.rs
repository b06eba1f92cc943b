//! What the naive oracle remembers, and who makes room for a sign-in.

use std::collections::BTreeMap;

use session_core::{LimitPolicy, SessionId, SignInLimit, Subject};

use super::plain::{Grave, Owner, Session, Stands};

/// 2^53 − 1 ms: the last instant there is.
pub(super) const FOREVER: u64 = (1 << 53) - 1;
/// How long what was ended is remembered.
pub(super) const REMEMBERED: u64 = 60_000;
/// How long former secrets stay accepted.
pub(super) const OVERLAP: u64 = 30_000;
/// How long a secret may stay unpresented.
pub(super) const GRACE: u64 = 60_000;
/// All that the oracle remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) now: u64,
    /// With those that expired.
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) graves: BTreeMap<SessionId, Grave>,
    /// How often each subject was revoked.
    pub(super) revokes: BTreeMap<Subject, u64>,
    pub(super) tickets: BTreeMap<u64, Issued>,
}

/// A ticket that was given out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Issued {
    pub(super) at: u64,
    pub(super) revokes: u64,
    /// The latest try that was admitted.
    pub(super) admitted: u32,
    /// The latest try that came at all.
    pub(super) came: u32,
}
/// Whether a new session may have an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    /// Its session expired, less than 60 s ago: a store whose server drops what expires may have
    /// forgotten it, another may still refuse it.
    PerhapsStill,
    No,
}

impl State {
    pub(super) fn live(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id).filter(|session| self.lives(session))
    }

    pub(super) fn lives(&self, session: &Session) -> bool {
        self.now < expiry(session)
    }

    pub(super) fn live_of(
        &self,
        subject: &Subject,
    ) -> impl Iterator<Item = (&SessionId, &Session)> {
        self.sessions.iter().filter(move |(_, session)| {
            session.subject() == Some(subject.as_str()) && self.lives(session)
        })
    }

    pub(super) fn grave(&self, id: SessionId) -> Option<&Grave> {
        let grave = self.graves.get(&id)?;
        (self.now < after(grave.at, REMEMBERED)).then_some(grave)
    }

    pub(super) fn revokes_of(&self, subject: &Subject) -> u64 {
        self.revokes.get(subject).copied().unwrap_or_default()
    }

    pub(super) fn is_taken(&self, id: SessionId) -> Taken {
        if self.live(id).is_some() || self.grave(id).is_some() {
            return Taken::Yes;
        }
        match self.sessions.get(&id) {
            Some(expired) if self.now < after(expiry(expired), REMEMBERED) => Taken::PerhapsStill,
            _ => Taken::No,
        }
    }

    pub(super) fn insert(&mut self, id: SessionId, session: Session) {
        self.graves.remove(&id);
        self.sessions.insert(id, session);
    }

    /// Ends a session. Says whether it lived.
    pub(super) fn end(&mut self, id: SessionId) -> bool {
        if self.live(id).is_none() {
            return false;
        }
        if let Some(session) = self.sessions.remove(&id) {
            let hashes = session.secrets.iter().map(|secret| secret.hash);
            self.graves.insert(id, Grave::new(self.now, hashes));
        }
        true
    }

    /// Whom a sign-in ends, in the order of their ids; nothing if there is no room to make.
    pub(super) fn make_room(
        &self,
        owner: &Owner,
        subject: &Subject,
        predecessor: Option<SessionId>,
        limit: Option<SignInLimit>,
    ) -> Option<Vec<SessionId>> {
        let mut oldest_first: Vec<_> = self.live_of(subject).collect();
        oldest_first.sort_by_key(|(id, session)| (session.created, **id));
        // What an earlier try under the same ticket made goes.
        let (mut gone, mut stay): (Vec<_>, Vec<_>) =
            oldest_first.into_iter().partition(|(_, session)| {
                let theirs = session.owner.as_ref();
                theirs.is_some_and(|theirs| {
                    theirs.nonce == owner.nonce && theirs.attempt < owner.attempt
                })
            });
        while let Some(limit) = limit {
            // A session and the predecessor that it replaces count as one.
            let newest = predecessor.map(|id| *id.as_bytes());
            let is_replaced = |stay: &[(&SessionId, &Session)], id: &SessionId| {
                newest == Some(*id.as_bytes())
                    || stay
                        .iter()
                        .any(|(_, other)| other.predecessor == Some(*id.as_bytes()))
            };
            let counting = |stay: &[(&SessionId, &Session)]| {
                stay.iter().filter(|(id, _)| !is_replaced(stay, id)).count()
            };
            if counting(&stay) < limit.max.get() {
                break;
            }
            let is_lost = |session: &Session| {
                let never_presented = session
                    .secrets
                    .iter()
                    .all(|secret| secret.standing == Stands::Unpresented);
                // The one before it may be in use, and would only take its place.
                let others: Vec<_> = stay
                    .iter()
                    .copied()
                    .filter(|(_, other)| !std::ptr::eq(*other, session))
                    .collect();
                let leaves_one_behind = others.iter().any(|(id, _)| {
                    session.predecessor == Some(*id.as_bytes()) && !is_replaced(&others, id)
                });
                never_presented && !leaves_one_behind && self.now >= after(session.created, GRACE)
            };
            let counts = |at: &usize| !is_replaced(&stay, stay[*at].0);
            let lost = (0..stay.len())
                .filter(counts)
                .find(|at| is_lost(stay[*at].1));
            let end_oldest = limit.policy == LimitPolicy::EndOldest;
            let oldest = (0..stay.len()).find(|at| end_oldest && counts(at));
            let mut victim = Some(stay.remove(lost.or(oldest)?));
            // With it goes the predecessor that only it replaced.
            while let Some((id, session)) = victim {
                gone.push((id, session));
                victim = session.predecessor.and_then(|before| {
                    let at = stay.iter().position(|(id, _)| *id.as_bytes() == before)?;
                    (!is_replaced(&stay, stay[at].0)).then(|| stay.remove(at))
                });
            }
        }
        let mut gone: Vec<_> = gone.into_iter().map(|(id, _)| *id).collect();
        gone.sort_unstable();
        Some(gone)
    }
}

/// When a session expires unless it is used.
pub(super) fn expiry(session: &Session) -> u64 {
    let idle = session
        .idle
        .map_or(FOREVER, |idle| after(session.last_seen, idle));
    session.deadline.min(idle)
}

pub(super) fn after(instant: u64, duration: u64) -> u64 {
    instant.saturating_add(duration).min(FOREVER)
}
