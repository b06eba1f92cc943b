//! The conformance suite on this store.

use session_conformance::Suite;
use session_core::ManualClock;
use third_party_store::MyStore;

fn main() -> std::process::ExitCode {
    let clock = ManualClock::default();
    let store = MyStore::new(clock.clone());
    Suite::new(move || std::future::ready(store.clone()))
        .clock(clock)
        .main()
}
