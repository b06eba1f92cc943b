//! Laws of [`admit`]: the limit on concurrent sessions (clause 11).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::{prop_assert, prop_assert_eq, proptest};
use session_core::{
    Bounds, Change, Fence, LimitPolicy, NewRecord, Record, SecretHash, SessionId, SignInLimit,
    Subject, Ticket, Timeouts, Timestamp, UNPRESENTED_GRACE, admit,
};

const START: u64 = 2_000_000_000_000;

fn id(number: usize) -> SessionId {
    let mut bytes = [0; 16];
    bytes[15] = u8::try_from(number).unwrap();
    SessionId::from_bytes(bytes)
}

fn ticket() -> Ticket {
    let subject = Subject::new("alice").unwrap();
    Ticket::new(subject, Fence::default(), Timestamp::from_millis(START))
}

/// A session that was signed in so many milliseconds after the start.
fn session(ticket: &Ticket, at: u64, presented: bool, predecessor: Option<SessionId>) -> Record {
    let (secret, at) = (
        SecretHash::from_bytes([1; 32]),
        Timestamp::from_millis(START + at),
    );
    let new = NewRecord::new(secret, Timeouts::default()).with_predecessor(predecessor);
    let (record, _) = new.signed_in(ticket, at);
    if !presented {
        return record;
    }
    let change = Change::new().promote(secret);
    record.apply(&change, at, &Bounds::default()).unwrap()
}

fn limit(max: usize, policy: LimitPolicy) -> Option<SignInLimit> {
    let max = NonZeroUsize::new(max)?;
    Some(SignInLimit { max, policy })
}

/// What a subject has, and who signs in.
#[derive(Clone, Debug)]
struct Scene {
    ticket: Ticket,
    predecessor: Option<SessionId>,
    live: Vec<(SessionId, Record)>,
    limit: Option<SignInLimit>,
    now: Timestamp,
}

impl Scene {
    fn admit(&self) -> Option<Vec<SessionId>> {
        admit(
            &self.ticket,
            self.predecessor,
            &self.live,
            self.limit,
            self.now,
        )
    }

    fn record(&self, id: SessionId) -> &Record {
        self.live
            .iter()
            .find(|(other, _)| *other == id)
            .map(|(_, record)| record)
            .unwrap()
    }

    /// Of `ids` those that no other one, nor the new session, replaces.
    fn counted(&self, ids: &BTreeSet<SessionId>) -> BTreeSet<SessionId> {
        let replaces = ids.iter().filter_map(|id| self.record(*id).predecessor());
        let replaced: BTreeSet<_> = replaces.chain(self.predecessor).collect();
        ids.difference(&replaced).copied().collect()
    }

    fn is_earlier_try(&self, id: SessionId) -> bool {
        let owner = self.record(id).header().owner.unwrap();
        owner.nonce == self.ticket.nonce() && owner.attempt < self.ticket.attempt()
    }

    fn is_lost(&self, id: SessionId) -> bool {
        let record = self.record(id);
        !record.was_presented() && self.now >= record.created_at() + UNPRESENTED_GRACE
    }

    fn age(&self, id: SessionId) -> (Timestamp, SessionId) {
        (self.record(id).created_at(), id)
    }
}

fn scene() -> impl Strategy<Value = Scene> {
    let one = (
        0..100_000_u64,
        any::<bool>(),
        option::weighted(0.4, 0..8_usize),
        0..8_u32,
    );
    let limited = option::weighted(0.9, (1..5_usize, any::<bool>()));
    (vec(one, 0..8), option::weighted(0.3, 0..9_usize), limited).prop_map(
        |(sessions, predecessor, limited)| {
            let ours = ticket().next_attempt().next_attempt();
            let earlier: [Ticket; 3] = {
                let first = Ticket::clone(&ours);
                // The same ticket's tries, as they were before.
                let json = |attempt: u32| {
                    let mut text = serde_json::to_value(&first).unwrap();
                    text["attempt"] = attempt.into();
                    serde_json::from_value(text).unwrap()
                };
                [json(1), json(2), json(3)]
            };
            // In the order of their sign-ins: a session replaces one that was there before it.
            let mut sessions = sessions;
            sessions.sort_by_key(|(at, ..)| *at);
            let live =
                sessions
                    .into_iter()
                    .enumerate()
                    .map(|(number, (at, presented, before, by))| {
                        let theirs = match by {
                            0 => earlier[0].clone(),
                            1 => earlier[2].clone(),
                            _ => ticket(),
                        };
                        let before = before.filter(|before| *before < number).map(id);
                        (id(number), session(&theirs, at, presented, before))
                    });
            Scene {
                ticket: ours,
                predecessor: predecessor.map(id),
                live: live.collect(),
                limit: limited.and_then(|(max, refuse)| {
                    let policy = if refuse {
                        LimitPolicy::Refuse
                    } else {
                        LimitPolicy::EndOldest
                    };
                    limit(max, policy)
                }),
                now: Timestamp::from_millis(START + 100_000),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_limit_holds_and_no_more_go_than_must(scene in scene()) {
        let all: BTreeSet<_> = scene.live.iter().map(|(id, _)| *id).collect();
        let tries: BTreeSet<_> = all.iter().copied().filter(|id| scene.is_earlier_try(*id)).collect();
        let before: BTreeSet<_> = all.difference(&tries).copied().collect();
        let Some(listed) = scene.admit() else {
            let limit = scene.limit.unwrap();
            prop_assert_eq!(limit.policy, LimitPolicy::Refuse);
            prop_assert!(scene.counted(&before).len() >= limit.max.get());
            return Ok(());
        };
        let ended: BTreeSet<_> = listed.iter().copied().collect();
        prop_assert_eq!(listed.len(), ended.len(), "one is ended twice");
        prop_assert!(ended.is_subset(&all));
        prop_assert!(tries.is_subset(&ended));
        let left: BTreeSet<_> = all.difference(&ended).copied().collect();
        match scene.limit {
            None => prop_assert_eq!(&ended, &tries),
            // With the new one there are as many as may be, at most.
            Some(limit) => {
                let (had, has) = (scene.counted(&before).len(), scene.counted(&left).len());
                prop_assert_eq!(has, had.min(limit.max.get() - 1));
            }
        }
    }

    /// First the lost, oldest first; then, if the policy says so, the oldest.
    #[test]
    fn who_makes_room_is_the_first_in_order(scene in scene()) {
        // A lost one that replaced another is a matter of its own.
        let mut scene = scene;
        scene.live.retain(|(_, record)| record.predecessor().is_none());
        let Some(listed) = scene.admit() else { return Ok(()) };
        let ended: BTreeSet<_> = listed.into_iter().collect();
        let all: BTreeSet<_> = scene.live.iter().map(|(id, _)| *id).collect();
        let before: BTreeSet<_> = all.iter().copied().filter(|id| !scene.is_earlier_try(*id)).collect();
        let counted = scene.counted(&before);
        let rank = |id: &SessionId| (!scene.is_lost(*id), scene.age(*id));
        let last_gone = counted.intersection(&ended).map(rank).max();
        let first_stays = counted.difference(&ended).map(rank).min();
        if let (Some(gone), Some(stays)) = (last_gone, first_stays) {
            prop_assert!(gone < stays, "{gone:?} went, {stays:?} stayed");
        }
    }

    #[test]
    fn only_the_lost_make_room_under_refuse_and_others_go_only_with_who_replaced_them(scene in scene()) {
        let Some(listed) = scene.admit() else { return Ok(()) };
        let ended: BTreeSet<_> = listed.into_iter().collect();
        let all: BTreeSet<_> = scene.live.iter().map(|(id, _)| *id).collect();
        let before: BTreeSet<_> = all.iter().copied().filter(|id| !scene.is_earlier_try(*id)).collect();
        let left: BTreeSet<_> = all.difference(&ended).copied().collect();
        let counted = scene.counted(&before);
        let refuses = scene.limit.is_some_and(|limit| limit.policy == LimitPolicy::Refuse);
        for gone in ended.intersection(&before) {
            prop_assert!(!refuses || scene.is_lost(*gone), "{gone} went though the policy refuses");
            if !counted.contains(gone) {
                let replaces = |ids: &BTreeSet<SessionId>| {
                    ids.iter().any(|id| scene.record(*id).predecessor() == Some(*gone))
                };
                prop_assert!(replaces(&ended) && !replaces(&left));
                prop_assert!(scene.predecessor != Some(*gone));
            }
        }
    }

    #[test]
    fn the_order_of_the_list_does_not_matter(scene in scene()) {
        let sorted = |scene: &Scene| {
            scene.admit().map(|ended| ended.into_iter().collect::<BTreeSet<_>>())
        };
        let mut turned = scene.clone();
        turned.live.reverse();
        prop_assert_eq!(sorted(&turned), sorted(&scene));
    }
}

#[test]
fn a_session_and_the_predecessor_it_replaces_count_as_one() {
    let one = [(id(0), session(&ticket(), 0, true, None))];
    let now = Timestamp::from_millis(START + 1);
    let single = limit(1, LimitPolicy::Refuse);
    assert_eq!(admit(&ticket(), None, &one, single, now), None);
    assert_eq!(
        admit(&ticket(), Some(id(0)), &one, single, now),
        Some(Vec::new())
    );
    // Also when that one has a predecessor that is not settled yet.
    let two = [
        (id(0), session(&ticket(), 0, true, None)),
        (id(1), session(&ticket(), 1, true, Some(id(0)))),
    ];
    assert_eq!(
        admit(&ticket(), Some(id(1)), &two, single, now),
        Some(Vec::new())
    );
    assert_eq!(
        admit(&ticket(), None, &two, limit(2, LimitPolicy::Refuse), now),
        Some(Vec::new())
    );
}

#[test]
fn a_lost_answer_keeps_no_place() {
    let lost = [(id(0), session(&ticket(), 0, false, None))];
    let refuse = limit(1, LimitPolicy::Refuse);
    let turn = Timestamp::from_millis(START) + UNPRESENTED_GRACE;
    let early = turn - Duration::from_millis(1);
    assert_eq!(admit(&ticket(), None, &lost, refuse, early), None);
    assert_eq!(
        admit(&ticket(), None, &lost, refuse, turn),
        Some(vec![id(0)])
    );
    let used = [(id(0), session(&ticket(), 0, true, None))];
    assert_eq!(admit(&ticket(), None, &used, refuse, turn), None);
}

/// Who signed in again and lost the answer may go on with the session before.
#[test]
fn a_lost_answer_does_not_cost_the_session_before_it() {
    let live = [
        (id(0), session(&ticket(), 0, true, None)),
        (id(1), session(&ticket(), 1, false, Some(id(0)))),
    ];
    let now = Timestamp::from_millis(START + 1) + UNPRESENTED_GRACE;
    let refuse = |max| limit(max, LimitPolicy::Refuse);
    assert_eq!(admit(&ticket(), None, &live, refuse(1), now), None);
    assert_eq!(
        admit(&ticket(), None, &live, refuse(2), now),
        Some(Vec::new())
    );
    assert_eq!(
        admit(&ticket(), Some(id(0)), &live, refuse(1), now),
        Some(vec![id(1)])
    );
    let oldest = limit(1, LimitPolicy::EndOldest);
    let ended = admit(&ticket(), None, &live, oldest, now);
    assert_eq!(
        ended.map(BTreeSet::from_iter),
        Some(BTreeSet::from([id(0), id(1)]))
    );
}

#[test]
fn a_refused_try_ends_nothing_of_an_earlier_one() {
    let ours = ticket();
    let live = [
        (id(0), session(&ours, 0, true, None)),
        (id(1), session(&ticket(), 1, true, None)),
        (id(2), session(&ticket(), 2, true, None)),
    ];
    let now = Timestamp::from_millis(START + 3);
    let refuse = limit(2, LimitPolicy::Refuse);
    assert_eq!(admit(&ours.next_attempt(), None, &live, refuse, now), None);
    let refuse = limit(3, LimitPolicy::Refuse);
    assert_eq!(
        admit(&ours.next_attempt(), None, &live, refuse, now),
        Some(vec![id(0)])
    );
    // A second sign-in of the same try is none that an earlier one made.
    assert_eq!(admit(&ours, None, &live, None, now), Some(Vec::new()));
}
