//! An in-process session store that never drops a live session silently.

mod abilities;
mod capacity;
mod expiry;
mod feed;
mod fences;
mod options;
mod store;
mod stripe;
mod stripes;
mod table;

pub use capacity::Usage;
pub use options::MemoryStoreBuilder;
pub use store::MemoryStore;
