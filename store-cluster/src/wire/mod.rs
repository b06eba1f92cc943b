//! What replicas say to each other, byte for byte.
//!
//! A frame is its length (4 bytes, big-endian, of what follows), its kind, the version of its body, and
//! the body. Two nodes speak the highest version that both know ([`VERSION`] and the one before it are
//! known). Frames of a kind that is not known are skipped. In a body, numbers are LEB128 varints unless
//! said otherwise.
//!
//! A session travels as a list of fields, each with its own length. Fields from
//! [`FIRST_OPAQUE`](state::FIRST_OPAQUE) on are registers of which the greater bytes win, so a node
//! keeps, joins and passes on what a later version adds without knowing what it means.
//!
//! | version | |
//! |---|---|
//! | 2 | the oldest that is still spoken |
//! | 3 | a body begins with the number of the frame, and the frames of one replica for another are numbered upwards over all links between the two; an audit is of some buckets |

mod message;
mod reader;
pub(crate) mod state;
mod writer;

pub(crate) use self::message::{Item, Message, Vector, append_push};
pub(crate) use self::reader::{Reader, WireError};
pub(crate) use self::state::{read_live, write_live, write_op};
pub(crate) use self::writer::Writer;

/// The version that this build speaks.
pub(crate) const VERSION: u8 = 3;
/// The oldest version that it still speaks.
pub(crate) const OLDEST: u8 = 2;
/// The longest frame, without its length.
pub(crate) const MAX_FRAME: usize = 8 << 20;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
