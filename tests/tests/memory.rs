//! The suite on the in-process store, by a test clock.

use std::process::ExitCode;

use session_conformance::{Opened, Suite};
use session_core::ManualClock;
use store_memory::MemoryStore;

fn main() -> ExitCode {
    let clock = ManualClock::default();
    let builder = {
        let clock = clock.clone();
        move || MemoryStore::builder().clock(clock.clone())
    };
    let (neighbour, bounded) = (builder.clone(), builder.clone());
    Suite::new(move || {
        let store = builder().build();
        async move { Opened::from(store.clone()).with_handle(store) }
    })
    .neighbour(move || std::future::ready(neighbour().build()))
    .bounded(move |max| std::future::ready(bounded().max_sessions(max).build()))
    .clock(clock)
    .main()
}
