//! Answers as a case expects them; anything else fails it, at the line that asked.

use std::fmt::Debug;

use session_core::{
    Admission, Application, Applied, Creation, Ended, ErrorKind, Loaded, Record, SessionId,
    StoreError,
};

/// What [`load`](session_core::SessionStore::load) should have said.
pub(crate) trait ExpectLoaded {
    fn live(self) -> Record;
    fn ended(self) -> Ended;
    fn absent(self);
    /// Absent or ended.
    fn dead(self);
}

impl ExpectLoaded for Result<Loaded, StoreError> {
    #[track_caller]
    fn live(self) -> Record {
        match self {
            Ok(Loaded::Live(record)) => record,
            other => panic!("expected a live session, loaded {other:?}"),
        }
    }

    #[track_caller]
    fn ended(self) -> Ended {
        match self {
            Ok(Loaded::Ended(ended)) => ended,
            other => panic!("expected what is kept of an ended session, loaded {other:?}"),
        }
    }

    #[track_caller]
    fn absent(self) {
        match self {
            Ok(Loaded::Absent) => {}
            other => panic!("expected nothing, loaded {other:?}"),
        }
    }

    #[track_caller]
    fn dead(self) {
        match self {
            Ok(Loaded::Absent | Loaded::Ended(_)) => {}
            other => panic!("expected no live session, loaded {other:?}"),
        }
    }
}

/// What [`create`](session_core::SessionStore::create) should have said.
pub(crate) trait ExpectCreation {
    fn created(self) -> Record;
    fn exists(self);
}

impl ExpectCreation for Result<Creation, StoreError> {
    #[track_caller]
    fn created(self) -> Record {
        match self {
            Ok(Creation::Created(record)) => record,
            other => panic!("expected the session to be created: {other:?}"),
        }
    }

    #[track_caller]
    fn exists(self) {
        match self {
            Ok(Creation::Exists) => {}
            other => panic!("expected the id to be taken: {other:?}"),
        }
    }
}

/// What [`apply`](session_core::SessionStore::apply) should have said.
pub(crate) trait ExpectApplication {
    /// The record after the change.
    fn applied(self) -> Record;
    /// The records before and after the change.
    fn step(self) -> (Record, Record);
    fn absent(self);
    fn conflict(self);
}

impl ExpectApplication for Result<Application, StoreError> {
    #[track_caller]
    fn applied(self) -> Record {
        self.step().1
    }

    #[track_caller]
    fn step(self) -> (Record, Record) {
        match self {
            Ok(Application::Applied { previous, record }) => (previous, record),
            other => panic!("expected the change to be applied: {other:?}"),
        }
    }

    #[track_caller]
    fn absent(self) {
        match self {
            Ok(Application::Absent) => {}
            other => panic!("expected the change to find no live session: {other:?}"),
        }
    }

    #[track_caller]
    fn conflict(self) {
        match self {
            Ok(Application::Conflict) => {}
            other => panic!("expected the change to conflict: {other:?}"),
        }
    }
}

/// What [`sign_in`](session_core::SessionStore::sign_in) should have said.
pub(crate) trait ExpectAdmission {
    /// The session, and those that ended for it.
    fn admitted(self) -> (Record, Vec<SessionId>);
    /// The session, for which none ended.
    fn admitted_alone(self) -> Record;
    fn revoked(self);
    fn exists(self);
    fn limit_reached(self);
}

impl ExpectAdmission for Result<Admission, StoreError> {
    #[track_caller]
    fn admitted(self) -> (Record, Vec<SessionId>) {
        match self {
            Ok(Admission::Admitted { record, ended }) => (record, ended),
            other => panic!("expected the sign-in to be admitted: {other:?}"),
        }
    }

    #[track_caller]
    fn admitted_alone(self) -> Record {
        let (record, ended) = self.admitted();
        assert_eq!(ended, [], "expected no session to end for the sign-in");
        record
    }

    #[track_caller]
    fn revoked(self) {
        match self {
            Ok(Admission::Revoked) => {}
            other => panic!("expected the ticket to be refused: {other:?}"),
        }
    }

    #[track_caller]
    fn exists(self) {
        match self {
            Ok(Admission::Exists) => {}
            other => panic!("expected the id to be taken: {other:?}"),
        }
    }

    #[track_caller]
    fn limit_reached(self) {
        match self {
            Ok(Admission::LimitReached) => {}
            other => panic!("expected the limit to be reached: {other:?}"),
        }
    }
}

/// A failure that a case expects.
pub(crate) trait ExpectRefusal {
    /// Fails with this kind, and says that nothing was applied.
    fn refused(self, kind: ErrorKind);
}

impl<T: Debug> ExpectRefusal for Result<T, StoreError> {
    #[track_caller]
    fn refused(self, kind: ErrorKind) {
        match self {
            Err(error) if error.kind() == kind => assert_eq!(
                error.applied(),
                Applied::No,
                "nothing happened, and the error must say so"
            ),
            other => panic!("expected a refusal as {kind:?}: {other:?}"),
        }
    }
}
