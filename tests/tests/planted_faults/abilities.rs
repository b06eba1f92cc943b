//! Faults in what a store does besides the contract: purge, feed, scan, and a bound on its number.

use std::collections::HashSet;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use session_conformance::Suite;
use session_conformance::reference::ReferenceStore;
use session_core::{
    Admission, Creation, Ended, ErrorKind, Feed, FeedItem, FeedSource, Freshness, Loaded,
    ManualClock, NewRecord, Record, SessionId, SessionStore, SignInLimit, StoreError, Ticket,
};

use crate::fault::{Broken, Fault, suite};
use crate::{Planted, caught};

pub(crate) fn planted() -> Vec<Planted> {
    vec![
        caught(
            "PurgesTheLiving",
            || {
                suite(Purges(|sound, _| {
                    sound.step(|state, _| state.sessions.drain().count())
                }))
            },
            &["purge_removes_what_expired_and_nothing_else"],
        ),
        caught(
            "PurgesWithoutMeasure",
            || {
                suite(Purges(|sound, _| {
                    sound.step(|state, now| {
                        let before = state.sessions.len();
                        state.sessions.retain(|_, record| record.is_live(now));
                        before - state.sessions.len()
                    })
                }))
            },
            &["purge_removes_at_most_a_batch"],
        ),
        caught(
            "PurgesNothing",
            || suite(Purges(|_, _| 0)),
            &["purge_removes_at_most_a_batch"],
        ),
        caught(
            "TellsNothing",
            || suite(Tells::by(|_| None)).time_limit(Duration::from_millis(300)),
            &[
                "watch_tells_of_every_way_to_end_once",
                "watch_tells_of_renewals_and_of_first_presentations",
                "watch_tells_every_reader",
                "watch_tells_of_what_other_handles_did",
            ],
        ),
        caught(
            "TellsOfEveryDelete",
            || suite(Tells::by(|id| Some(FeedItem::Ended(id)))),
            &[
                "watch_tells_nothing_of_what_did_not_happen",
                "watch_tells_of_an_expiry_at_most_once_and_never_as_an_end",
            ],
        ),
        caught(
            "TellsOfEndsLate",
            || suite(TellsOfEndsLate(FeedSource::new(64))),
            &["watch_gives_a_nonce_back_after_the_ends_before_it"],
        ),
        caught(
            "LosesNonces",
            || suite(LosesNonces).time_limit(Duration::from_millis(300)),
            &["watch_gives_a_nonce_back_after_the_ends_before_it"],
        ),
        caught(
            "ScansInNoOrder",
            || {
                suite(Scans(|sound, after, limit| {
                    let mut page = ids_after(sound, after);
                    page.truncate(limit);
                    page.reverse();
                    page
                }))
            },
            &["scan_finds_every_live_session_in_the_order_of_ids"],
        ),
        caught(
            "ScansWithoutMeasure",
            || suite(Scans(|sound, after, _| ids_after(sound, after))),
            &["scan_keeps_to_its_limit"],
        ),
        caught(
            "ScansTheExpired",
            || {
                suite(Scans(|sound, after, limit| {
                    let mut page = sound.step(|state, _| {
                        let all = state.sessions.iter().filter(|(id, _)| Some(**id) > after);
                        all.map(|(id, record)| (*id, record.clone()))
                            .collect::<Vec<_>>()
                    });
                    page.sort_by_key(|(id, _)| *id);
                    page.truncate(limit);
                    page
                }))
            },
            &["scan_finds_nothing_that_expired"],
        ),
        caught(
            "HidesInsteadOfEnding",
            || suite(HidesInsteadOfEnding::default()),
            &["scan_finds_nothing_that_ended"],
        ),
        caught(
            "KeepsToNoBound",
            || bounded_suite(|_| KeepsToNoBound),
            &[
                "bounded_refuses_visitors_at_80_percent_and_users_at_100",
                "bounded_drops_no_live_session",
            ],
        ),
        caught(
            "DropsTheOldestWhenFull",
            || bounded_suite(|max| DropsTheOldestWhenFull { max }),
            &["bounded_drops_no_live_session"],
        ),
        caught(
            "CountsWhatIsGone",
            || {
                bounded_suite(|max| CountsWhatIsGone {
                    max,
                    count: AtomicUsize::new(0),
                })
            },
            &[
                "bounded_takes_new_sessions_once_others_have_ended",
                "bounded_takes_new_sessions_once_others_have_expired",
            ],
        ),
        caught(
            "FullBeforeItMakesRoom",
            || bounded_suite(|max| FullBeforeItMakesRoom { max }),
            &["bounded_takes_a_sign_in_that_ends_another"],
        ),
    ]
}

fn ids_after(sound: &ReferenceStore, after: Option<SessionId>) -> Vec<(SessionId, Record)> {
    let mut page = sound.step(|state, now| {
        let live = state
            .sessions
            .iter()
            .filter(|(_, record)| record.is_live(now));
        live.filter(|(id, _)| Some(**id) > after)
            .map(|(id, record)| (*id, record.clone()))
            .collect::<Vec<_>>()
    });
    page.sort_by_key(|(id, _)| *id);
    page
}

#[derive(Clone, Debug)]
struct Purges(fn(&ReferenceStore, usize) -> usize);

#[async_trait]
impl Fault for Purges {
    async fn purge(&self, sound: &ReferenceStore, batch: usize) -> Result<usize, StoreError> {
        Ok((self.0)(sound, batch))
    }
}

/// Tells of deletes by a rule, whether they ended anything or not, and of nothing else.
#[derive(Clone, Debug)]
struct Tells {
    rule: fn(SessionId) -> Option<FeedItem>,
    feed: FeedSource,
}

impl Tells {
    fn by(rule: fn(SessionId) -> Option<FeedItem>) -> Self {
        let feed = FeedSource::new(64);
        Self { rule, feed }
    }
}

#[async_trait]
impl Fault for Tells {
    async fn delete(&self, sound: &ReferenceStore, id: SessionId) -> Result<bool, StoreError> {
        if let Some(item) = (self.rule)(id) {
            self.feed.send(item);
        }
        sound.delete(id).await
    }

    fn watch(&self, _: &ReferenceStore) -> Feed {
        self.feed.subscribe()
    }
}

/// Nonces overtake the ends on their way.
#[derive(Clone, Debug)]
struct TellsOfEndsLate(FeedSource);

#[async_trait]
impl Fault for TellsOfEndsLate {
    async fn delete(&self, sound: &ReferenceStore, id: SessionId) -> Result<bool, StoreError> {
        let ended = sound.delete(id).await?;
        let feed = self.0.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            feed.send(FeedItem::Ended(id));
        });
        Ok(ended)
    }

    fn watch(&self, _: &ReferenceStore) -> Feed {
        self.0.subscribe()
    }

    async fn echo(&self, _: &ReferenceStore, nonce: u64) -> Result<(), StoreError> {
        self.0.send(FeedItem::Echo(nonce));
        Ok(())
    }
}

#[derive(Clone, Debug)]
struct LosesNonces;

#[async_trait]
impl Fault for LosesNonces {
    async fn echo(&self, _: &ReferenceStore, _: u64) -> Result<(), StoreError> {
        Ok(())
    }
}

type Page = Vec<(SessionId, Record)>;

#[derive(Clone, Debug)]
struct Scans(fn(&ReferenceStore, Option<SessionId>, usize) -> Page);

#[async_trait]
impl Fault for Scans {
    async fn scan(
        &self,
        sound: &ReferenceStore,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        Ok((self.0)(sound, after, limit))
    }
}

/// Marks a session as deleted, and hides it from those who load it.
#[derive(Clone, Debug, Default)]
struct HidesInsteadOfEnding(Arc<Mutex<HashSet<SessionId>>>);

#[async_trait]
impl Fault for HidesInsteadOfEnding {
    async fn delete(&self, sound: &ReferenceStore, id: SessionId) -> Result<bool, StoreError> {
        let is_there = sound.step(|state, now| state.live(id, now).is_some());
        Ok(is_there && self.0.lock().insert(id))
    }

    async fn load(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        freshness: Freshness,
    ) -> Result<Loaded, StoreError> {
        Ok(match sound.load(id, freshness).await? {
            Loaded::Live(record) if self.0.lock().contains(&id) => {
                Loaded::Ended(Ended::of(&record, sound.now()))
            }
            loaded => loaded,
        })
    }
}

/// The suite whose bounded stores have this fault, and are themselves without a bound.
fn bounded_suite<F: Fault>(fault: fn(usize) -> F) -> Suite {
    let clock = ManualClock::default();
    let times = clock.clone();
    Suite::new(|| ready(ReferenceStore::default()))
        .bounded(move |max| ready(Broken::new(ReferenceStore::new(times.clone()), fault(max))))
        .clock(clock)
}

#[derive(Debug)]
struct KeepsToNoBound;

impl Fault for KeepsToNoBound {}

#[derive(Debug)]
struct DropsTheOldestWhenFull {
    max: usize,
}

impl DropsTheOldestWhenFull {
    fn make_room(&self, sound: &ReferenceStore) {
        sound.step(|state, now| {
            let all = state.sessions.iter();
            let oldest = all.min_by_key(|(_, record)| record.created_at());
            if let Some((id, _)) = oldest.filter(|_| state.sessions.len() >= self.max) {
                state.end(*id, now);
            }
        });
    }
}

#[async_trait]
impl Fault for DropsTheOldestWhenFull {
    async fn create(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        new: &NewRecord,
    ) -> Result<Creation, StoreError> {
        self.make_room(sound);
        sound.create(id, new).await
    }

    async fn sign_in(
        &self,
        sound: &ReferenceStore,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        self.make_room(sound);
        sound.sign_in(ticket, id, new, limit).await
    }
}

fn full<T>() -> Result<T, StoreError> {
    Err(StoreError::new("reference", ErrorKind::Full))
}

/// Counts every session that ever was.
#[derive(Debug)]
struct CountsWhatIsGone {
    max: usize,
    count: AtomicUsize,
}

#[async_trait]
impl Fault for CountsWhatIsGone {
    async fn create(
        &self,
        sound: &ReferenceStore,
        id: SessionId,
        new: &NewRecord,
    ) -> Result<Creation, StoreError> {
        if self.count.load(Ordering::SeqCst) >= self.max * 4 / 5 {
            return full();
        }
        self.count.fetch_add(1, Ordering::SeqCst);
        sound.create(id, new).await
    }

    async fn sign_in(
        &self,
        sound: &ReferenceStore,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        if self.count.load(Ordering::SeqCst) >= self.max {
            return full();
        }
        self.count.fetch_add(1, Ordering::SeqCst);
        sound.sign_in(ticket, id, new, limit).await
    }
}

/// Refuses a sign-in for want of a place that the sign-in itself would free.
#[derive(Debug)]
struct FullBeforeItMakesRoom {
    max: usize,
}

#[async_trait]
impl Fault for FullBeforeItMakesRoom {
    async fn sign_in(
        &self,
        sound: &ReferenceStore,
        ticket: &Ticket,
        id: SessionId,
        new: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        if sound.step(|state, _| state.sessions.len()) >= self.max {
            return full();
        }
        sound.sign_in(ticket, id, new, limit).await
    }
}
