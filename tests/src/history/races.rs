//! Races: two calls at once of which only one can be first, and which of the two it was.

use session_core::{LimitPolicy, Record, SessionId};

use super::answer::Answer;
use super::call::Call;
use super::counts::Counts;
use super::linear::Event;

/// The races that a run must have seen, won by each side. Where both sides are of one kind, the sides
/// are the tasks that made the calls.
pub const RACES: [&str; 12] = [
    "a create : another of the same id",
    "a create : a sign-in of the same id",
    "a delete : another",
    "a delete : a change",
    "a delete : a load",
    "a guarded change : another of the same revision",
    "a guarded change : an unguarded one",
    "a revoke : a sign-in with an older ticket",
    "a revoke : a change of a session that it ends",
    "a sign-in : another, with one place left",
    "a sign-in : a change of the session that makes room",
    "a try to sign in : a later one",
];

/// Counts what overlaps in a history, and who won. Task 0 sets the stage and looks at the end: nothing
/// runs at the same time.
pub(super) fn count(events: &[Event], counts: &mut Counts) {
    let events: Vec<_> = events.iter().filter(|event| event.task > 0).collect();
    for (at, event) in events.iter().enumerate() {
        let Some(answer) = event.said() else { continue };
        counts.answer(&event.call, answer);
        let meets = |other: &Event| {
            event.overlaps(other) && event.call.id().is_some() && event.call.id() == other.call.id()
        };
        let mut others = events.iter().enumerate().filter(|(other, _)| *other != at);
        if others.any(|(_, other)| meets(other)) {
            counts.overlapping += 1;
        }
        for other in events
            .iter()
            .skip(at + 1)
            .filter(|other| event.overlaps(other))
        {
            let (low, high) = if event.task < other.task {
                (*event, *other)
            } else {
                (*other, *event)
            };
            for (race, first_won) in won(low, high).into_iter().chain(won_by_kind(low, high)) {
                counts.races.entry(RACES[race]).or_default()[usize::from(!first_won)] += 1;
            }
        }
    }
}

fn won_by_kind(low: &Event, high: &Event) -> Option<(usize, bool)> {
    one_against_other(low, high).or_else(|| one_against_other(high, low))
}

/// Races of two kinds of calls: `one` is of the first.
fn one_against_other(one: &Event, other: &Event) -> Option<(usize, bool)> {
    let said = other.said()?;
    let same_id = one.call.id().is_some() && one.call.id() == other.call.id();
    match (&one.call, one.said()?, &other.call) {
        (Call::Create { .. }, created, Call::SignIn { .. }) if same_id => match (created, said) {
            (Answer::Created(_), Answer::Exists) => Some((1, true)),
            (Answer::Exists, Answer::Admitted { .. }) => Some((1, false)),
            _ => None,
        },
        (Call::Delete { .. }, Answer::Deleted(true), Call::Apply { .. }) if same_id => {
            Some((3, is_refused(said)?))
        }
        (Call::Delete { .. }, Answer::Deleted(true), Call::Load { .. }) if same_id => match said {
            Answer::Ended(_) => Some((4, true)),
            Answer::Live(_) => Some((4, false)),
            _ => None,
        },
        (Call::Apply { plan: guarded, .. }, answer, Call::Apply { plan, .. })
            if same_id && guarded.guard.is_some() && plan.guard.is_none() =>
        {
            // A pure touch is no race: it leaves the revision alone.
            match (answer, said) {
                _ if plan.is_pure_touch() => None,
                (Answer::Applied { .. }, Answer::Applied { .. }) => Some((6, true)),
                (Answer::Conflict, Answer::Applied { .. }) => Some((6, false)),
                _ => None,
            }
        }
        (Call::Revoke { subject, .. }, Answer::EndedAll(_), Call::SignIn { ticket, .. })
            if ticket.subject() == subject =>
        {
            match said {
                Answer::Revoked => Some((7, true)),
                Answer::Admitted { .. } => Some((7, false)),
                _ => None,
            }
        }
        (Call::Revoke { .. }, Answer::EndedAll(ended), Call::Apply { id, .. })
            if ended.contains(id) =>
        {
            Some((8, is_refused(said)?))
        }
        (Call::SignIn { .. }, Answer::Admitted { ended, .. }, Call::Apply { id, .. })
            if ended.contains(id) =>
        {
            Some((10, is_refused(said)?))
        }
        (Call::SignIn { ticket, .. }, answer, Call::SignIn { ticket: later, .. })
            if ticket.nonce() == later.nonce() && ticket.attempt() < later.attempt() =>
        {
            match (answer, said) {
                (Answer::Admitted { .. }, Answer::Admitted { .. }) => Some((11, true)),
                (Answer::Revoked, Answer::Admitted { .. }) => Some((11, false)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Races of two calls of one kind, made by two tasks.
fn won(low: &Event, high: &Event) -> Option<(usize, bool)> {
    let same_id: Option<SessionId> = low.call.id().filter(|id| high.call.id() == Some(*id));
    match (&low.call, low.said()?, &high.call, high.said()?) {
        (Call::Create { .. }, low, Call::Create { .. }, high) if same_id.is_some() => {
            match (low, high) {
                (Answer::Created(_), Answer::Exists) => Some((0, true)),
                (Answer::Exists, Answer::Created(_)) => Some((0, false)),
                _ => None,
            }
        }
        (_, Answer::Deleted(low), _, Answer::Deleted(high)) if same_id.is_some() && low != high => {
            Some((2, *low))
        }
        (Call::Apply { plan: ours, .. }, low, Call::Apply { plan: theirs, .. }, high)
            if same_id.is_some() && ours.guard.is_some() && ours.guard == theirs.guard =>
        {
            match (low, high) {
                (Answer::Applied { .. }, Answer::Conflict) => Some((5, true)),
                (Answer::Conflict, Answer::Applied { .. }) => Some((5, false)),
                _ => None,
            }
        }
        (Call::SignIn { limit: ours, .. }, low, Call::SignIn { limit: theirs, .. }, high)
            if [ours, theirs]
                .iter()
                .all(|limit| limit.is_some_and(|limit| limit.policy == LimitPolicy::Refuse)) =>
        {
            match (low, high) {
                (Answer::Admitted { .. }, Answer::LimitReached) => Some((9, true)),
                (Answer::LimitReached, Answer::Admitted { .. }) => Some((9, false)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether a change found its session gone; nothing if it was refused for another reason.
fn is_refused(said: &Answer<Record>) -> Option<bool> {
    match said {
        Answer::Absent => Some(true),
        Answer::Applied { .. } => Some(false),
        _ => None,
    }
}
