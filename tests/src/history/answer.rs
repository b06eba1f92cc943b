//! Answers: what a store said, in one type, so that what a model expects can be compared with it.

use session_core::{
    Admission, Application, Applied, Creation, ErrorKind, Loaded, Record, SessionId, StoreError,
    Ticket,
};

use super::call::Call;
use super::plain::{Grave, Session};

/// What a store answered. Lists stand in the order of their ids.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer<R> {
    Created(R),
    Exists,
    Live(R),
    Ended(Grave),
    Absent,
    Applied {
        previous: R,
        record: R,
    },
    Conflict,
    Deleted(bool),
    Ticket(Ticket),
    Admitted {
        record: R,
        ended: Vec<SessionId>,
    },
    Revoked,
    LimitReached,
    Sessions(Vec<(SessionId, R)>),
    EndedAll(Vec<SessionId>),
    Failed(ErrorKind, Applied),
    Advanced,
    /// Of a model alone: what the store said cannot be right, for this reason.
    Never(&'static str),
}

impl Answer<Record> {
    pub(super) fn creation(result: Result<Creation, StoreError>) -> Self {
        match result {
            Ok(Creation::Created(record)) => Self::Created(record),
            Ok(Creation::Exists) => Self::Exists,
            Err(error) => Self::failed(&error),
        }
    }

    pub(super) fn loaded(result: Result<Loaded, StoreError>) -> Self {
        match result {
            Ok(Loaded::Live(record)) => Self::Live(record),
            Ok(Loaded::Ended(ended)) => Self::Ended(Grave::of(&ended)),
            Ok(Loaded::Absent) => Self::Absent,
            Err(error) => Self::failed(&error),
        }
    }

    pub(super) fn application(result: Result<Application, StoreError>) -> Self {
        match result {
            Ok(Application::Applied { previous, record }) => Self::Applied { previous, record },
            Ok(Application::Absent) => Self::Absent,
            Ok(Application::Conflict) => Self::Conflict,
            Err(error) => Self::failed(&error),
        }
    }

    pub(super) fn deleted(result: Result<bool, StoreError>) -> Self {
        result.map_or_else(|error| Self::failed(&error), Self::Deleted)
    }

    pub(super) fn ticket(result: Result<Ticket, StoreError>) -> Self {
        result.map_or_else(|error| Self::failed(&error), Self::Ticket)
    }

    pub(super) fn admission(result: Result<Admission, StoreError>) -> Self {
        match result {
            Ok(Admission::Admitted { record, mut ended }) => {
                ended.sort_unstable();
                Self::Admitted { record, ended }
            }
            Ok(Admission::Revoked) => Self::Revoked,
            Ok(Admission::Exists) => Self::Exists,
            Ok(Admission::LimitReached) => Self::LimitReached,
            Err(error) => Self::failed(&error),
        }
    }

    pub(super) fn sessions(result: Result<Vec<(SessionId, Record)>, StoreError>) -> Self {
        match result {
            Ok(mut sessions) => {
                sessions.sort_by_key(|(id, _)| *id);
                Self::Sessions(sessions)
            }
            Err(error) => Self::failed(&error),
        }
    }

    pub(super) fn revoked(result: Result<Vec<SessionId>, StoreError>) -> Self {
        match result {
            Ok(mut ended) => {
                ended.sort_unstable();
                Self::EndedAll(ended)
            }
            Err(error) => Self::failed(&error),
        }
    }

    fn failed(error: &StoreError) -> Self {
        Self::Failed(error.kind(), error.applied())
    }

    /// The same answer in plain data.
    pub(super) fn plain(&self) -> Answer<Session> {
        match self {
            Self::Created(record) => Answer::Created(Session::of(record)),
            Self::Exists => Answer::Exists,
            Self::Live(record) => Answer::Live(Session::of(record)),
            Self::Ended(grave) => Answer::Ended(grave.clone()),
            Self::Absent => Answer::Absent,
            Self::Applied { previous, record } => Answer::Applied {
                previous: Session::of(previous),
                record: Session::of(record),
            },
            Self::Conflict => Answer::Conflict,
            Self::Deleted(ended) => Answer::Deleted(*ended),
            Self::Ticket(ticket) => Answer::Ticket(ticket.clone()),
            Self::Admitted { record, ended } => Answer::Admitted {
                record: Session::of(record),
                ended: ended.clone(),
            },
            Self::Revoked => Answer::Revoked,
            Self::LimitReached => Answer::LimitReached,
            Self::Sessions(sessions) => Answer::Sessions(
                sessions
                    .iter()
                    .map(|(id, record)| (*id, Session::of(record)))
                    .collect(),
            ),
            Self::EndedAll(ended) => Answer::EndedAll(ended.clone()),
            Self::Failed(kind, applied) => Answer::Failed(*kind, *applied),
            Self::Advanced => Answer::Advanced,
            Self::Never(why) => Answer::Never(why),
        }
    }

    /// The records in the answer.
    pub(super) fn records(&self) -> Vec<&Record> {
        match self {
            Self::Created(record) | Self::Live(record) | Self::Admitted { record, .. } => {
                vec![record]
            }
            Self::Applied { previous, record } => vec![previous, record],
            Self::Sessions(sessions) => sessions.iter().map(|(_, record)| record).collect(),
            _ => Vec::new(),
        }
    }
}

impl<R> Answer<R> {
    /// What the answer to `call` is counted as.
    pub(super) fn outcome(&self, call: &Call) -> &'static str {
        match (call, self) {
            (_, Self::Created(_)) => "create: created",
            (Call::Create { .. }, Self::Exists) => "create: exists",
            (Call::Create { .. }, Self::Failed(ErrorKind::TooLarge, _)) => "create: too large",
            (_, Self::Live(_)) => "load: live",
            (_, Self::Ended(_)) => "load: ended",
            (Call::Load { .. }, Self::Absent) => "load: absent",
            (_, Self::Applied { .. }) => "apply: applied",
            (_, Self::Absent) => "apply: absent",
            (_, Self::Conflict) => "apply: conflict",
            (Call::Apply { .. }, Self::Failed(ErrorKind::TooLarge, _)) => "apply: too large",
            (_, Self::Deleted(true)) => "delete: ended it",
            (_, Self::Deleted(false)) => "delete: nothing to end",
            (_, Self::Ticket(_)) => "ticket",
            (_, Self::Admitted { ended, .. }) if ended.is_empty() => "sign_in: admitted",
            (_, Self::Admitted { .. }) => "sign_in: admitted, others ended",
            (_, Self::Revoked) => "sign_in: revoked",
            (_, Self::Exists) => "sign_in: exists",
            (_, Self::LimitReached) => "sign_in: limit reached",
            (Call::SignIn { .. }, Self::Failed(ErrorKind::Config, _)) => "sign_in: wrong shard",
            (Call::SignIn { .. }, Self::Failed(ErrorKind::TooLarge, _)) => "sign_in: too large",
            (_, Self::Sessions(sessions)) if sessions.is_empty() => "sessions_of: none",
            (_, Self::Sessions(_)) => "sessions_of: some",
            (_, Self::EndedAll(ended)) if ended.is_empty() => "revoke: nothing to end",
            (_, Self::EndedAll(_)) => "revoke: ended some",
            (_, Self::Advanced) => "the clock moved",
            (_, Self::Failed(..)) => "another error",
            (_, Self::Never(_)) => "never right",
        }
    }
}
