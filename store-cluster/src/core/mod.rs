//! The replica: one node's sessions and what it knows of the others. It does no input or output, and
//! reads no clock: whoever drives it tells it the time and carries its frames.

mod clock;

pub(crate) use self::clock::{Incarnation, Now};
