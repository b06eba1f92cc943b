//! What an error of the driver or the server means, and whether the step may have been taken.

use redis::{ErrorKind as DriverKind, RedisError, ServerErrorKind};
use session_core::{ErrorKind, StoreError};

use crate::address::Address;
use crate::store::NAME;

/// What to do about an answer that is an error.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server does not know the script yet. It did nothing.
    NoScript,
    /// The node does not serve the slot: this one does. It did nothing.
    Moved(Elsewhere),
    /// For this one time the other node is to be asked. It did nothing.
    Ask(Elsewhere),
    /// The slot is between two nodes. Nothing was done.
    TryAgain,
    /// The call is over, and the server is not the one to ask any more. It did nothing.
    Demoted(StoreError),
    /// The connection is of no more use, and the call over: but nothing is lost by asking again what was
    /// only a question.
    Broken(StoreError),
    /// The call is over.
    Final(StoreError),
}

impl Failure {
    /// Whether the slot is elsewhere, or on its way.
    pub(crate) const fn is_about_a_slot(&self) -> bool {
        matches!(self, Self::Moved(_) | Self::Ask(_) | Self::TryAgain)
    }
}

/// Another node of the cluster, as one of them names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Elsewhere(Box<str>);

impl Elsewhere {
    /// The node's address; where only a port is named, on the host of the node that said so.
    pub(crate) fn seen_from(&self, node: &Address) -> Option<Address> {
        let port = self.0.strip_prefix(':').and_then(|port| port.parse().ok());
        match port {
            Some(port) => Some(Address {
                host: node.host.clone(),
                port,
            }),
            None => Address::parse(&self.0, node.port).ok(),
        }
    }
}

/// Errors by which a server says that it did nothing.
///
/// A script reads what it will write before it writes, and Redis judges its own state at a script's
/// first write: so they also mean that when they come from within a script. One that takes several steps sees
/// by itself which session it cannot read.
const REFUSALS: [(&str, ErrorKind); 13] = [
    ("OOM", ErrorKind::Full),
    ("READONLY", ErrorKind::Unavailable),
    ("MISCONF", ErrorKind::Unavailable),
    ("NOREPLICAS", ErrorKind::Unavailable),
    ("LOADING", ErrorKind::Unavailable),
    ("BUSY", ErrorKind::Unavailable),
    ("MASTERDOWN", ErrorKind::Unavailable),
    ("CLUSTERDOWN", ErrorKind::Unavailable),
    ("NOAUTH", ErrorKind::Config),
    ("WRONGPASS", ErrorKind::Config),
    ("NOPERM", ErrorKind::Config),
    ("CROSSSLOT", ErrorKind::Config),
    ("WRONGTYPE", ErrorKind::Corrupt),
];

/// What a script's error says that came upon a command its user may not use: up to version 7.0, and since.
const DENIALS: [&str; 2] = ["user executing the script", "ACL failure in script"];

/// What the answer to a command means that was sent.
pub(crate) fn of_answer(error: RedisError, writes: bool) -> Failure {
    let elsewhere = || {
        error
            .redirect_node()
            .map(|(node, _)| Elsewhere(node.into()))
    };
    match (error.kind(), elsewhere()) {
        (DriverKind::Server(ServerErrorKind::NoScript), _) => return Failure::NoScript,
        (DriverKind::Server(ServerErrorKind::Moved), Some(node)) => return Failure::Moved(node),
        (DriverKind::Server(ServerErrorKind::Ask), Some(node)) => return Failure::Ask(node),
        (DriverKind::Server(ServerErrorKind::TryAgain), _) => return Failure::TryAgain,
        _ => {}
    }
    if matches!(error.kind(), DriverKind::Io | DriverKind::Parse) {
        return Failure::Broken(in_doubt(writes).because(error));
    }
    let detail = error.detail().unwrap_or_default();
    // A script that came upon a key of its slot that the other node has.
    if detail.contains("non local key") {
        return Failure::TryAgain;
    }
    // One that came upon a command that its user may not use. Rights are tried when a store connects: they
    // were taken away since.
    if DENIALS.iter().any(|denial| detail.contains(denial)) {
        let error = config().because(error);
        return Failure::Final(if writes { error.unknown() } else { error });
    }
    match refusal(&error) {
        Some(("READONLY", kind)) => Failure::Demoted(StoreError::new(NAME, kind).because(error)),
        Some((_, kind)) => Failure::Final(StoreError::new(NAME, kind).because(error)),
        None => Failure::Final(in_doubt(writes).because(error)),
    }
}

/// Whether it is an error by which a server says that it did nothing, and why.
pub(crate) fn did_nothing(error: &RedisError) -> bool {
    refusal(error).is_some()
}

/// Which of [`REFUSALS`] it is.
fn refusal(error: &RedisError) -> Option<(&'static str, ErrorKind)> {
    let (code, detail) = (error.code(), error.detail().unwrap_or_default());
    // Until version 7 a script's error was wrapped in another.
    let is = |refusal: &str| code == Some(refusal) || detail.contains(&format!("-{refusal} "));
    REFUSALS.into_iter().find(|(refusal, _)| is(refusal))
}

/// What it means that no connection was to be had.
pub(crate) fn of_connecting(error: RedisError) -> StoreError {
    let kind = match error.kind() {
        DriverKind::AuthenticationFailed | DriverKind::InvalidClientConfig => ErrorKind::Config,
        _ => refusal(&error).map_or(ErrorKind::Unavailable, |(_, kind)| kind),
    };
    StoreError::new(NAME, kind).because(error)
}

/// The failure of a command that was sent and never answered as it should have been.
pub(crate) fn in_doubt(writes: bool) -> StoreError {
    let error = unavailable();
    if writes { error.unknown() } else { error }
}

pub(crate) const fn unavailable() -> StoreError {
    StoreError::new(NAME, ErrorKind::Unavailable)
}

pub(crate) const fn config() -> StoreError {
    StoreError::new(NAME, ErrorKind::Config)
}

/// What it means that an answer is not of the form that its script gives.
pub(crate) fn unexpected(writes: bool) -> StoreError {
    in_doubt(writes).because("an answer that no script here gives")
}

#[cfg(test)]
mod tests {
    use session_core::Applied;

    use super::*;

    fn answer(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    fn last(line: &str) -> (ErrorKind, Applied) {
        match of_answer(answer(line), true) {
            Failure::Final(error) | Failure::Demoted(error) => (error.kind(), error.applied()),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_full_server_has_done_nothing_in_every_version() {
        let plain = "OOM command not allowed when used memory > 'maxmemory'.";
        assert_eq!(last(plain), (ErrorKind::Full, Applied::No));
        let wrapped = format!("ERR Error running script (call to f_1): @user_script:3: -{plain}");
        assert_eq!(last(&wrapped), (ErrorKind::Full, Applied::No));
    }

    #[test]
    fn a_server_that_does_not_serve_has_done_nothing() {
        for line in [
            "READONLY You can't write against a read only replica. script: 1, on @user_script:1.",
            "LOADING Redis is loading the dataset in memory",
            "CLUSTERDOWN The cluster is down",
            "BUSY Redis is busy running a script.",
        ] {
            assert_eq!(last(line), (ErrorKind::Unavailable, Applied::No), "{line}");
        }
    }

    #[test]
    fn an_error_that_says_nothing_leaves_a_write_in_doubt() {
        let line = "ERR something else";
        assert_eq!(last(line), (ErrorKind::Unavailable, Applied::Unknown));
        match of_answer(answer(line), false) {
            Failure::Final(error) => assert_eq!(error.applied(), Applied::No),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_user_who_may_not_do_it_is_a_mistake_of_whoever_set_it_up_in_every_version() {
        for line in [
            "ERR Error running script (call to f_1): @user_script:1: @user_script: 1: The user executing the \
             script can't run this command or subcommand",
            "ERR The user executing the script can't run this command or subcommand script: 1, on \
             @user_script:1.",
            "ERR ACL failure in script: User app has no permissions to run the 'setrange' command script: \
             on @user_script:1.",
        ] {
            assert_eq!(last(line), (ErrorKind::Config, Applied::Unknown), "{line}");
        }
    }

    #[test]
    fn redirections_name_a_node() {
        let here = Address::parse("here:1", 0).unwrap();
        for (line, there) in [
            ("MOVED 3999 127.0.0.1:6381", "127.0.0.1:6381"),
            ("MOVED 3999 ::1:6381", "[::1]:6381"),
            ("MOVED 3999 :6381", "here:6381"),
        ] {
            match of_answer(answer(line), true) {
                Failure::Moved(node) => {
                    assert_eq!(node.seen_from(&here).unwrap().to_string(), there);
                }
                other => panic!("{line}: {other:?}"),
            }
        }
        let ask = of_answer(answer("ASK 1 a:2"), true);
        assert!(matches!(ask, Failure::Ask(_)));
    }
}
