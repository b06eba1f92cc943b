//! The cases: a file for each clause or two, and one for each ability.

mod apart;
mod apply;
mod bounded;
mod bounds;
mod create;
mod delete;
mod expiry;
mod limit;
mod listing;
mod load;
mod merge;
mod places;
mod renewal;
mod renewal_races;
mod revoke;
mod scan;
mod touch;
mod tries;
mod values;
mod watch;
mod whole;

use crate::case::Case;

/// Every case, in the order of the clauses.
pub(crate) fn all() -> Vec<Case> {
    [
        create::cases(),
        load::cases(),
        apply::cases(),
        merge::cases(),
        whole::cases(),
        touch::cases(),
        expiry::cases(),
        renewal::cases(),
        renewal_races::cases(),
        listing::cases(),
        limit::cases(),
        places::cases(),
        tries::cases(),
        revoke::cases(),
        delete::cases(),
        values::cases(),
        bounds::cases(),
        apart::cases(),
        watch::cases(),
        scan::cases(),
        bounded::cases(),
        crate::history::cases::cases(),
    ]
    .concat()
}
