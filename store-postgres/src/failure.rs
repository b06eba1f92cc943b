//! What the driver's errors mean to a caller, and to the connection that they came by.

use session_core::{Applied, ErrorKind, StoreError};

use crate::store::NAME;

/// An error of the driver, understood.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: StoreError,
    /// Whether the connection can be used again.
    pub(crate) connection_lives: bool,
    /// Whether the server refused what the statement asks for, so that another, that asks for less, may
    /// do.
    pub(crate) is_refusal: bool,
}

impl Failure {
    /// What went wrong with a statement that was on its way. `in_doubt` says what is known of its effect
    /// if no answer came.
    pub(crate) fn of(error: sqlx::Error, in_doubt: Applied) -> Self {
        let Judgement {
            kind,
            applied,
            connection_lives,
            is_refusal,
        } = judge(&error, in_doubt);
        let error = StoreError::new(NAME, kind).because(error);
        Self {
            error: with(error, applied),
            connection_lives,
            is_refusal,
        }
    }

    /// A statement that had no answer within its time limit.
    pub(crate) fn unanswered(in_doubt: Applied) -> Self {
        Self {
            error: Self::overdue(in_doubt),
            connection_lives: false,
            is_refusal: false,
        }
    }

    /// A statement for which there was no connection any more.
    pub(crate) fn unconnected() -> Self {
        Self {
            error: StoreError::new(NAME, ErrorKind::Unavailable),
            connection_lives: false,
            is_refusal: false,
        }
    }

    /// A statement that took longer than the call may.
    pub(crate) fn overdue(in_doubt: Applied) -> StoreError {
        let error = StoreError::new(NAME, ErrorKind::Unavailable)
            .because("no answer within the time limit");
        with(error, in_doubt)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// An answer that no statement of this store gives.
pub(crate) fn contradiction() -> StoreError {
    StoreError::new(NAME, ErrorKind::Corrupt).because("the server's answer contradicts itself")
}

fn with(error: StoreError, applied: Applied) -> StoreError {
    match applied {
        Applied::No => error,
        Applied::Unknown => error.unknown(),
    }
}

struct Judgement {
    kind: ErrorKind,
    applied: Applied,
    connection_lives: bool,
    is_refusal: bool,
}

/// An error that the server sent about a statement means that its transaction was rolled back. The
/// exceptions are those that end the connection: the server may have committed before it sent them.
fn judge(error: &sqlx::Error, in_doubt: Applied) -> Judgement {
    let of = |kind, applied, connection_lives| Judgement {
        kind,
        applied,
        connection_lives,
        is_refusal: false,
    };
    let refusal = |kind, connection_lives| Judgement {
        is_refusal: true,
        ..of(kind, Applied::No, connection_lives)
    };
    let code = match error {
        sqlx::Error::Database(error) => error.code().unwrap_or_default(),
        sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => {
            return of(ErrorKind::Config, Applied::No, false);
        }
        sqlx::Error::Encode(_) => return refusal(ErrorKind::Unavailable, true),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            return of(ErrorKind::Corrupt, in_doubt, true);
        }
        _ => return of(ErrorKind::Unavailable, in_doubt, false),
    };
    match &*code {
        // The connection is lost, the server is going down, or it cannot say itself.
        code if code.starts_with("08") || code.starts_with("57P") || code == "40003" => {
            of(ErrorKind::Unavailable, in_doubt, false)
        }
        // Disk full.
        "53100" => of(ErrorKind::Full, Applied::No, true),
        // Data or an index is corrupted.
        "XX001" | "XX002" => refusal(ErrorKind::Corrupt, true),
        // A missing database, schema, table, column or function; a missing right or log-in; a session
        // that is set to another isolation level.
        "3D000" | "3F000" | "42P01" | "42703" | "42883" | "42501" | "55000" => {
            of(ErrorKind::Config, Applied::No, false)
        }
        code if code.starts_with("28") => of(ErrorKind::Config, Applied::No, false),
        // A lock that was not to be had, a statement that took too long, a deadlock.
        "55P03" | "57014" | "40P01" | "40001" => of(ErrorKind::Unavailable, Applied::No, true),
        // A server that became read-only; a prepared statement that was lost. Better on a new connection.
        "25006" | "26000" => of(ErrorKind::Unavailable, Applied::No, false),
        // Data, a constraint, a limit, or somebody's trigger.
        code if ["22", "23", "54", "P0"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            refusal(ErrorKind::Unavailable, true)
        }
        _ => refusal(ErrorKind::Unavailable, false),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_answer_that_never_came_leaves_it_open_whether_the_change_was_applied() {
        let lost = || sqlx::Error::Io(io::Error::from(io::ErrorKind::ConnectionReset));
        let failure = Failure::of(lost(), Applied::Unknown);
        assert_eq!(failure.error.kind(), ErrorKind::Unavailable);
        assert_eq!(failure.error.applied(), Applied::Unknown);
        assert!(!failure.connection_lives);
        assert_eq!(
            Failure::of(lost(), Applied::No).error.applied(),
            Applied::No
        );
    }
}
