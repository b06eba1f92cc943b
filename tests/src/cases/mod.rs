//! The cases, by clause.

mod create;

use crate::case::Case;

pub(crate) fn all() -> Vec<Case> {
    [create::cases()].concat()
}
