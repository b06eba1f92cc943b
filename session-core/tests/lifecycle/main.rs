//! The lifecycle above a memory store: verdicts, sign-in, renewal, ends, lost answers, unknown outcomes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ends;
mod orders;
mod renewal;
mod scripted;
mod sign_in;
mod support;
mod unknown_outcomes;
mod verdicts;
mod writes;
