//! The stage: a few sessions, tickets and secrets that the calls of a concurrent history are about.

use std::num::NonZeroUsize;
use std::time::Duration;

use session_core::{
    Freshness, LimitPolicy, ManualClock, Renewal, Revision, SecretHash, SessionId, SessionStore,
    SignInLimit, Subject, Ticket, Timeouts,
};

use super::answer::Answer;
use super::call::{Call, Draft, Edit, Plan};
use super::recorder::Recorder;
use super::world::World;

/// How long the sessions on stage live unused.
pub(super) const IDLE: Duration = Duration::from_secs(1_000);

/// What the calls of a concurrent history are about.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) subject: Subject,
    /// A session of the subject, presented once and then renewed.
    pub(super) user: SessionId,
    user_revision: Revision,
    user_secret: SecretHash,
    renewed_secret: SecretHash,
    /// An anonymous session.
    pub(super) visitor: SessionId,
    visitor_revision: Revision,
    /// An id that nobody has yet.
    pub(super) free: SessionId,
    /// Ids for sign-ins, none used twice by itself.
    pub(super) spare: Vec<SessionId>,
    pub(super) tickets: Vec<Ticket>,
}

impl Stage {
    /// Sets the stage, by calls that are recorded as task 0's.
    pub(super) async fn set(
        mut world: World,
        store: &dyn SessionStore,
        clock: Option<&ManualClock>,
        recorder: &Recorder,
    ) -> Self {
        let subject = world.subjects[0].clone();
        let user = world.id(Some(&subject));
        let visitor = world.id(None);
        let free = world.id(Some(&subject));
        let call = async |call| recorder.perform(0, call, store, clock).await;

        let mut tickets = Vec::new();
        for _ in 0..3 {
            let subject = subject.clone();
            if let Answer::Ticket(ticket) = call(Call::Ticket { subject }).await {
                tickets.push(ticket);
            }
        }
        let draft = lasting(&mut world, None);
        let user_secret = draft.secret;
        if let Some(ticket) = tickets.pop() {
            call(Call::SignIn {
                ticket,
                id: user,
                draft,
                limit: None,
            })
            .await;
        }
        let renewed_secret = world.secret();
        let plan = Plan {
            promote: Some(user_secret),
            renew: Some(Renewal {
                issue: renewed_secret,
                replaces: user_secret,
                soft: false,
            }),
            ..Plan::new()
        }
        .built();
        let user_revision = plan.change.revision();
        call(Call::Apply {
            id: user,
            plan,
            seen: None,
        })
        .await;
        let draft = lasting(&mut world, None);
        let visitor_revision = draft.record.revision();
        call(Call::Create { id: visitor, draft }).await;
        Self {
            world,
            subject,
            user,
            user_revision,
            user_secret,
            renewed_secret,
            visitor,
            visitor_revision,
            free,
            spare: Vec::new(),
            tickets,
        }
    }

    pub(super) fn draft(&mut self, predecessor: Option<SessionId>) -> Draft {
        lasting(&mut self.world, predecessor)
    }

    pub(super) fn create(&mut self, id: SessionId) -> Call {
        let draft = self.draft(None);
        Call::Create { id, draft }
    }

    pub(super) fn apply(&mut self, id: SessionId, plan: Plan) -> Call {
        let plan = plan.built();
        Call::Apply {
            id,
            plan,
            seen: None,
        }
    }

    /// A change of a session on stage, of any kind.
    pub(super) fn any_change(&mut self, id: SessionId) -> Call {
        let plan = match self.world.rng.below(8) {
            0 => self.guarded(id),
            1 => Plan {
                touch: true,
                ..Plan::new()
            },
            2 => Plan {
                promote: Some(self.renewed_secret),
                ..Plan::new()
            },
            3 => self.renewal(),
            _ => self.edit(),
        };
        self.apply(id, plan)
    }

    pub(super) fn edit(&mut self) -> Plan {
        let edits = vec![Edit::Set(self.world.name(), self.world.value())];
        Plan {
            edits,
            touch: self.world.rng.one_in(3),
            ..Plan::new()
        }
    }

    /// A change that is guarded by the revision that the session has on stage.
    pub(super) fn guarded(&mut self, id: SessionId) -> Plan {
        let revision = if id == self.user {
            self.user_revision
        } else {
            self.visitor_revision
        };
        Plan {
            guard: Some(revision),
            ..self.edit()
        }
    }

    pub(super) fn renewal(&mut self) -> Plan {
        let replaces = match self.world.rng.below(2) {
            0 => self.user_secret,
            _ => self.renewed_secret,
        };
        let renew = Some(Renewal {
            issue: self.world.secret(),
            replaces,
            soft: self.world.rng.one_in(3),
        });
        Plan {
            renew,
            ..Plan::new()
        }
    }

    /// Presents the secret that nobody has presented yet.
    pub(super) fn promotion(&self) -> Plan {
        Plan {
            promote: Some(self.renewed_secret),
            touch: true,
            ..Plan::new()
        }
    }

    /// A sign-in under one of the tickets on stage.
    pub(super) fn sign_in(&mut self, id: SessionId, limit: Option<SignInLimit>) -> Call {
        let ticket = self.ticket();
        self.sign_in_under(ticket, id, limit)
    }

    pub(super) fn sign_in_under(
        &mut self,
        ticket: Ticket,
        id: SessionId,
        limit: Option<SignInLimit>,
    ) -> Call {
        let predecessor = self
            .world
            .one_of(&[None, None, Some(self.user), Some(self.visitor)]);
        let draft = self.draft(predecessor);
        Call::SignIn {
            ticket,
            id,
            draft,
            limit,
        }
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        let tickets = self.tickets.clone();
        self.world.one_of(&tickets)
    }

    /// An id for a sign-in.
    pub(super) fn fresh_id(&mut self) -> SessionId {
        let subject = self.subject.clone();
        let id = self.world.id(Some(&subject));
        self.spare.push(id);
        id
    }

    pub(super) fn limit(&mut self, policy: LimitPolicy) -> Option<SignInLimit> {
        let max = NonZeroUsize::new(1 + self.world.rng.below(3))?;
        Some(SignInLimit { max, policy })
    }

    /// Looks at everything, one call after another: the end that every history must lead to.
    pub(super) async fn look(
        &self,
        store: &dyn SessionStore,
        clock: Option<&ManualClock>,
        recorder: &Recorder,
    ) {
        let ids = [self.user, self.visitor, self.free]
            .into_iter()
            .chain(self.spare.iter().copied());
        for id in ids {
            let freshness = Freshness::Source;
            recorder
                .perform(0, Call::Load { id, freshness }, store, clock)
                .await;
        }
        let subject = self.subject.clone();
        recorder
            .perform(0, Call::SessionsOf { subject }, store, clock)
            .await;
    }

    /// Leaves as little as can be on a server that others use. Nothing is recorded of it.
    pub(super) async fn clear(&self, store: &dyn SessionStore, clock: Option<&ManualClock>) {
        let subject = self.subject.clone();
        let except = None;
        Call::Revoke { subject, except }.perform(store, clock).await;
        for id in [self.visitor, self.free] {
            Call::Delete { id }.perform(store, clock).await;
        }
    }
}

fn lasting(world: &mut World, predecessor: Option<SessionId>) -> Draft {
    let timeouts = Timeouts::new(IDLE * 10).with_idle(IDLE);
    let entries = world.entries();
    Draft::new(world.secret(), timeouts, entries, predecessor)
}
