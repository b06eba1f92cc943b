//! Which sessions make room for a new one: the limit on concurrent sessions as a pure function.

use std::collections::BTreeSet;

use crate::id::SessionId;
use crate::limits::{LimitPolicy, SignInLimit};
use crate::record::{Record, UNPRESENTED_GRACE};
use crate::ticket::Ticket;
use crate::time::Timestamp;

/// Decides, at `now`, which of its subject's `live` sessions a sign-in ends; `None` if it is refused
/// because the limit is reached.
///
/// A store calls this, or does the same on its server, inside the step that admits the session:
///
/// 1. What an earlier try under the same ticket made is ended.
/// 2. A session counts unless another of those that remain, or the new one, names it as its
///    predecessor: the two count as one.
/// 3. While there are too many, sessions make room in this order: the lost ones, oldest first; then, if
///    the policy ends the oldest, the others, oldest first, by `(created_at, id)`. With a session goes
///    the predecessor that only it replaced. Lost is a session that was never presented although signed
///    in [`UNPRESENTED_GRACE`] ago or longer, unless a live one that only it replaced would take its
///    place: that one may still be in use.
/// 4. If too many are left, the sign-in is refused, and nothing is ended.
#[must_use]
pub fn admit(
    ticket: &Ticket,
    predecessor: Option<SessionId>,
    live: &[(SessionId, Record)],
    limit: Option<SignInLimit>,
    now: Timestamp,
) -> Option<Vec<SessionId>> {
    let (mut ended, mut remaining): (Vec<_>, Vec<_>) = live
        .iter()
        .partition(|(_, record)| is_earlier_try(record, ticket));
    if let Some(limit) = limit {
        remaining.sort_by_key(|(id, record)| (record.created_at(), *id));
        let may_go = |lost: bool| lost || limit.policy == LimitPolicy::EndOldest;
        for lost in [true, false] {
            while may_go(lost) && counted(&remaining, predecessor).len() >= limit.max.get() {
                let counted = counted(&remaining, predecessor);
                let Some(at) = remaining.iter().position(|(id, record)| {
                    counted.contains(id)
                        && (!lost
                            || is_lost(record, now) && gives_place(record, &remaining, predecessor))
                }) else {
                    break;
                };
                let gone = remaining.remove(at);
                ended.push(gone);
                end_with(gone, predecessor, &mut remaining, &mut ended);
            }
        }
        if counted(&remaining, predecessor).len() >= limit.max.get() {
            return None;
        }
    }
    Some(ended.into_iter().map(|(id, _)| *id).collect())
}

fn is_earlier_try(record: &Record, ticket: &Ticket) -> bool {
    record
        .header()
        .owner
        .is_some_and(|owner| owner.nonce == ticket.nonce && owner.attempt < ticket.attempt)
}

fn is_lost(record: &Record, now: Timestamp) -> bool {
    !record.was_presented() && now >= record.created_at() + UNPRESENTED_GRACE
}

/// Whether a session that leaves gives its place, rather than leave it to one that only it replaced.
fn gives_place(
    record: &Record,
    remaining: &[&(SessionId, Record)],
    newest: Option<SessionId>,
) -> bool {
    let before = record
        .predecessor()
        .filter(|before| Some(*before) != newest);
    before.is_none_or(|before| {
        let replaced_by =
            |(_, record): &&&(SessionId, Record)| record.predecessor() == Some(before);
        remaining.iter().filter(replaced_by).count() > 1
            || remaining.iter().all(|(id, _)| *id != before)
    })
}

/// The sessions that no other one replaces.
fn counted(live: &[&(SessionId, Record)], newest: Option<SessionId>) -> BTreeSet<SessionId> {
    let replaced: BTreeSet<_> = live
        .iter()
        .filter_map(|(_, record)| record.predecessor())
        .chain(newest)
        .collect();
    live.iter()
        .map(|(id, _)| *id)
        .filter(|id| !replaced.contains(id))
        .collect()
}

/// Ends the predecessor that only `gone` replaced: it must not begin to count again.
fn end_with<'a>(
    gone: &(SessionId, Record),
    newest: Option<SessionId>,
    remaining: &mut Vec<&'a (SessionId, Record)>,
    ended: &mut Vec<&'a (SessionId, Record)>,
) {
    let mut next = gone.1.predecessor();
    while let Some(id) = next.filter(|id| counted(remaining, newest).contains(id)) {
        let Some(at) = remaining.iter().position(|(other, _)| *other == id) else {
            return;
        };
        let gone = remaining.remove(at);
        next = gone.1.predecessor();
        ended.push(gone);
    }
}
