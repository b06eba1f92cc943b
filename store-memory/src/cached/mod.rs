//! A tier in front of a slower store, which answers from memory that a session lives.

mod copies;
mod feed;
mod lease;
mod loads;
mod marks;
mod moment;
mod options;
mod store;
mod tier;
mod usage;

pub use options::CachedBuilder;
pub use store::Cached;
pub use usage::CachedUsage;
