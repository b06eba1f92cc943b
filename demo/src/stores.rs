//! Which store a URL names. A new backend is one more arm here.

use std::fmt;

use session_core::SharedStore;
use std::sync::Arc;
use store_memory::MemoryStore;
use url::Url;

/// A store, opened.
pub(crate) struct Opened {
    pub(crate) store: SharedStore,
    /// How many sessions it holds, where that costs nothing to know.
    pub(crate) count: Option<Box<dyn Fn() -> usize + Send + Sync>>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opened").field(&self.store).finish()
    }
}

/// Opens the store that `url` names.
///
/// # Errors
///
/// Says what is wrong with the URL, for whoever typed it.
pub(crate) fn open(url: &Url) -> Result<Opened, String> {
    match url.scheme() {
        "memory" => memory(url),
        // "redis", "postgres", "cluster": their crates' own functions from a URL to a store go here.
        other => Err(format!(
            "there is no store {other:?}; there is memory:, memory:?max=50"
        )),
    }
}

/// `memory:`, `memory:?max=50`.
fn memory(url: &Url) -> Result<Opened, String> {
    if !url.path().is_empty() {
        return Err(format!("memory: takes no {:?}, only ?max=50", url.path()));
    }
    let mut builder = MemoryStore::builder();
    for (name, value) in url.query_pairs() {
        builder = match name.as_ref() {
            "max" => builder.max_sessions(number(&name, &value)?),
            other => return Err(format!("memory: has no option {other:?}; it has max")),
        };
    }
    let store = builder.build();
    let counted = store.clone();
    Ok(Opened {
        store: Arc::new(store),
        count: Some(Box::new(move || counted.usage().sessions)),
    })
}

fn number(name: &str, value: &str) -> Result<usize, String> {
    match value.parse() {
        Ok(0) | Err(_) => Err(format!("{name}={value}: that is no number above 0")),
        Ok(number) => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(url: &str) -> Result<Opened, String> {
        super::open(&Url::parse(url).unwrap())
    }

    #[test]
    fn memory_opens_with_and_without_a_bound() {
        assert!(open("memory:").is_ok());
        assert!(open("memory:?max=50").is_ok());
    }

    #[test]
    fn what_it_does_not_know_it_refuses_by_name() {
        assert!(open("memory:?max=0").unwrap_err().contains("max=0"));
        assert!(open("memory:?max=many").unwrap_err().contains("many"));
        assert!(open("memory:?size=5").unwrap_err().contains("size"));
        assert!(open("memory:fast").unwrap_err().contains("fast"));
        assert!(
            open("carrier-pigeon:")
                .unwrap_err()
                .contains("carrier-pigeon")
        );
    }
}
