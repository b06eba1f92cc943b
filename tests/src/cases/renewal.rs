//! Clause 9: a renewal adds a secret, and the one before it stays accepted until the new one is presented.

use session_core::{
    Change, OVERLAP, REMEMBERED, SecretHash, SecretVerdict, Standing, Timeouts, UNPRESENTED_GRACE,
};

use crate::case::Case;
use crate::context::{Context, fresh_secret};
use crate::expect::{ExpectApplication, ExpectLoaded};
use crate::sample::{Session, json, millis, mins, name, promote, renew, renew_softly, secs, set};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_09_a_renewal_adds_a_secret_and_takes_none_away,
        clause_09_a_renewal_whose_answer_was_lost_costs_nothing: Clock,
        clause_09_the_first_presentation_starts_an_overlap_of_30_s: Clock,
        clause_09_an_old_secret_is_remembered_for_60_s_after_its_overlap: Clock,
        clause_09_presenting_again_changes_nothing: Clock,
        clause_09_an_unknown_secret_is_not_promoted,
        clause_09_a_secret_after_its_overlap_is_not_promoted: Clock,
        clause_09_a_sign_in_counts_as_presented_once_its_secret_is: Clock,
        clause_09_a_renewal_of_a_secret_that_may_not_be_replaced_conflicts: Clock,
        clause_09_an_explicit_renewal_acts_at_once,
        clause_09_a_soft_renewal_mints_none_while_a_younger_one_waits: Clock,
        clause_09_a_soft_renewal_of_a_replaced_secret_is_no_conflict,
        clause_09_every_unpresented_secret_stays_accepted: Clock,
        clause_09_beyond_four_hashes_the_oldest_that_is_not_current_goes,
        clause_09_one_change_promotes_and_then_renews,
        clause_09_a_renewal_keeps_id_entries_creation_and_deadline: Clock,
        clause_09_presenting_an_earlier_of_two_leaves_the_later_accepted: Clock,
    ]
}

const ACCEPTED_CURRENT: SecretVerdict = SecretVerdict::Accepted(Standing::Current);
const ACCEPTED_UNPRESENTED: SecretVerdict = SecretVerdict::Accepted(Standing::Unpresented);
const ACCEPTED_FORMER: SecretVerdict = SecretVerdict::Accepted(Standing::Former);

fn long() -> Timeouts {
    Timeouts::new(mins(24 * 60)).without_idle()
}

/// What the stored session says of a secret, by the test clock.
async fn verdict(given: &Context, session: &Session, secret: SecretHash) -> SecretVerdict {
    let record = given.load(session.id).await.live();
    record.judge(&secret, given.now())
}

/// As [`verdict`], by the record's own instants, where no clock is given.
async fn verdict_at_once(given: &Context, session: &Session, secret: SecretHash) -> SecretVerdict {
    let record = given.load(session.id).await.live();
    let latest = record.slots().map(|slot| slot.issued_at).max().unwrap();
    record.judge(&secret, latest)
}

async fn clause_09_a_renewal_adds_a_secret_and_takes_none_away(given: Context) {
    let (_, user) = given.some_user().await;
    for session in [given.visitor().await, user] {
        let before = verdict_at_once(&given, &session, session.secret).await;
        let next = fresh_secret();
        let change = renew(session.secret, next);
        let record = given.change(session.id, change.clone()).await;
        assert_eq!(record.revision(), change.revision());
        let after = verdict_at_once(&given, &session, session.secret).await;
        assert_eq!(after, before);
        let new = verdict_at_once(&given, &session, next).await;
        assert_eq!(new, ACCEPTED_UNPRESENTED);
        let unknown = verdict_at_once(&given, &session, fresh_secret()).await;
        assert_eq!(unknown, SecretVerdict::Unknown);
    }
}

async fn clause_09_a_renewal_whose_answer_was_lost_costs_nothing(given: Context) {
    let session = given.visitor_for(long()).await;
    let lost = fresh_secret();
    given.change(session.id, renew(session.secret, lost)).await;
    for _ in 0..10 {
        given.advance(mins(90));
        given
            .change(session.id, promote(session.secret).touch())
            .await;
        assert_eq!(
            verdict(&given, &session, session.secret).await,
            ACCEPTED_CURRENT
        );
        assert_eq!(verdict(&given, &session, lost).await, ACCEPTED_UNPRESENTED);
    }
}

/// SECURITY 30
async fn clause_09_the_first_presentation_starts_an_overlap_of_30_s(given: Context) {
    let session = given.visitor_for(long()).await;
    let next = fresh_secret();
    given.change(session.id, renew(session.secret, next)).await;
    given.advance(mins(5));
    let change = promote(next);
    let record = given.change(session.id, change.clone()).await;
    assert_eq!(record.revision(), change.revision());
    for wait in [0, 1, 29_998] {
        given.advance(millis(wait));
        assert_eq!(
            verdict(&given, &session, session.secret).await,
            ACCEPTED_FORMER
        );
        assert_eq!(verdict(&given, &session, next).await, ACCEPTED_CURRENT);
    }
    given.advance(millis(1));
    let old = verdict(&given, &session, session.secret).await;
    assert_eq!(old, SecretVerdict::Superseded, "the overlap is 30 s");
    assert_eq!(verdict(&given, &session, next).await, ACCEPTED_CURRENT);
}

async fn clause_09_an_old_secret_is_remembered_for_60_s_after_its_overlap(given: Context) {
    let session = given.visitor_for(long()).await;
    let next = fresh_secret();
    given.change(session.id, renew(session.secret, next)).await;
    given.change(session.id, promote(next)).await;
    given.advance(OVERLAP + REMEMBERED - millis(1));
    let old = verdict(&given, &session, session.secret).await;
    assert_eq!(old, SecretVerdict::Superseded);
    given.advance(millis(1));
    let old = verdict(&given, &session, session.secret).await;
    assert_eq!(old, SecretVerdict::Outdated);
}

async fn clause_09_presenting_again_changes_nothing(given: Context) {
    let session = given.visitor_for(long()).await;
    let next = fresh_secret();
    given.change(session.id, renew(session.secret, next)).await;
    let slots = given.change(session.id, promote(next)).await.header().slots;
    for secret in [next, session.secret, next] {
        given.advance(secs(7));
        let record = given.change(session.id, promote(secret)).await;
        assert_eq!(record.header().slots, slots);
        assert_eq!(given.load(session.id).await.live(), record);
    }
}

async fn clause_09_an_unknown_secret_is_not_promoted(given: Context) {
    let session = given.visitor().await;
    let next = fresh_secret();
    let before = given.change(session.id, renew(session.secret, next)).await;
    let record = given.change(session.id, promote(fresh_secret())).await;
    assert_eq!(record.header().slots, before.header().slots);
}

async fn clause_09_a_secret_after_its_overlap_is_not_promoted(given: Context) {
    let session = given.visitor_for(long()).await;
    let (unused, used) = (fresh_secret(), fresh_secret());
    given
        .change(session.id, renew(session.secret, unused))
        .await;
    given.change(session.id, renew(session.secret, used)).await;
    let slots = given.change(session.id, promote(used)).await.header().slots;
    given.advance(OVERLAP);
    for late in [unused, session.secret] {
        let record = given.change(session.id, promote(late)).await;
        assert_eq!(
            record.header().slots,
            slots,
            "a secret came back after its overlap"
        );
        assert_eq!(
            verdict(&given, &session, late).await,
            SecretVerdict::Superseded
        );
    }
}

async fn clause_09_a_sign_in_counts_as_presented_once_its_secret_is(given: Context) {
    let (_, user) = given.some_user().await;
    assert!(!user.record.was_presented());
    given.advance(secs(5));
    given.change(user.id, set("a", "1").touch()).await;
    assert!(!given.load(user.id).await.live().was_presented());
    given.change(user.id, promote(user.secret)).await;
    assert!(given.load(user.id).await.live().was_presented());
    assert_eq!(verdict(&given, &user, user.secret).await, ACCEPTED_CURRENT);
}

async fn clause_09_a_renewal_of_a_secret_that_may_not_be_replaced_conflicts(given: Context) {
    let session = given.visitor_for(long()).await;
    let (next, unused) = (fresh_secret(), fresh_secret());
    given
        .change(session.id, renew(session.secret, unused))
        .await;
    given.change(session.id, renew(session.secret, next)).await;
    let before = given.change(session.id, promote(next)).await;
    let refused = async |replaces| {
        let change = renew(replaces, fresh_secret())
            .touch()
            .set(name("a"), json("1"));
        given
            .store()
            .apply(session.id, &change, None)
            .await
            .conflict();
        assert_eq!(given.load(session.id).await.live(), before);
    };
    refused(session.secret).await;
    refused(fresh_secret()).await;
    given.advance(OVERLAP);
    refused(session.secret).await;
    refused(unused).await;
    let last = fresh_secret();
    given.change(session.id, renew(next, last)).await;
    given.change(session.id, renew(last, fresh_secret())).await;
}

async fn clause_09_an_explicit_renewal_acts_at_once(given: Context) {
    let session = given.visitor().await;
    let (first, second) = (fresh_secret(), fresh_secret());
    given.change(session.id, renew(session.secret, first)).await;
    given
        .change(session.id, renew(session.secret, second))
        .await;
    for secret in [first, second] {
        let new = verdict_at_once(&given, &session, secret).await;
        assert_eq!(new, ACCEPTED_UNPRESENTED);
    }
}

async fn clause_09_a_soft_renewal_mints_none_while_a_younger_one_waits(given: Context) {
    let session = given.visitor_for(long()).await;
    let (first, second, third) = (fresh_secret(), fresh_secret(), fresh_secret());
    let change = renew_softly(session.secret, first);
    given.change(session.id, change).await;
    assert_eq!(verdict(&given, &session, first).await, ACCEPTED_UNPRESENTED);

    given.advance(UNPRESENTED_GRACE - millis(1));
    let change = renew_softly(session.secret, second).set(name("a"), json("1"));
    let record = given.change(session.id, change).await;
    assert_eq!(
        record.get("a"),
        Some("1"),
        "the rest of the change is applied"
    );
    assert_eq!(
        verdict(&given, &session, second).await,
        SecretVerdict::Unknown
    );

    given.advance(millis(1));
    let change = renew_softly(session.secret, third);
    given.change(session.id, change).await;
    assert_eq!(verdict(&given, &session, third).await, ACCEPTED_UNPRESENTED);
    assert_eq!(verdict(&given, &session, first).await, ACCEPTED_UNPRESENTED);

    given.change(session.id, promote(third)).await;
    let fourth = fresh_secret();
    given.change(session.id, renew_softly(third, fourth)).await;
    assert_eq!(
        verdict(&given, &session, fourth).await,
        ACCEPTED_UNPRESENTED
    );
}

async fn clause_09_a_soft_renewal_of_a_replaced_secret_is_no_conflict(given: Context) {
    let session = given.visitor().await;
    let (next, none) = (fresh_secret(), fresh_secret());
    given.change(session.id, renew(session.secret, next)).await;
    given.change(session.id, promote(next)).await;
    for replaces in [session.secret, fresh_secret()] {
        let change = renew_softly(replaces, none).set(name("a"), json("1"));
        let record = given.change(session.id, change).await;
        assert_eq!(record.get("a"), Some("1"));
        assert_eq!(record.slots().count(), 2);
    }
    let replaced = verdict_at_once(&given, &session, none).await;
    assert_eq!(replaced, SecretVerdict::Unknown);
}

async fn clause_09_every_unpresented_secret_stays_accepted(given: Context) {
    let session = given.visitor_for(long()).await;
    let issued: Vec<_> = (0..3).map(|_| fresh_secret()).collect();
    for secret in &issued {
        given.advance(mins(30));
        given
            .change(session.id, renew(session.secret, *secret))
            .await;
    }
    given.advance(mins(600));
    for secret in &issued {
        assert_eq!(
            verdict(&given, &session, *secret).await,
            ACCEPTED_UNPRESENTED
        );
    }
    assert_eq!(
        verdict(&given, &session, session.secret).await,
        ACCEPTED_CURRENT
    );
}

async fn clause_09_beyond_four_hashes_the_oldest_that_is_not_current_goes(given: Context) {
    let session = given.visitor().await;
    let issued: Vec<_> = (0..6).map(|_| fresh_secret()).collect();
    for secret in &issued {
        let record = given
            .change(session.id, renew(session.secret, *secret))
            .await;
        assert!(record.slots().count() <= 4);
    }
    let hashes: Vec<_> = given
        .load(session.id)
        .await
        .live()
        .slots()
        .map(|slot| slot.hash)
        .collect();
    assert_eq!(hashes, [session.secret, issued[3], issued[4], issued[5]]);

    // The former one of a promotion is then older than those unpresented.
    given.change(session.id, promote(issued[4])).await;
    let last = fresh_secret();
    given.change(session.id, renew(issued[4], last)).await;
    let hashes: Vec<_> = given
        .load(session.id)
        .await
        .live()
        .slots()
        .map(|slot| slot.hash)
        .collect();
    assert_eq!(hashes, [issued[3], issued[4], issued[5], last]);
}

async fn clause_09_one_change_promotes_and_then_renews(given: Context) {
    let (_, user) = given.some_user().await;
    let next = fresh_secret();
    let change = renew_softly(user.secret, next).promote(user.secret);
    let record = given.change(user.id, change).await;
    let standings: Vec<_> = record.slots().map(|slot| slot.standing).collect();
    assert_eq!(standings, [Standing::Current, Standing::Unpresented]);
    let third = fresh_secret();
    let change = Change::new().promote(next);
    let change = change.renew(session_core::Renewal {
        issue: third,
        replaces: next,
        soft: false,
    });
    let record = given.change(user.id, change).await;
    let standings: Vec<_> = record.slots().map(|slot| slot.standing).collect();
    assert_eq!(
        standings,
        [Standing::Former, Standing::Current, Standing::Unpresented]
    );
    assert_eq!(given.load(user.id).await.live(), record);
}

/// SECURITY 23
async fn clause_09_a_renewal_keeps_id_entries_creation_and_deadline(given: Context) {
    let (subject, user) = given.some_user().await;
    let before = given.change(user.id, set("cart", "[1.0]")).await;
    given.advance(mins(10));
    let next = fresh_secret();
    given.change(user.id, renew(user.secret, next)).await;
    given.change(user.id, promote(next)).await;
    let after = given.load(user.id).await.live();
    let (before, after) = ((before.header(), before), (after.header(), after));
    assert_eq!(after.0.created_at, before.0.created_at);
    assert_eq!(after.0.deadline, before.0.deadline);
    assert_eq!(after.0.last_seen_at, before.0.last_seen_at);
    assert_eq!(after.0.owner, before.0.owner);
    assert_eq!(after.1.entries_block(), before.1.entries_block());
    assert_eq!(given.listed(&subject).await, [user.id]);
}

async fn clause_09_presenting_an_earlier_of_two_leaves_the_later_accepted(given: Context) {
    let session = given.visitor_for(long()).await;
    let (earlier, later) = (fresh_secret(), fresh_secret());
    given
        .change(session.id, renew(session.secret, earlier))
        .await;
    given.change(session.id, renew(session.secret, later)).await;
    given.change(session.id, promote(earlier)).await;
    given.advance(mins(60));
    assert_eq!(verdict(&given, &session, earlier).await, ACCEPTED_CURRENT);
    assert_eq!(verdict(&given, &session, later).await, ACCEPTED_UNPRESENTED);
    given.change(session.id, promote(later)).await;
    assert_eq!(verdict(&given, &session, earlier).await, ACCEPTED_FORMER);
    assert_eq!(verdict(&given, &session, later).await, ACCEPTED_CURRENT);
}
