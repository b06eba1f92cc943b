//! Names of entries in applications: plain texts, or typed keys.

use std::marker::PhantomData;

/// The name of an entry together with the type of its value.
///
/// ```
/// use session_core::Key;
///
/// const CART: Key<Vec<String>> = Key::new("cart");
/// assert_eq!(CART.name(), "cart");
/// ```
#[derive(Debug)]
pub struct Key<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// A key for the entry of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            value: PhantomData,
        }
    }

    /// The entry's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

/// What names an entry that holds a `T`: a [`Key`] of that type, or any text.
pub trait Named<T> {
    /// The entry's name.
    fn name(&self) -> &str;
}

impl<T> Named<T> for Key<T> {
    fn name(&self) -> &str {
        self.name
    }
}

impl<T> Named<T> for &str {
    fn name(&self) -> &str {
        self
    }
}

impl<T> Named<T> for &String {
    fn name(&self) -> &str {
        self
    }
}
