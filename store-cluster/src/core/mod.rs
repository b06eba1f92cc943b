//! The replica: one node's sessions and what it knows of the others. It does no input or output, and
//! reads no clock: whoever drives it tells it the time and carries its frames.
//!
//! | file | what |
//! |---|---|
//! | `state.rs`, `secrets.rs`, `fence.rs`, `clock.rs` | the lattice: what is known of a session, and how it is joined |
//! | `cell.rs`, `cells.rs` | how it is kept |
//! | `verbs.rs`, `change.rs` | the contract's verbs, and how a change becomes a part of the lattice |
//! | `integrate.rs` | the one way in which anything changes |
//! | `exchange.rs`, `scan.rs`, `ring.rs`, `log.rs`, `link.rs`, `member.rs` | replication |
//! | `asks.rs` | asking the peers before saying "no" |
//! | `sweep.rs`, `audit.rs` | letting go of what is over; comparing two nodes |

mod asks;
mod audit;
mod cell;
mod cells;
mod change;
mod clock;
mod digest;
mod effect;
mod exchange;
mod fence;
mod integrate;
mod link;
mod log;
mod member;
mod options;
mod planted;
mod replica;
mod ring;
mod scan;
mod secrets;
mod state;
mod sweep;
mod tries;
mod verbs;

#[cfg(test)]
pub(crate) use self::audit::BUCKETS;
pub use self::cells::Usage;
pub(crate) use self::clock::{Incarnation, Now, Stamp};
pub(crate) use self::effect::{Alarm, AskId, Asked, Effect, Effects, Refused, Written};
pub(crate) use self::exchange::FrameError;
pub(crate) use self::fence::{Fence, Revokes};
pub(crate) use self::member::Presence;
pub(crate) use self::options::ReplicaOptions;
#[cfg(test)]
pub(crate) use self::planted::Fault;
pub(crate) use self::replica::Replica;
pub(crate) use self::secrets::Secret;
pub(crate) use self::state::{Birth, Dead, LastChange, Live, Register, State};

#[cfg(test)]
mod by_hand;
#[cfg(test)]
pub(crate) mod laws;
#[cfg(test)]
mod single;
