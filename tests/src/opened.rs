//! What an opener gives to the suite.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use session_core::{SessionStore, SharedStore};

/// A store under test, as its opener gives it: other handles to the same sessions, and whatever must
/// live as long as the store, such as a container that ends when it is dropped.
///
/// A store by itself converts into one.
///
/// ```
/// use session_conformance::{Opened, reference::ReferenceStore};
///
/// let store = ReferenceStore::default();
/// let opened = Opened::from(store.clone()).with_handle(store).holding("a guard");
/// assert_eq!(opened.handles().len(), 2);
/// ```
#[must_use]
pub struct Opened {
    // Dropped in this order: what the handles speak to must outlive them.
    handles: Vec<SharedStore>,
    guards: Vec<Box<dyn Any + Send + Sync>>,
}

impl Opened {
    /// Adds another handle to the same sessions: a clone, a second client, another node. Cases spread
    /// their calls over all handles, and those about shared state need two.
    pub fn with_handle(mut self, store: impl SessionStore) -> Self {
        self.handles.push(Arc::new(store));
        self
    }

    /// Keeps `guard` until the last case has run.
    pub fn holding(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guards.push(Box::new(guard));
        self
    }

    /// The handles, in the order in which they were given.
    #[must_use]
    pub fn handles(&self) -> &[SharedStore] {
        &self.handles
    }
}

impl<S: SessionStore> From<S> for Opened {
    fn from(store: S) -> Self {
        Self {
            handles: vec![Arc::new(store)],
            guards: Vec::new(),
        }
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("handles", &self.handles)
            .field("guards", &self.guards.len())
            .finish()
    }
}
