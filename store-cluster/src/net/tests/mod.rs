//! Tests of the mesh over real connections on this machine.

mod authority;
mod linked;
mod node;
mod refused;
mod repeated;
