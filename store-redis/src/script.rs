//! The scripts, as they are sent.

use std::sync::LazyLock;

macro_rules! script {
    ($name:ident, $($file:literal),*) => {
        pub(crate) static $name: Script = Script(LazyLock::new(|| {
            Source::new(concat!(
                include_str!("scripts/clock.lua"),
                $(include_str!(concat!("scripts/", $file, ".lua"))),*
            ))
        }));
    };
}

script!(AGREE, "record", "subject", "agree");
script!(APPLY, "apply");
script!(CREATE, "record", "create");
script!(DELETE, "record", "subject", "delete");
script!(FETCH, "record", "fetch");
script!(REVOKE, "record", "subject", "revoke");
script!(SESSIONS_OF, "record", "subject", "sessions_of");
script!(SIGN_IN, "record", "subject", "sign_in");
script!(TICKET, "ticket");

/// One atomic step, as a Lua script.
pub(crate) struct Script(LazyLock<Source>);

#[derive(Debug)]
struct Source {
    text: &'static str,
    /// The SHA-1 of the text, by which a server that has seen it knows it.
    hash: Box<str>,
}

impl Source {
    fn new(text: &'static str) -> Self {
        let hash = redis::Script::new(text).get_hash().into();
        Self { text, hash }
    }
}

impl Script {
    pub(crate) fn text(&self) -> &'static str {
        self.0.text
    }

    pub(crate) fn hash(&self) -> &str {
        &self.0.hash
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Script").field(&self.hash()).finish()
    }
}
