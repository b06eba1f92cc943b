//! Secrets: which one a client may present, and how one follows another (clause 9).

use proptest::prelude::ProptestConfig;
use proptest::{prop_assert, prop_assert_eq, proptest};
use session_core::{
    Bounds, Change, OVERLAP, REMEMBERED, Record, Refusal, Renewal, SecretVerdict, Slot, Standing,
    Timeouts, Timestamp, UNPRESENTED_GRACE,
};

use super::samples::{START, at, life, millis, secret, session, step, user};

const ACCEPTED: SecretVerdict = SecretVerdict::Accepted(Standing::Current);

fn apply(record: &Record, change: &Change, now: Timestamp) -> Result<Record, Refusal> {
    record.apply(change, now, &Bounds::default())
}

fn renew(record: &Record, old: u8, new: u8, now: Timestamp) -> Result<Record, Refusal> {
    let change = Change::new().renew(Renewal {
        issue: secret(new),
        replaces: secret(old),
        soft: false,
    });
    apply(record, &change, now)
}

fn renew_softly(record: &Record, old: u8, new: u8, now: Timestamp) -> Record {
    let change = Change::new().renew(Renewal {
        issue: secret(new),
        replaces: secret(old),
        soft: true,
    });
    apply(record, &change, now).unwrap()
}

fn present(record: &Record, number: u8, now: Timestamp) -> Record {
    apply(record, &Change::new().promote(secret(number)), now).unwrap()
}

fn knows(record: &Record, number: u8) -> bool {
    record.slots().any(|slot| slot.hash == secret(number))
}

fn current(record: &Record) -> Vec<Slot> {
    let slots = record.slots();
    slots
        .filter(|slot| slot.standing == Standing::Current)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn four_secrets_at_most_and_one_that_was_presented_is_current((record, _) in life(0..20)) {
        let slots: Vec<_> = record.slots().collect();
        prop_assert!((1..=4).contains(&slots.len()));
        prop_assert_eq!(current(&record).is_empty(), !record.was_presented());
        prop_assert!(slots.is_sorted_by_key(|slot| slot.issued_at));
        let accepted = current(&record).iter().all(|slot| slot.accepted_until == Timestamp::MAX);
        prop_assert!(accepted);
    }

    /// SECURITY 30: what a client holds stays good through any one change, and, once followed, for the
    /// overlap and no longer.
    #[test]
    fn no_change_ends_the_current_secret_before_its_overlap((record, now) in life(0..20), step in step()) {
        let now = now + millis(step.later);
        let change = step.change(&record, 90);
        if let Ok(next) = apply(&record, &change, now) {
            // One more than four makes the oldest go, in its overlap too.
            let is_fifth = record.slots().count() == 4 && next.slots().any(|slot| slot.hash == secret(90));
            for held in current(&record).into_iter().filter(|_| !is_fifth) {
                let verdict = next.judge(&held.hash, now + OVERLAP - millis(1));
                prop_assert!(matches!(verdict, SecretVerdict::Accepted(_)), "{:?}", verdict);
                let stays = current(&next).contains(&held);
                let later = next.judge(&held.hash, now + OVERLAP);
                prop_assert_eq!(matches!(later, SecretVerdict::Accepted(_)), stays);
            }
        }
    }

    /// Only a renewal adds a secret, and only an unpresented one.
    #[test]
    fn secrets_come_from_renewals_alone((record, now) in life(0..20), step in step()) {
        let change = step.change(&record, 90);
        if let Ok(next) = apply(&record, &change, now) {
            for slot in next.slots().filter(|slot| record.slots().all(|old| old.hash != slot.hash)) {
                prop_assert_eq!(change.renewal().map(|renewal| renewal.issue), Some(slot.hash));
                prop_assert_eq!(slot.standing, Standing::Unpresented);
                prop_assert_eq!(slot.issued_at, now);
            }
        }
    }
}

/// SECURITY 30: a lost answer signs nobody out; requests in flight reach the same session.
#[test]
fn the_old_secret_is_good_until_the_new_one_is_presented_and_for_the_overlap() {
    let record = session(Timeouts::new(millis(u64::MAX)).without_idle());
    let renewed = renew(&record, 0, 1, at(START)).unwrap();
    let hours_later = at(START + 10_000_000);
    assert_eq!(renewed.judge(&secret(0), hours_later), ACCEPTED);
    let waits = SecretVerdict::Accepted(Standing::Unpresented);
    assert_eq!(renewed.judge(&secret(1), hours_later), waits);

    let promoted = present(&renewed, 1, hours_later);
    assert_eq!(promoted.judge(&secret(1), hours_later), ACCEPTED);
    let former = SecretVerdict::Accepted(Standing::Former);
    let last = hours_later + OVERLAP;
    assert_eq!(promoted.judge(&secret(0), last - millis(1)), former);
    assert_eq!(promoted.judge(&secret(0), last), SecretVerdict::Superseded);
    let forgotten = last + REMEMBERED;
    assert_eq!(
        promoted.judge(&secret(0), forgotten - millis(1)),
        SecretVerdict::Superseded
    );
    assert_eq!(
        promoted.judge(&secret(0), forgotten),
        SecretVerdict::Outdated
    );
    assert_eq!(
        promoted.judge(&secret(9), forgotten),
        SecretVerdict::Unknown
    );
}

#[test]
fn presenting_again_starts_no_new_overlap() {
    let record = present(
        &renew(&session(Timeouts::default()), 0, 1, at(START)).unwrap(),
        1,
        at(START),
    );
    let later = at(START + 20_000);
    let again = present(&record, 1, later);
    let slots = |record: &Record| record.slots().collect::<Vec<_>>();
    assert_eq!(slots(&again), slots(&record));
    let old = present(&record, 0, later);
    assert_eq!(slots(&old), slots(&record));
}

/// Answers may arrive in the other order: the client then holds the earlier secret, or the later one.
#[test]
fn an_earlier_secret_presented_within_the_overlap_is_current_beside_the_later_one() {
    let record = renew(&session(Timeouts::default()), 0, 1, at(START)).unwrap();
    let record = renew(&record, 0, 2, at(START)).unwrap();
    let second = present(&record, 2, at(START + 1));
    let first = present(&second, 1, at(START + 2));
    let later = at(START + 1_000_000);
    assert_eq!(first.judge(&secret(1), later), ACCEPTED);
    assert_eq!(first.judge(&secret(2), later), ACCEPTED);
    assert_eq!(first.judge(&secret(0), later), SecretVerdict::Outdated);
    // After its overlap it is too late.
    let late = present(&second, 1, at(START + 1) + OVERLAP);
    assert_eq!(late.judge(&secret(2), later), ACCEPTED);
    assert_eq!(late.judge(&secret(1), later), SecretVerdict::Outdated);
    // The next renewal ends both, after the overlap.
    let third = present(&renew(&first, 2, 3, later).unwrap(), 3, later);
    for former in [1, 2] {
        let verdict = third.judge(&secret(former), later + OVERLAP);
        assert_eq!(verdict, SecretVerdict::Superseded);
    }
    assert_eq!(current(&third).len(), 1);
}

/// SECURITY 27.
#[test]
fn a_renewal_of_a_secret_that_was_followed_is_a_conflict() {
    let record = session(Timeouts::default());
    assert_eq!(renew(&record, 9, 1, at(START)), Err(Refusal::Conflict));
    let renewed = renew(&record, 0, 1, at(START)).unwrap();
    let promoted = present(&renewed, 1, at(START));
    assert_eq!(renew(&promoted, 0, 2, at(START)), Err(Refusal::Conflict));
    let soft = renew_softly(&promoted, 0, 2, at(START));
    assert!(!knows(&soft, 2));
    assert!(knows(&renew(&promoted, 1, 2, at(START)).unwrap(), 2));
    // One that presents and renews in one change names the secret that it presents.
    let both = Change::new().promote(secret(1)).renew(Renewal {
        issue: secret(2),
        replaces: secret(1),
        soft: false,
    });
    let next = apply(&renewed, &both, at(START)).unwrap();
    assert!(knows(&next, 2));
    assert_eq!(next.judge(&secret(1), at(START)), ACCEPTED);
}

#[test]
fn a_soft_renewal_waits_for_one_that_nobody_presented_yet() {
    let record = renew_softly(&session(Timeouts::default()), 0, 1, at(START));
    let in_time = at(START) + UNPRESENTED_GRACE;
    assert!(!knows(&renew_softly(&record, 0, 2, in_time - millis(1)), 2));
    assert!(knows(&renew_softly(&record, 0, 2, in_time), 2));
    let presented = present(&record, 1, at(START + 1));
    assert!(knows(&renew_softly(&presented, 1, 2, at(START + 1)), 2));
    // An explicit one waits for nothing.
    assert!(knows(&renew(&record, 0, 2, at(START)).unwrap(), 2));
}

#[test]
fn beyond_four_the_oldest_that_is_not_current_goes() {
    let mut record = session(Timeouts::default());
    for number in 1..=4 {
        record = renew(&record, 0, number, at(START)).unwrap();
    }
    let known: Vec<_> = (0..=4).filter(|number| knows(&record, *number)).collect();
    assert_eq!(known, [0, 2, 3, 4]);
    // All that remain are good, however long nobody presents them.
    let later = at(START + 1_000_000);
    let good = |number: &u8| {
        matches!(
            record.judge(&secret(*number), later),
            SecretVerdict::Accepted(_)
        )
    };
    assert!(known.iter().all(good));
    // Of a session that was never presented there is none that is current.
    let mut record = user(Timeouts::default());
    for number in 1..=4 {
        record = renew(&record, number - 1, number, at(START)).unwrap();
    }
    let known: Vec<_> = (0..=4).filter(|number| knows(&record, *number)).collect();
    assert_eq!(known, [1, 2, 3, 4]);
    assert!(!record.was_presented());
}

/// SECURITY 23.
#[test]
fn renewing_and_presenting_move_no_limit() {
    let record = user(Timeouts::default());
    let later = at(START + 60_000);
    let next = present(&renew(&record, 0, 1, later).unwrap(), 1, later);
    assert_eq!(next.created_at(), record.created_at());
    assert_eq!(next.deadline(), record.deadline());
    assert_eq!(next.last_seen_at(), record.last_seen_at());
}
