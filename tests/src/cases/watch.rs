//! The optional `Watch`: a feed of what ended or was renewed.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use futures_util::future::join_all;
use session_core::{Change, Feed, FeedItem, LimitPolicy, SessionId, SignInLimit, Timeouts};

use crate::case::Case;
use crate::context::{Context, fresh_id, fresh_secret, fresh_subject};
use crate::expect::{ExpectAdmission, ExpectLoaded};
use crate::rng::Rng;
use crate::sample::{
    millis, mins, new_record, promote, renew, renew_softly, secs, set, sorted, touch,
};

pub(super) fn cases() -> Vec<Case> {
    cases![
        watch_tells_of_every_way_to_end_once: Watch + Quiet,
        watch_tells_of_renewals_and_of_first_presentations: Watch + Quiet,
        watch_tells_nothing_of_what_did_not_happen: Watch + Quiet,
        watch_tells_of_an_expiry_at_most_once_and_never_as_an_end: Watch + Clock,
        watch_tells_every_reader: Watch + Quiet,
        watch_tells_of_what_other_handles_did: Watch + Quiet + SecondHandle,
        watch_gives_a_nonce_back_after_the_ends_before_it: Watch,
    ]
}

/// The next item but those that a store may tell besides: a change, a nonce of somebody else, or that an
/// expired session, maybe of another case, was removed.
pub(super) async fn next(feed: &mut Feed) -> FeedItem {
    loop {
        let item = tokio::time::timeout(secs(10), feed.next()).await;
        match item
            .expect("the feed tells within 10 s")
            .expect("the store is open")
        {
            FeedItem::Changed(_) | FeedItem::Expired(_) | FeedItem::Echo(_) => {}
            item => return item,
        }
    }
}

/// Destroys a session and expects that the feed tells of that next: of nothing before it.
async fn tells_nothing_more(given: &Context, feed: &mut Feed) {
    let last = given.visitor().await.id;
    assert!(given.store().delete(last).await.unwrap());
    assert_eq!(next(feed).await, FeedItem::Ended(last));
}

async fn ends(feed: &mut Feed, ids: impl IntoIterator<Item = SessionId>) {
    let expected = sorted(ids);
    let mut told = Vec::new();
    for _ in &expected {
        match next(feed).await {
            FeedItem::Ended(id) => told.push(id),
            other => panic!("expected an end, the feed told {other:?}"),
        }
    }
    assert_eq!(sorted(told), expected);
}

/// A feed that has told everything that came before: what an earlier case did may still be on its way.
async fn watch(given: &Context, rng: &mut Rng) -> Feed {
    let watch = given.store().abilities().watch.unwrap();
    let mut feed = watch.watch();
    let nonce = rng.next();
    watch.echo(nonce).await.unwrap();
    loop {
        let item = tokio::time::timeout(secs(10), feed.next()).await;
        let item = item.expect("a nonce comes back within 10 s").unwrap();
        if item == FeedItem::Echo(nonce) {
            return feed;
        }
    }
}

async fn watch_tells_of_every_way_to_end_once(given: Context) {
    let mut feed = watch(&given, &mut given.rng()).await;
    let (subject, user) = given.some_user().await;
    let visitor = given.visitor().await;
    for id in [user.id, visitor.id] {
        assert!(given.store().delete(id).await.unwrap());
        ends(&mut feed, [id]).await;
    }
    let (first, second, kept) = (
        given.user(&subject).await.id,
        given.user(&subject).await.id,
        given.user(&subject).await.id,
    );
    given.store().revoke(&subject, Some(kept)).await.unwrap();
    ends(&mut feed, [first, second]).await;

    let limit = SignInLimit {
        max: NonZeroUsize::MIN,
        policy: LimitPolicy::EndOldest,
    };
    let (ticket, id) = (given.ticket(&subject).await, given.id_of(&subject));
    let admission = given
        .store()
        .sign_in(&ticket, id, &new_record(), Some(limit))
        .await;
    assert_eq!(admission.admitted().1, [kept]);
    ends(&mut feed, [kept]).await;

    let later = given.id_of(&subject);
    let admission = given.sign_in(&ticket.next_attempt(), later, None).await;
    assert_eq!(admission.admitted().1, [id]);
    ends(&mut feed, [id]).await;
    tells_nothing_more(&given, &mut feed).await;
}

async fn watch_tells_of_renewals_and_of_first_presentations(given: Context) {
    let mut feed = watch(&given, &mut given.rng()).await;
    let (_, user) = given.some_user().await;
    let visitor = given.visitor().await;
    given.change(user.id, promote(user.secret)).await;
    assert_eq!(next(&mut feed).await, FeedItem::Renewed(user.id));
    for session in [user, visitor] {
        let next_secret = fresh_secret();
        given
            .change(session.id, renew(session.secret, next_secret))
            .await;
        assert_eq!(next(&mut feed).await, FeedItem::Renewed(session.id));
        given.change(session.id, promote(next_secret)).await;
        assert_eq!(next(&mut feed).await, FeedItem::Renewed(session.id));
        given
            .change(session.id, renew_softly(next_secret, fresh_secret()))
            .await;
        assert_eq!(next(&mut feed).await, FeedItem::Renewed(session.id));
    }
    tells_nothing_more(&given, &mut feed).await;
}

async fn watch_tells_nothing_of_what_did_not_happen(given: Context) {
    let (subject, user) = given.some_user().await;
    let ended = given.visitor().await;
    let mut feed = watch(&given, &mut given.rng()).await;
    assert!(given.store().delete(ended.id).await.unwrap());
    ends(&mut feed, [ended.id]).await;
    assert!(!given.store().delete(ended.id).await.unwrap());
    assert!(!given.store().delete(fresh_id()).await.unwrap());
    given
        .store()
        .apply(ended.id, &set("a", "1"), None)
        .await
        .unwrap();
    given.change(user.id, set("a", "1")).await;
    given.change(user.id, touch()).await;
    given.change(user.id, promote(fresh_secret())).await;
    given.change(user.id, Change::new().clear()).await;
    let conflict = renew(fresh_secret(), fresh_secret());
    given.store().apply(user.id, &conflict, None).await.unwrap();
    given.store().revoke(&fresh_subject(), None).await.unwrap();
    given.store().revoke(&subject, Some(user.id)).await.unwrap();
    let limit = SignInLimit {
        max: NonZeroUsize::MIN,
        policy: LimitPolicy::Refuse,
    };
    let (ticket, id) = (given.ticket(&subject).await, given.id_of(&subject));
    let refused = given
        .store()
        .sign_in(&ticket, id, &new_record(), Some(limit))
        .await;
    refused.limit_reached();
    tells_nothing_more(&given, &mut feed).await;
}

async fn watch_tells_of_an_expiry_at_most_once_and_never_as_an_end(given: Context) {
    let mut feed = watch(&given, &mut given.rng()).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(given.visitor_for(Timeouts::new(mins(1))).await.id);
    }
    given.advance(mins(1) + millis(1));
    for id in &ids {
        given.load(*id).await.absent();
        assert!(!given.store().delete(*id).await.unwrap());
    }
    let last = given.visitor().await.id;
    if let Some(purge) = given.store().abilities().purge {
        while purge.purge_expired(100).await.unwrap() > 0 {}
        while purge.purge_expired(100).await.unwrap() > 0 {}
    }
    assert!(given.store().delete(last).await.unwrap());
    let mut expired = Vec::new();
    loop {
        let item = tokio::time::timeout(secs(10), feed.next()).await;
        match item.expect("the feed tells within 10 s").unwrap() {
            FeedItem::Ended(id) if id == last => break,
            FeedItem::Ended(id) => assert!(!ids.contains(&id), "an expiry is no end"),
            FeedItem::Expired(id) => {
                assert!(!expired.contains(&id), "an expiry is told once");
                expired.push(id);
            }
            _ => {}
        }
    }
    assert!(
        !expired.contains(&last),
        "a live session was told as expired"
    );
}

async fn watch_tells_every_reader(given: Context) {
    let mut rng = given.rng();
    let mut feeds = [
        watch(&given, &mut rng).await,
        watch(&given, &mut rng).await,
        watch(&given, &mut rng).await,
    ];
    let id = given.visitor().await.id;
    assert!(given.store().delete(id).await.unwrap());
    for feed in &mut feeds {
        assert_eq!(next(feed).await, FeedItem::Ended(id));
    }
}

async fn watch_tells_of_what_other_handles_did(given: Context) {
    let mut feed = watch(&given, &mut given.rng()).await;
    let visitor = given.visitor().await;
    let renewal = renew(visitor.secret, fresh_secret());
    given
        .handle(1)
        .apply(visitor.id, &renewal, None)
        .await
        .unwrap();
    assert_eq!(next(&mut feed).await, FeedItem::Renewed(visitor.id));
    assert!(given.handle(1).delete(visitor.id).await.unwrap());
    assert_eq!(next(&mut feed).await, FeedItem::Ended(visitor.id));
}

async fn watch_gives_a_nonce_back_after_the_ends_before_it(given: Context) {
    let mut rng = given.rng();
    for round in 0..20 {
        let mut feed = watch(&given, &mut rng).await;
        let mut ends = Vec::new();
        for at in 0..4 {
            let (id, store) = (given.visitor().await.id, given.handle(round + at));
            ends.push(async move {
                assert!(store.delete(id).await.unwrap());
                id
            });
        }
        let mut ended: HashSet<SessionId> = join_all(ends).await.into_iter().collect();
        let nonce = rng.next();
        let watch = given.store().abilities().watch.unwrap();
        watch.echo(nonce).await.unwrap();
        loop {
            let item = tokio::time::timeout(secs(10), feed.next()).await;
            match item.expect("a nonce comes back within 10 s").unwrap() {
                FeedItem::Ended(id) => drop(ended.remove(&id)),
                // What was told before may be missing, and it says so.
                FeedItem::Gap => ended.clear(),
                FeedItem::Echo(back) if back == nonce => break,
                _ => {}
            }
        }
        assert!(
            ended.is_empty(),
            "{ended:?} ended before the nonce was sent"
        );
    }
}
