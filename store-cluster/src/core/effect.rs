//! What a replica wants done, and how its verbs answer.

use session_core::{FeedItem, TooLarge};

use super::clock::Incarnation;

/// What a replica wants done by whoever drives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Frames wait for this peer.
    Wake(Incarnation),
    /// The peer has all of this replica's operations up to this number.
    Acknowledged { peer: Incarnation, seq: u64 },
    /// A question to the peers was answered: for certain, or not.
    Answered { ask: AskId, certain: bool },
    /// Something happened to a session.
    Feed(FeedItem),
    /// The replica holds what its peers hold, from now on.
    Ready,
    /// Something that cannot be, unless there is a bug or two nodes of one name.
    Alarm(Alarm),
}

/// What cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// Two replicas that know the same hold different sessions.
    Diverged { peer: Incarnation },
    /// A peer knows operations of this replica that it never made.
    Impostor { peer: Incarnation },
}

pub(crate) type Effects = Vec<Effect>;

/// A question to the peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AskId(pub(crate) u64);

/// What a verb answers, and what others must acknowledge before it counts.
#[derive(Clone, Debug)]
pub(crate) struct Written<T> {
    pub(crate) answer: T,
    /// The number of the operation; `None` if there was nothing to do.
    pub(crate) seq: Option<u64>,
}

impl<T> Written<T> {
    pub(crate) const fn nothing(answer: T) -> Self {
        Self { answer, seq: None }
    }

    pub(crate) const fn as_op(answer: T, seq: u64) -> Self {
        Self {
            answer,
            seq: Some(seq),
        }
    }
}

/// Whether the peers were asked since the call began, and knew no better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    No,
    Yes,
}

/// Why a verb does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The answer would be a "no" of which only the peers can be certain.
    Ask,
    /// Nobody can be certain now.
    Unavailable,
    TooLarge(TooLarge),
    Full,
    /// The id is not in its subject's shard.
    Config,
}

impl From<TooLarge> for Refused {
    fn from(reason: TooLarge) -> Self {
        Self::TooLarge(reason)
    }
}
