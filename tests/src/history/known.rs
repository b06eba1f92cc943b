//! What the generator asks of the naive oracle.

use session_core::{SessionId, Subject, Ticket};

use super::oracle::Oracle;
use super::state::{GRACE, REMEMBERED, after, expiry};
use super::world::World;

/// Which sessions there are, and when something changes.
impl Oracle {
    pub(super) fn live_ids(&self) -> Vec<SessionId> {
        let sessions = self.state.sessions.iter();
        let live = sessions.filter(|(_, session)| self.state.lives(session));
        live.map(|(id, _)| *id).collect()
    }

    pub(super) fn live_ids_of(&self, subject: &Subject) -> Vec<SessionId> {
        self.state.live_of(subject).map(|(id, _)| *id).collect()
    }

    /// The live sessions that have a subject.
    pub(super) fn owned_ids(&self) -> Vec<SessionId> {
        let owned = |id: &SessionId| self.owner_of(*id).is_some();
        self.live_ids().into_iter().filter(owned).collect()
    }

    pub(super) fn owner_of(&self, id: SessionId) -> Option<Subject> {
        Subject::new(self.state.live(id)?.subject()?).ok()
    }

    /// What was ended of late.
    pub(super) fn ended_ids(&self) -> Vec<SessionId> {
        let graves = self.state.graves.keys();
        graves
            .filter(|id| self.state.grave(**id).is_some())
            .copied()
            .collect()
    }

    pub(super) fn ended_ids_of(&self, subject: &Subject, world: &World) -> Vec<SessionId> {
        let in_shard = |id: &SessionId| Some(id.shard()) == world.shard(subject);
        self.ended_ids().into_iter().filter(in_shard).collect()
    }

    /// What expired, or was ended long ago.
    pub(super) fn gone_ids(&self) -> Vec<SessionId> {
        let known = self.state.sessions.keys().chain(self.state.graves.keys());
        known
            .filter(|id| self.state.live(**id).is_none() && self.state.grave(**id).is_none())
            .copied()
            .collect()
    }

    /// The instants at which something changes by itself.
    pub(super) fn turns(&self) -> Vec<u64> {
        let issued = self.state.tickets.values();
        let life = self.rules.ticket_life;
        let mut turns: Vec<_> = issued.map(|issued| after(issued.at, life)).collect();
        turns.extend(
            self.state
                .graves
                .values()
                .map(|grave| after(grave.at, REMEMBERED)),
        );
        for session in self.state.sessions.values() {
            turns.extend([expiry(session), after(session.created, GRACE)]);
            for secret in &session.secrets {
                turns.extend([secret.accepted_until, after(secret.issued, GRACE)]);
            }
        }
        turns
    }
}

/// What is asked of the tickets that were given out.
impl Oracle {
    /// Whether the ticket signs its subject in.
    pub(super) fn is_good(&self, ticket: &Ticket) -> bool {
        !self.is_stale(ticket) && !self.is_fenced(ticket) && !self.is_overtaken(ticket)
    }

    pub(super) fn is_stale(&self, ticket: &Ticket) -> bool {
        let issued = self.state.tickets.get(&ticket.nonce());
        issued.is_none_or(|issued| self.state.now >= after(issued.at, self.rules.ticket_life))
    }

    fn is_fenced(&self, ticket: &Ticket) -> bool {
        let issued = self.state.tickets.get(&ticket.nonce());
        issued.is_none_or(|issued| issued.revokes != self.state.revokes_of(ticket.subject()))
    }

    /// Whether a later try was admitted.
    pub(super) fn is_overtaken(&self, ticket: &Ticket) -> bool {
        let issued = self.state.tickets.get(&ticket.nonce());
        issued.is_none_or(|issued| ticket.attempt() < issued.admitted)
    }

    /// Whether this or an earlier try made a session that lives.
    pub(super) fn was_used(&self, ticket: &Ticket) -> bool {
        self.state.live_of(ticket.subject()).any(|(_, session)| {
            let owner = session.owner.as_ref();
            owner.is_some_and(|owner| owner.nonce == ticket.nonce())
        })
    }
}
