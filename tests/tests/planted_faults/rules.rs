//! Signing in by other rules, in one atomic step.

use async_trait::async_trait;
use session_conformance::reference::{ReferenceStore, State};
use session_core::{
    Admission, ErrorKind, NewRecord, Record, SessionId, SessionStore, SignInLimit, StoreError,
    Subject, Ticket, Timestamp, admit,
};

use crate::fault::Fault;

pub(crate) type Live = [(SessionId, Record)];
pub(crate) type Ended = Option<Vec<SessionId>>;
pub(crate) type Admit = fn(&Asked<'_>) -> Ended;
pub(crate) type LiveOf = fn(&State, &Subject, Timestamp) -> Vec<(SessionId, Record)>;

/// Who asks to be admitted, and beside whom.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) ticket: &'a Ticket,
    pub(crate) predecessor: Option<SessionId>,
    pub(crate) live: &'a Live,
    pub(crate) limit: Option<SignInLimit>,
    pub(crate) now: Timestamp,
}

impl Asked<'_> {
    /// What the contract says.
    pub(crate) fn soundly(&self) -> Ended {
        self.seeing(self.live)
    }

    /// What the contract would say if these sessions lived.
    pub(crate) fn seeing(&self, live: &Live) -> Ended {
        admit(self.ticket, self.predecessor, live, self.limit, self.now)
    }
}

/// What a sign-in keeps to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignsInBy {
    pub(crate) checks_shard: bool,
    pub(crate) checks_age: bool,
    pub(crate) checks_fence: bool,
    pub(crate) checks_tries: bool,
    pub(crate) checks_id: bool,
    /// Ends what makes room before anything is refused.
    pub(crate) ends_first: bool,
    /// Judges the size before anything else.
    pub(crate) sizes_first: bool,
    /// Remembers the tries of a ticket only while their session lives.
    pub(crate) forgets_tries: bool,
    pub(crate) live_of: LiveOf,
    pub(crate) admit: Admit,
}

/// The contract's rules.
pub(crate) const SOUND: SignsInBy = SignsInBy {
    checks_shard: true,
    checks_age: true,
    checks_fence: true,
    checks_tries: true,
    checks_id: true,
    ends_first: false,
    sizes_first: false,
    forgets_tries: false,
    live_of: |state, subject, now| state.live_of(subject, now),
    admit: |asked| asked.soundly(),
};

impl SignsInBy {
    fn step(
        &self,
        sound: &ReferenceStore,
        state: &mut State,
        now: Timestamp,
        (ticket, id, new, limit): (&Ticket, SessionId, &NewRecord, Option<SignInLimit>),
    ) -> Result<Admission, StoreError> {
        let facts = sound.facts();
        let size = new
            .check(&facts.bounds)
            .map_err(|reason| StoreError::too_large("reference", reason));
        if self.sizes_first {
            size?;
        }
        let in_shard = id.shard() == facts.sharding.shard_of(ticket.subject());
        if self.checks_shard && !in_shard {
            return Err(StoreError::new("reference", ErrorKind::Config));
        }
        let live = (self.live_of)(state, ticket.subject(), now);
        let latest = if self.forgets_tries {
            let owners = live.iter().filter_map(|(_, record)| record.header().owner);
            let same = owners.filter(|owner| owner.nonce == ticket.nonce());
            same.map(|owner| owner.attempt).max()
        } else {
            state.tries.get(&ticket.nonce()).copied()
        };
        if self.checks_age && ticket.is_stale(now, facts.ticket_life)
            || self.checks_fence && *ticket.fence() != state.fence(ticket.subject())
            || self.checks_tries && latest > Some(ticket.attempt())
        {
            return Ok(Admission::Revoked);
        }
        let ended = (self.admit)(&Asked {
            ticket,
            predecessor: new.predecessor(),
            live: &live,
            limit,
            now,
        });
        if self.ends_first {
            let tried = admit(ticket, None, &live, None, now).unwrap_or_default();
            for id in ended.iter().flatten().chain(&tried) {
                state.end(*id, now);
            }
        }
        if self.checks_id && state.is_taken(id, now) {
            return Ok(Admission::Exists);
        }
        let Some(ended) = ended else {
            return Ok(Admission::LimitReached);
        };
        new.check(&facts.bounds)
            .map_err(|reason| StoreError::too_large("reference", reason))?;
        for id in &ended {
            state.end(*id, now);
        }
        let (record, _) = new.signed_in(ticket, now);
        state.sessions.insert(id, record.clone());
        state.tries.insert(ticket.nonce(), ticket.attempt());
        Ok(Admission::Admitted { record, ended })
    }
}

#[async_trait]
impl Fault for SignsInBy {
    async fn sign_in(
        &self,
        sound: &ReferenceStore,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        sound.step(|state, now| self.step(sound, state, now, (ticket, id, new, limit)))
    }
}
