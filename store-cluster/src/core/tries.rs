//! Later tries of sign-ins: they shut out the earlier ones under the same ticket.

use std::collections::BTreeMap;
use std::time::Duration;

use session_core::{Ticket, Timestamp};

/// So many are remembered. When there are more, the oldest are forgotten, and tickets that are older than
/// they were are refused.
const REMEMBERED_AT_MOST: usize = 1 << 16;

/// The latest try under each ticket of which there was more than one.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    latest: BTreeMap<u64, (u32, Timestamp)>,
    forgotten_until: Option<Timestamp>,
}

impl Tries {
    /// Whether a later try was made, or could have been.
    pub(crate) fn overtook(&self, ticket: &Ticket) -> bool {
        let latest = self
            .latest
            .get(&ticket.nonce())
            .map_or(1, |latest| latest.0);
        ticket.attempt() < latest
            || self
                .forgotten_until
                .is_some_and(|until| ticket.issued_at() <= until)
    }

    /// Notes a try at `now`.
    pub(crate) fn note(&mut self, nonce: u64, attempt: u32, now: Timestamp) {
        if attempt <= 1 {
            return;
        }
        let latest = self.latest.entry(nonce).or_insert((attempt, now));
        if latest.0 < attempt {
            *latest = (attempt, now);
        }
        if self.latest.len() > REMEMBERED_AT_MOST {
            let oldest = self.latest.iter().min_by_key(|(_, (_, at))| *at);
            if let Some((nonce, (_, at))) = oldest.map(|(nonce, it)| (*nonce, *it)) {
                self.latest.remove(&nonce);
                self.forgotten_until = self.forgotten_until.max(Some(at));
            }
        }
    }

    /// Forgets tries of which no ticket is good any more.
    pub(crate) fn forget(&mut self, now: Timestamp, life: Duration) {
        self.latest.retain(|_, (_, at)| now < *at + life);
    }
}
