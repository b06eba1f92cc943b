//! The lifecycle on a cache.

use std::time::Duration;

use session_core::{CookieAction, HandlerOutcome, ManualClock, Sessions};
use store_memory::Cached;

use crate::source::Source;
use crate::{HOUR, leased};

/// However many requests there are, a session is written once in each touch interval.
#[tokio::test(start_paused = true)]
async fn a_session_that_is_only_read_is_touched_once_in_an_interval_and_read_from_memory() {
    let clock = ManualClock::default();
    let source = Source::new(clock.clone());
    let builder = Cached::builder(source.clone(), HOUR).clock(clock.clone());
    let cache = builder.start().unwrap();
    leased(&cache).await;
    let builder = Sessions::builder(cache.clone()).clock(clock.clone());
    let sessions = builder.touch_interval(Duration::from_secs(60)).build();

    let visit = sessions.open(sessions.read([]));
    visit.insert("cart", &1).await.unwrap();
    let commit = visit.commit(HandlerOutcome::Answered).await;
    let CookieAction::Set { token, .. } = commit.cookie else {
        panic!("{commit:?}")
    };
    let cookie = sessions.encode(&token);
    let requests = 600;
    for _ in 0..requests {
        clock.advance(Duration::from_secs(1));
        let visit = sessions.open(sessions.read([cookie.as_bytes()]));
        assert_eq!(visit.get("cart").await.unwrap(), Some(1));
        visit.commit(HandlerOutcome::Answered).await;
    }
    assert_eq!(source.writes(), requests / 60);
    assert_eq!(source.loads(), 0);
    assert_eq!(cache.usage().hits, requests);
}
