//! The live part of the panel: what happens to a session, told as it happens (Server-Sent Events).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use futures_util::stream::unfold;
use session_core::{
    Event, EventKind, Feed, FeedItem, Freshness, Loaded, Observer, Record, SessionId,
};
use session_tower::axum::Session;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use crate::app::App;
use crate::pages::details;
use crate::problem::{Kind, Problem};

/// How many panels are told at once.
const MAX_LISTENERS: usize = 256;
/// How many events wait for a panel that is slow; it misses those before.
const BACKLOG: usize = 256;
/// How often the record is looked at, for changes that no feed tells.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long one stream lasts. The browser asks for the next one by itself.
const LASTS: Duration = Duration::from_secs(15 * 60);

/// Passes the lifecycle's events of this process on to panels. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    events: broadcast::Sender<Event>,
    room: Arc<Semaphore>,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self {
            events: broadcast::Sender::new(BACKLOG),
            room: Arc::new(Semaphore::new(MAX_LISTENERS)),
        }
    }
}

impl Observer for Live {
    fn observe(&self, event: &Event) {
        // Fails only if no panel is open.
        let _ = self.events.send(event.clone());
    }
}

/// The stream of one panel. Without a session there is nothing to tell, now or later.
pub(crate) async fn live(State(app): State<App>, session: Session) -> Result<Response, Problem> {
    let (Some(id), Some(record)) = (session.id().await?, session.record().await?) else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let Ok(place) = Arc::clone(&app.live().room).try_acquire_owned() else {
        return Err(Problem::new(
            Kind::TooManyRequests,
            "too many panels are open",
        ));
    };
    let listener = Listener::new(app, id, record, place);
    Ok(Sse::new(listener.messages())
        .keep_alive(KeepAlive::default())
        .into_response())
}

/// One panel that listens.
struct Listener {
    app: App,
    id: SessionId,
    /// As the panel shows it.
    shown: Record,
    feed: Option<Feed>,
    events: broadcast::Receiver<Event>,
    look: Interval,
    stopping: watch::Receiver<bool>,
    waiting: VecDeque<Message>,
    has_ended: bool,
    _place: OwnedSemaphorePermit,
}

/// What woke a listener.
enum News {
    OfFeed(FeedItem),
    OfEvents(Event),
    Look,
    Stop,
}

impl Listener {
    fn new(app: App, id: SessionId, shown: Record, place: OwnedSemaphorePermit) -> Self {
        let watch = app.sessions().store().abilities().watch;
        let feed = watch.map(session_core::Watch::watch);
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            feed,
            events: app.live().events.subscribe(),
            look,
            stopping: app.stopping(),
            waiting: VecDeque::new(),
            has_ended: false,
            _place: place,
            app,
            id,
            shown,
        }
    }

    fn messages(self) -> impl Stream<Item = Result<Message, Infallible>> {
        let end = Box::pin(sleep(LASTS));
        unfold((self, end), async |(mut listener, mut end)| {
            loop {
                if let Some(message) = listener.waiting.pop_front() {
                    return Some((Ok(message), (listener, end)));
                }
                if listener.has_ended {
                    return None;
                }
                tokio::select! {
                    news = listener.news() => listener.take(news).await,
                    () = &mut end => return None,
                }
            }
        })
    }

    async fn news(&mut self) -> News {
        let of_feed = async {
            match &mut self.feed {
                Some(feed) => feed.next().await,
                None => None,
            }
        };
        tokio::select! {
            Some(item) = of_feed => News::OfFeed(item),
            event = self.events.recv() => match event {
                Ok(event) => News::OfEvents(event),
                Err(_) => News::Look,
            },
            _ = self.look.tick() => News::Look,
            _ = self.stopping.wait_for(|stopping| *stopping) => News::Stop,
        }
    }

    async fn take(&mut self, news: News) {
        match news {
            News::OfFeed(FeedItem::Ended(id) | FeedItem::Expired(id)) if id == self.id => {
                self.end("The session has ended: the server no longer knows it.");
            }
            News::OfFeed(FeedItem::Renewed(id)) if id == self.id => {
                self.tell("The store's feed: a secret was issued, or used for the first time");
                self.look().await;
            }
            News::OfFeed(FeedItem::Changed(id)) if id == self.id => {
                self.tell("The store's feed: the record has changed");
                self.look().await;
            }
            News::OfFeed(_) => {}
            News::OfEvents(event) => {
                if let Some(text) = self.text(&event) {
                    self.tell(text);
                }
            }
            News::Look => self.look().await,
            News::Stop => self.has_ended = true,
        }
    }

    /// Shows the record anew if it has changed. Looking is no use: it moves no timeout.
    async fn look(&mut self) {
        match self
            .app
            .sessions()
            .store()
            .load(self.id, Freshness::Any)
            .await
        {
            Ok(Loaded::Live(record)) if record != self.shown => {
                if record.entries_block() != self.shown.entries_block() {
                    self.tell("Its entries have changed");
                }
                let details = details(&self.app, Some((self.id, &record))).into_string();
                self.waiting
                    .push_back(Message::default().event("session").data(details));
                self.shown = record;
            }
            Ok(Loaded::Ended(_) | Loaded::Absent) => {
                self.end("The session has ended: it was signed out, or it expired.");
            }
            // Nothing new, or nothing known: the next look will tell.
            Ok(Loaded::Live(_)) | Err(_) => {}
        }
    }

    fn text(&self, event: &Event) -> Option<&'static str> {
        if event.session == Some(self.id) {
            return match event.kind {
                EventKind::Renewed => Some("It was given a new secret; its id stays"),
                EventKind::SupersededToken => Some("A former cookie was presented, and refused"),
                EventKind::ReuseSuspected => Some("An old secret was presented: stolen, perhaps"),
                EventKind::WriteRefused => Some("A late write was refused"),
                _ => None,
            };
        }
        let subject = event.subject.as_ref()?.as_str();
        if self.shown.subject() != Some(subject) {
            return None;
        }
        match event.kind {
            EventKind::SignedIn => Some("You signed in on another device"),
            EventKind::Destroyed(_) => Some("Another device of yours was signed out"),
            _ => None,
        }
    }

    fn tell(&mut self, text: &str) {
        self.waiting
            .push_back(Message::default().event("happened").data(text));
    }

    fn end(&mut self, text: &str) {
        self.waiting
            .push_back(Message::default().event("ended").data(text));
        self.has_ended = true;
    }
}
