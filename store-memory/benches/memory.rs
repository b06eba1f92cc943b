//! What a session takes at a million, everything counted.
//!
//! `cargo bench -p store-memory --bench memory` prints the resident memory that a store adds, by
//! session: anonymous, and signed in with one subject each. The sessions hold one value of 200 bytes.
//! Linux only: it reads `/proc/self/statm`.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark may stop at what it does not expect"
)]

use session_core::{
    EntryName, JsonText, NewRecord, SessionId, SessionSecret, SessionStore, Shard, Subject,
    Timeouts,
};
use store_memory::MemoryStore;

const PAGE: usize = 4096;

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * PAGE
}

fn new_record() -> NewRecord {
    let value = format!("\"{}\"", "x".repeat(198));
    let entry = (
        EntryName::new("data").unwrap(),
        JsonText::parse(value).unwrap(),
    );
    NewRecord::new(SessionSecret::generate().hash(), Timeouts::default()).with_entries([entry])
}

async fn fill(store: &MemoryStore, sessions: usize, signed_in: bool) {
    for number in 0..sessions {
        if signed_in {
            let subject = Subject::new(format!("user-{number:07}")).unwrap();
            let id = SessionId::generate(store.facts().sharding.shard_of(&subject));
            let ticket = store.ticket(&subject).await.unwrap();
            store
                .sign_in(&ticket, id, &new_record(), None)
                .await
                .unwrap();
        } else {
            let id = SessionId::generate(Shard::random());
            store.create(id, &new_record()).await.unwrap();
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let bench = std::env::args().any(|arg| arg == "--bench");
    let sessions = if bench { 1_000_000 } else { 1_000 };
    for (name, signed_in) in [("anonymous", false), ("signed in", true)] {
        let before = resident();
        let store = MemoryStore::new();
        let empty = resident() - before;
        fill(&store, sessions, signed_in).await;
        let each = (resident() - before) / sessions;
        let counted = store.usage().bytes / sessions;
        println!(
            "{name}: {each} bytes a session, counted as {counted}; an empty store {} KiB",
            empty / 1024
        );
        // Kept, so that the next store finds no memory that this one gave back.
        std::mem::forget(store);
    }
}
