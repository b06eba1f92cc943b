//! Calls: what a history asks of a store, kept in plain parts beside what the store is given.

use std::fmt;
use std::time::Duration;

use session_core::{
    Change, Clock, EntryName, Freshness, JsonText, ManualClock, NewRecord, Record, Renewal,
    Revision, SecretHash, SessionId, SessionStore, SignInLimit, Subject, Ticket, Timeouts,
};

use super::answer::Answer;
use super::plain::{short_hash, short_id, short_text};

/// One call, or a step of the clock.
#[derive(Clone)]
pub(super) enum Call {
    Create {
        id: SessionId,
        draft: Draft,
    },
    Load {
        id: SessionId,
        freshness: Freshness,
    },
    Apply {
        id: SessionId,
        plan: Plan,
        seen: Option<Record>,
    },
    Delete {
        id: SessionId,
    },
    Ticket {
        subject: Subject,
    },
    SignIn {
        ticket: Ticket,
        id: SessionId,
        draft: Draft,
        limit: Option<SignInLimit>,
    },
    SessionsOf {
        subject: Subject,
    },
    Revoke {
        subject: Subject,
        except: Option<SessionId>,
    },
    Advance(Duration),
}

/// A new record in plain parts, and as a store is given it.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) secret: SecretHash,
    pub(super) timeouts: Timeouts,
    pub(super) entries: Vec<(EntryName, JsonText)>,
    pub(super) predecessor: Option<SessionId>,
    pub(super) record: NewRecord,
}

impl Draft {
    pub(super) fn new(
        secret: SecretHash,
        timeouts: Timeouts,
        entries: Vec<(EntryName, JsonText)>,
        predecessor: Option<SessionId>,
    ) -> Self {
        let record = NewRecord::new(secret, timeouts)
            .with_entries(entries.iter().cloned())
            .with_predecessor(predecessor);
        Self {
            secret,
            timeouts,
            entries,
            predecessor,
            record,
        }
    }
}

/// One edit of a plan.
#[derive(Clone)]
pub(super) enum Edit {
    Set(EntryName, JsonText),
    Remove(EntryName),
    Clear,
}

/// A change in plain parts, and as a store is given it.
#[derive(Clone)]
pub(super) struct Plan {
    /// In the order in which they were asked for.
    pub(super) edits: Vec<Edit>,
    pub(super) guard: Option<Revision>,
    pub(super) touch: bool,
    pub(super) promote: Option<SecretHash>,
    pub(super) renew: Option<Renewal>,
    pub(super) shorten: Option<Duration>,
    pub(super) settle: bool,
    pub(super) change: Change,
}

impl Plan {
    pub(super) fn new() -> Self {
        Self {
            edits: Vec::new(),
            guard: None,
            touch: false,
            promote: None,
            renew: None,
            shorten: None,
            settle: false,
            change: Change::new(),
        }
    }

    /// Brings what the store is given in line with the parts.
    pub(super) fn built(mut self) -> Self {
        let mut change = Change::new();
        for edit in &self.edits {
            change = match edit {
                Edit::Set(name, value) => change.set(name.clone(), value.clone()),
                Edit::Remove(name) => change.remove(name.clone()),
                Edit::Clear => change.clear(),
            };
        }
        if let Some(secret) = self.promote {
            change = change.promote(secret);
        }
        if let Some(renewal) = self.renew {
            change = change.renew(renewal);
        }
        if let Some(life) = self.shorten {
            change = change.shorten(life);
        }
        if self.settle {
            change = change.settle_predecessor();
        }
        if let Some(revision) = self.guard {
            change = change.guarded_by(revision);
        }
        if self.touch {
            change = change.touch();
        }
        self.change = change;
        self
    }

    /// Whether the change touches and does nothing else.
    pub(super) fn is_pure_touch(&self) -> bool {
        self.touch
            && self.edits.is_empty()
            && self.promote.is_none()
            && self.renew.is_none()
            && self.shorten.is_none()
            && !self.settle
    }
}

impl Call {
    /// Asks `store`.
    pub(super) async fn perform(
        &self,
        store: &dyn SessionStore,
        clock: Option<&ManualClock>,
    ) -> Answer<Record> {
        match self {
            Self::Create { id, draft } => Answer::creation(store.create(*id, &draft.record).await),
            Self::Load { id, freshness } => Answer::loaded(store.load(*id, *freshness).await),
            Self::Apply { id, plan, seen } => {
                Answer::application(store.apply(*id, &plan.change, seen.as_ref()).await)
            }
            Self::Delete { id } => Answer::deleted(store.delete(*id).await),
            Self::Ticket { subject } => Answer::ticket(store.ticket(subject).await),
            Self::SignIn {
                ticket,
                id,
                draft,
                limit,
            } => Answer::admission(store.sign_in(ticket, *id, &draft.record, *limit).await),
            Self::SessionsOf { subject } => Answer::sessions(store.sessions_of(subject).await),
            Self::Revoke { subject, except } => {
                Answer::revoked(store.revoke(subject, *except).await)
            }
            Self::Advance(duration) => {
                if let Some(clock) = clock {
                    clock.advance(*duration);
                }
                Answer::Advanced
            }
        }
    }

    /// The id that the call names, if it names one.
    pub(super) fn id(&self) -> Option<SessionId> {
        match self {
            Self::Create { id, .. }
            | Self::Load { id, .. }
            | Self::Apply { id, .. }
            | Self::Delete { id }
            | Self::SignIn { id, .. } => Some(*id),
            Self::Revoke { except, .. } => *except,
            Self::Ticket { .. } | Self::SessionsOf { .. } | Self::Advance(_) => None,
        }
    }

    /// The subject that the call names, if it names one.
    pub(super) fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Ticket { subject }
            | Self::SessionsOf { subject }
            | Self::Revoke { subject, .. } => Some(subject),
            Self::SignIn { ticket, .. } => Some(ticket.subject()),
            _ => None,
        }
    }
}

/// The present by the test clock, if there is one.
pub(super) fn now(clock: Option<&ManualClock>) -> Option<u64> {
    clock.map(|clock| clock.now().as_millis())
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = self.id() {
            write!(f, "{} ", short_id(id.as_bytes()))?;
        }
        match self {
            Self::Create { draft, .. } => write!(f, "create {draft:?}"),
            Self::Load { freshness, .. } => write!(f, "load {freshness:?}"),
            Self::Apply { plan, seen, .. } => {
                write!(f, "apply {plan:?}")?;
                match seen {
                    Some(seen) => write!(f, " seen r{:04x}", seen.revision().to_u64() >> 48),
                    None => Ok(()),
                }
            }
            Self::Delete { .. } => write!(f, "delete"),
            Self::Ticket { subject } => write!(f, "ticket {subject}"),
            Self::SignIn {
                ticket,
                draft,
                limit,
                ..
            } => write!(
                f,
                "sign_in {} ticket {:04x}/{} {limit:?} {draft:?}",
                ticket.subject(),
                ticket.nonce() >> 48,
                ticket.attempt(),
            ),
            Self::SessionsOf { subject } => write!(f, "sessions_of {subject}"),
            Self::Revoke { subject, .. } => write!(f, "revoke {subject}"),
            Self::Advance(duration) => write!(f, "the clock moves by {duration:?}"),
        }
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: Vec<_> = self.entries.iter().map(shown).collect();
        write!(
            f,
            "{{r{:04x} {} absolute {:?} idle {:?} {entries:?}",
            self.record.revision().to_u64() >> 48,
            short_hash(&self.secret),
            self.timeouts.absolute(),
            self.timeouts.idle(),
        )?;
        if let Some(id) = &self.predecessor {
            write!(f, " after {}", short_id(id.as_bytes()))?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{r{:04x}", self.change.revision().to_u64() >> 48)?;
        if let Some(guard) = self.guard {
            write!(f, " if r{:04x}", guard.to_u64() >> 48)?;
        }
        for edit in &self.edits {
            match edit {
                Edit::Set(name, value) => write!(f, " set {}", shown(&(name, value)))?,
                Edit::Remove(name) => write!(f, " remove {}", short_text(name.as_str()))?,
                Edit::Clear => f.write_str(" clear")?,
            }
        }
        if self.touch {
            f.write_str(" touch")?;
        }
        if let Some(secret) = &self.promote {
            write!(f, " promote {}", short_hash(secret))?;
        }
        if let Some(renewal) = &self.renew {
            let how = if renewal.soft {
                "softly renew"
            } else {
                "renew"
            };
            let (old, new) = (short_hash(&renewal.replaces), short_hash(&renewal.issue));
            write!(f, " {how} {old} by {new}")?;
        }
        if let Some(life) = self.shorten {
            write!(f, " shorten to {life:?}")?;
        }
        if self.settle {
            f.write_str(" settle")?;
        }
        f.write_str("}")
    }
}

fn shown<N: AsRef<str>, V: AsJson>((name, value): &(N, V)) -> String {
    format!(
        "{} = {}",
        short_text(name.as_ref()),
        short_text(value.text())
    )
}

trait AsJson {
    fn text(&self) -> &str;
}

impl AsJson for JsonText {
    fn text(&self) -> &str {
        self.as_str()
    }
}

impl AsJson for &JsonText {
    fn text(&self) -> &str {
        self.as_str()
    }
}
