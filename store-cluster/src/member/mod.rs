//! Which nodes take part: membership by SWIM, over the links of the mesh.

mod identity;
mod membership;
mod roster;
mod seeds;

pub(crate) use membership::{Event, Membership};
pub(crate) use roster::Roster;
pub(crate) use seeds::Seeds;

#[cfg(test)]
mod tests;
