//! What the driver's errors mean to a caller, and to the connection that they came by.

use session_core::{Applied, ErrorKind, StoreError};

use crate::store::NAME;

/// An error of the driver, understood.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: StoreError,
    /// Whether the connection can be used again.
    pub(crate) connection_lives: bool,
}

impl Failure {
    /// What went wrong with a statement that was on its way. `in_doubt` says what is known of its effect
    /// if no answer came.
    pub(crate) fn of(error: sqlx::Error, in_doubt: Applied) -> Self {
        let (kind, applied, connection_lives) = judge(&error, in_doubt);
        let error = StoreError::new(NAME, kind).because(error);
        Self {
            error: with(error, applied),
            connection_lives,
        }
    }

    /// A statement that took longer than the call may.
    pub(crate) fn overdue(in_doubt: Applied) -> StoreError {
        let error = StoreError::new(NAME, ErrorKind::Unavailable)
            .because("no answer within the time limit");
        with(error, in_doubt)
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

/// An error that the server sent about a statement means that its transaction was rolled back. The
/// exceptions are those that end the connection: the server may have committed before it sent them.
fn judge(error: &sqlx::Error, in_doubt: Applied) -> (ErrorKind, Applied, bool) {
    let code = match error {
        sqlx::Error::Database(error) => error.code().unwrap_or_default(),
        sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => {
            return (ErrorKind::Config, Applied::No, false);
        }
        sqlx::Error::Encode(_) => return (ErrorKind::Unavailable, Applied::No, true),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            return (ErrorKind::Corrupt, in_doubt, true);
        }
        _ => return (ErrorKind::Unavailable, in_doubt, false),
    };
    match &*code {
        // The connection is lost, the server is going down, or it cannot say itself.
        code if code.starts_with("08") || code.starts_with("57P") || code == "40003" => {
            (ErrorKind::Unavailable, in_doubt, false)
        }
        // Disk full.
        "53100" => (ErrorKind::Full, Applied::No, true),
        // Data or an index is corrupted.
        "XX001" | "XX002" => (ErrorKind::Corrupt, Applied::No, true),
        // A missing database, schema, table, column or function; a missing right or log-in; a session
        // that is set to another isolation level.
        "3D000" | "3F000" | "42P01" | "42703" | "42883" | "42501" | "55000" => {
            (ErrorKind::Config, Applied::No, false)
        }
        code if code.starts_with("28") => (ErrorKind::Config, Applied::No, false),
        // A lock that was not to be had, a statement that took too long, a deadlock.
        "55P03" | "57014" | "40P01" | "40001" => (ErrorKind::Unavailable, Applied::No, true),
        // Anything else, a server that became read-only or lost a prepared statement among it, may be
        // better on a new connection.
        _ => (ErrorKind::Unavailable, Applied::No, false),
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
