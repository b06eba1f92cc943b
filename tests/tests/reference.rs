//! The suite on its own plain store, by a test clock.

use std::process::ExitCode;

use session_conformance::reference::ReferenceStore;
use session_conformance::{Opened, Suite};
use session_core::ManualClock;

fn main() -> ExitCode {
    let clock = ManualClock::default();
    let store = {
        let clock = clock.clone();
        move || ReferenceStore::new(clock.clone())
    };
    let (neighbour, bounded) = (store.clone(), store.clone());
    Suite::new(move || {
        let store = store();
        async move { Opened::from(store.clone()).with_handle(store) }
    })
    .neighbour(move || std::future::ready(neighbour()))
    .bounded(move |max| std::future::ready(bounded().bounded(max)))
    .clock(clock)
    .main()
}
