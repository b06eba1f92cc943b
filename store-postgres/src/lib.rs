//! Sessions in PostgreSQL 15 or newer: durable, shared by any number of servers, readable with `psql`.
//!
//! ```no_run
//! # async fn start() -> Result<(), session_core::StoreError> {
//! use store_postgres::PostgresStore;
//!
//! let builder = PostgresStore::builder("postgres://app@db.example/app");
//! builder.migrate().await?; // once, at the start or when deploying
//! let store = builder.connect().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! The store is [`Linearizable`](session_core::Consistency::Linearizable), by the **server's clock**, read
//! in each step once the row's lock is held. What was acknowledged survives whatever PostgreSQL's own
//! commits survive: with `synchronous_commit` off, or after a fail-over to an asynchronous replica, the
//! last moments may be lost, an end or a revocation like any other write; with
//! [`unlogged`](PostgresStoreBuilder::unlogged) tables all sessions are, after a crash.
//!
//! Every verb but one is one statement and one round trip. A change that renews or first presents a
//! secret, that shortens a deadline, that finds its caller's copy out of date or the row held by another
//! locks the row in a short transaction.
//!
//! Loads, edits, touches and new sessions that arrive while others are under way are
//! [coalesced](session_core::Coalescer): one statement over arrays, hence one commit. An idle store sends
//! at once, and what the server refuses is refused to its own caller alone.
//!
//! # What a person sees
//!
//! ```sql
//! SELECT * FROM session_list WHERE subject = 'alice';
//! ```
//!
//! | table, view | what |
//! |---|---|
//! | `session_list` | live sessions: id, subject, created, last seen, expires, bytes |
//! | `session_records` | the sessions, and for 60 s what is left of ended ones |
//! | `session_fences` | when a subject was last revoked, while a ticket could be older |
//! | `session_tries` | sign-ins that were tried again |
//! | `session_meta` | the version of the tables, the fingerprint of the sharding |
//!
//! A secret stands there only as its SHA-256. Entries are one `bytea`, never a JSON type: they come back
//! byte for byte.
//!
//! # What it asks for
//!
//! [`Sessions::upkeep`](session_core::Sessions::upkeep), or a call of
//! [`purge_expired`](session_core::PurgeExpired::purge_expired) every minute: nothing else removes expired
//! rows. They are never read as live, purged or not.

mod abilities;
mod apply;
mod coalesced;
mod connections;
mod failure;
mod feed;
mod migrate;
mod names;
mod options;
mod parts;
mod pooler;
mod row;
mod server;
mod statements;
mod store;

pub use options::PostgresStoreBuilder;
pub use server::PostgresServer;
pub use store::PostgresStore;

/// The driver, in the version whose types this crate takes.
pub use sqlx;
