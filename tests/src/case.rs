//! A case: one named test of the contract, and what it needs of a store.

use std::fmt;

use futures_util::future::BoxFuture;

use crate::context::Context;

/// One named test. It fails by panicking.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    /// Begins with the clause that it proves: `clause_05_…`.
    pub(crate) name: &'static str,
    /// Without these the case is ignored.
    pub(crate) needs: &'static [Need],
    pub(crate) run: fn(Context) -> BoxFuture<'static, ()>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish()
    }
}

/// What a case needs beyond a store and fresh ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A test clock, and no other case that runs while it moves.
    Clock,
    /// A test clock that the store itself reads, inside its steps.
    InjectedClock,
    /// A clock that runs by itself: the server's own is the subject.
    RunningClock,
    /// No other case that runs at the same time.
    Quiet,
    /// That calls go through one node, for they are made at the same time and exclude each other.
    OneNode,
    /// Another handle to the same sessions.
    SecondHandle,
    /// Calls that concern all sessions of a subject, and take effect at one instant.
    OneInstant,
    /// That an id may be had again once nothing of its session is left.
    IdsAgain,
    /// A store of another prefix, schema or cluster name on the same server.
    Neighbour,
    /// A store that holds a stated number of sessions.
    Bounded,
    /// The optional `Watch`.
    Watch,
    /// The optional `Scan`.
    Scan,
    /// The optional `PurgeExpired`.
    Purge,
}

/// Lists async functions as cases: `cases![clause_01_this, clause_08_that: Clock + Scan]`.
macro_rules! cases {
    ($($name:ident $(: $need:ident $(+ $more:ident)*)?),* $(,)?) => {
        vec![$(
            $crate::case::Case {
                name: stringify!($name),
                needs: &[
                    $($crate::case::Need::$need, $($crate::case::Need::$more),*)?
                ],
                run: |given| Box::pin($name(given)),
            }
        ),*]
    };
}
