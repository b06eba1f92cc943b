//! The built-in users. Their passwords stand on the page: this is a demo.

use session_core::Subject;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Somebody who can sign in.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: &'static str,
    pub(crate) password: &'static str,
}

/// Everybody who can.
pub(crate) const USERS: [User; 2] = [
    User {
        name: "alice",
        password: "wonderland",
    },
    User {
        name: "bob",
        password: "builder",
    },
];

/// The subject of this name, if there is such a user.
pub(crate) fn subject(name: &str) -> Option<Subject> {
    USERS
        .iter()
        .find(|user| user.name == name)
        .and_then(|user| Subject::new(user.name).ok())
}

/// Whether the password is that user's. Every user is compared, in constant time, whatever was typed.
pub(crate) fn is_password(name: &str, password: &str) -> bool {
    let mut found = Choice::from(0);
    for user in &USERS {
        found |= same(user.name, name) & same(user.password, password);
    }
    found.into()
}

/// Hashes are compared, so that not even the length of the text shows.
fn same(expected: &str, typed: &str) -> Choice {
    Sha256::digest(expected)
        .as_slice()
        .ct_eq(Sha256::digest(typed).as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_its_own_password_and_no_other() {
        assert!(is_password("alice", "wonderland"));
        assert!(is_password("bob", "builder"));
        assert!(!is_password("alice", "builder"));
        assert!(!is_password("alice", ""));
        assert!(!is_password("carol", "wonderland"));
    }
}
