//! The statements of a store, written with its names.

use sqlx::SqlStr;

use crate::names::Names;

const LOAD: &str = include_str!("sql/load.sql");
const HOLD: &str = include_str!("sql/hold.sql");
const CREATE: &str = include_str!("sql/create.sql");
const APPLY: &str = include_str!("sql/apply.sql");
const WRITE: &str = include_str!("sql/write.sql");
const DELETE: &str = include_str!("sql/delete.sql");
const TICKET: &str = include_str!("sql/ticket.sql");
const SESSIONS_OF: &str = include_str!("sql/sessions_of.sql");
const SCAN: &str = include_str!("sql/scan.sql");
const BEGIN: &str = "SELECT * FROM {begin}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, \
                     $14, $15, $16, $17, $18, $19)";
const REVOKE: &str = "SELECT * FROM {revoke}($1, $2, $3, $4)";
const PURGE: &str = "SELECT * FROM {purge}($1, $2, $3)";

/// Every statement that a store sends on a request's way.
#[derive(Clone, Debug)]
pub(crate) struct Statements {
    /// Reads several sessions.
    pub(crate) load: SqlStr,
    /// Begins several sessions of nobody.
    pub(crate) create: SqlStr,
    /// Reads a row and holds it.
    pub(crate) hold: SqlStr,
    /// Changes several records whose revisions are known, in one step.
    pub(crate) apply: SqlStr,
    /// Writes a record whose row is held.
    pub(crate) write: SqlStr,
    pub(crate) delete: SqlStr,
    pub(crate) ticket: SqlStr,
    pub(crate) begin: SqlStr,
    pub(crate) sessions_of: SqlStr,
    pub(crate) revoke: SqlStr,
    pub(crate) scan: SqlStr,
    pub(crate) purge: SqlStr,
}

impl Statements {
    pub(crate) fn new(names: &Names) -> Self {
        Self {
            load: names.statement(LOAD),
            create: names.statement(CREATE),
            hold: names.statement(HOLD),
            apply: names.statement(APPLY),
            write: names.statement(WRITE),
            delete: names.statement(DELETE),
            ticket: names.statement(TICKET),
            begin: names.statement(BEGIN),
            sessions_of: names.statement(SESSIONS_OF),
            revoke: names.statement(REVOKE),
            scan: names.statement(SCAN),
            purge: names.statement(PURGE),
        }
    }
}

#[cfg(test)]
pub(crate) const TEMPLATES: [&str; 12] = [
    LOAD,
    CREATE,
    HOLD,
    APPLY,
    WRITE,
    DELETE,
    TICKET,
    SESSIONS_OF,
    SCAN,
    BEGIN,
    REVOKE,
    PURGE,
];
