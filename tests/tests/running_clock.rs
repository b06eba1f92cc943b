//! The suite on its own plain store as a third party would first run it: no test clock, one handle.

use std::process::ExitCode;

use session_conformance::Suite;
use session_conformance::reference::ReferenceStore;

fn main() -> ExitCode {
    Suite::new(|| async { ReferenceStore::default() }).main()
}
