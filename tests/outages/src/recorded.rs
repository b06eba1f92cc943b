//! Calls to a store, each written down with what is known of its outcome.

use std::fmt;
use std::time::Duration;

use session_core::{
    Admission, Application, Applied, Change, Clock as _, Creation, EntryName, ErrorKind, Freshness,
    JsonText, Loaded, NewRecord, Record, SessionError, SessionId, SessionSecret, SessionToken,
    Sessions, Shard, SharedStore, SignInLimit, StoreError, Subject, SystemClock, Ticket, Timeouts,
    Timestamp,
};

use crate::event::{Event, Found, Id, Journal, Sight, Span};
use crate::rng::Rng;

/// The entry that a session counts in.
pub(crate) const COUNT: &str = "count";
/// Long enough for every run. None of these sessions is to expire unless it is asked to.
const LONG: Duration = Duration::from_secs(48 * 3600);

/// A store, and the journal of all that is asked of it here.
#[derive(Clone)]
pub struct Recorded {
    store: SharedStore,
    sessions: Sessions,
    journal: Journal,
}

/// A session in the hands of the one that made it, who alone writes to it.
#[derive(Clone, Debug)]
pub struct Own {
    /// Its id and secret.
    pub token: SessionToken,
    /// The record as it was last seen.
    pub record: Record,
}

impl Own {
    /// The session's id.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.token.id
    }
}

impl Recorded {
    /// Writes down in `journal` what is asked of `store`.
    #[must_use]
    pub fn new(store: SharedStore, journal: Journal) -> Self {
        let sessions = Sessions::shared_builder(SharedStore::clone(&store)).build();
        Self {
            store,
            sessions,
            journal,
        }
    }

    /// The sessions of the store, for what the lifecycle does above it.
    #[must_use]
    pub const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Makes an anonymous session that lives for `life`, or as long as any run lasts.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn create(&self, life: Option<Duration>) -> Result<Own, StoreError> {
        let (token, record) = fresh(Shard::random(), life.unwrap_or(LONG));
        let begun = now();
        let answer = self.store.create(token.id, &record).await;
        let began = |span| Event::Began {
            id: Id(token.id),
            subject: None,
            span,
            ticket_at: None,
            life: life.map(|life| u64::try_from(life.as_millis()).unwrap_or(u64::MAX)),
        };
        match self.note(begun, answer, began)? {
            Creation::Created(record) => Ok(Own { token, record }),
            Creation::Exists => Err(StoreError::new("outages", ErrorKind::Corrupt)),
        }
    }

    /// Sets entries, or removes those without a number, by one change. `false` if the session is not there.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn write(
        &self,
        own: &mut Own,
        entries: &[(&str, Option<u64>)],
        padding: usize,
    ) -> Result<bool, StoreError> {
        let mut change = Change::new().touch();
        for &(name, number) in entries {
            let name = EntryName::new(name).expect("a name");
            change = match number {
                Some(number) => change.set(name, text(number, padding)),
                None => change.remove(name),
            };
        }
        let begun = now();
        let seen = Some(&own.record);
        let answer = self.store.apply(own.token.id, &change, seen).await;
        let entries = owned(entries);
        let answer = answer.map(|application| match application {
            Application::Applied { record, .. } => Some(record),
            Application::Absent | Application::Conflict => None,
        });
        let last_seen = answer.as_ref().ok().and_then(Option::as_ref);
        let last_seen = last_seen.map(Record::last_seen_at);
        if let Ok(None) = answer {
            self.saw(own.token.id, begun, Found::Nothing);
            return Ok(false);
        }
        let wrote = |span| Event::Wrote {
            id: Id(own.token.id),
            entries,
            span,
            last_seen,
        };
        if let Some(record) = self.note(begun, answer, wrote)? {
            own.record = record;
        }
        Ok(true)
    }

    /// Sets an entry as an application does: through the lifecycle, which settles what is unknown.
    /// `false` if the session is not there.
    ///
    /// # Errors
    ///
    /// The lifecycle's.
    pub async fn save(&self, own: &Own, name: &str, number: u64) -> Result<bool, SessionError> {
        let begun = now();
        let session = self.open(&own.token);
        if session.id().await?.is_none() {
            self.saw(own.token.id, begun, Found::Nothing);
            return Ok(false);
        }
        session.insert_text(name, text(number, 0)).await?;
        let answer = session.save().await;
        let entries = owned(&[(name, Some(number))]);
        let is_done = outcome(&answer);
        if is_done != Some(false) {
            let ended = is_done.map(|_| now());
            (self.journal)(Event::Wrote {
                id: Id(own.token.id),
                entries,
                span: Span { begun, ended },
                last_seen: None,
            });
        }
        match answer {
            Ok(()) => Ok(true),
            Err(SessionError::Ended) => {
                self.saw(own.token.id, begun, Found::Nothing);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Adds one to the number that a session counts, as an application does.
    ///
    /// # Errors
    ///
    /// The lifecycle's.
    pub async fn count(&self, token: &SessionToken) -> Result<(), SessionError> {
        let begun = now();
        let session = self.open(token);
        if session.id().await?.is_none() {
            self.saw(token.id, begun, Found::Nothing);
            return Err(SessionError::Ended);
        }
        let answer = session
            .update(COUNT, async |n: Option<u64>| n.unwrap_or(0) + 1)
            .await;
        let is_done = outcome(&answer);
        if is_done != Some(false) {
            let (id, is_certain) = (Id(token.id), is_done.is_some());
            (self.journal)(Event::Counted { id, is_certain });
        }
        answer.map(drop)
    }

    /// Looks at a session, at the source. `false` if it is not there.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn look(&self, id: SessionId) -> Result<bool, StoreError> {
        let begun = now();
        let found = match self.store.load(id, Freshness::Source).await? {
            Loaded::Live(record) => Found::Read(sight(&record)),
            Loaded::Ended(_) | Loaded::Absent => Found::Nothing,
        };
        let is_there = found != Found::Nothing;
        self.saw(id, begun, found);
        Ok(is_there)
    }

    /// Ends a session.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        let begun = now();
        let answer = self.store.delete(id).await;
        if let Ok(false) = answer {
            self.saw(id, begun, Found::Nothing);
        }
        let ended = |span| Event::Ended {
            ids: vec![Id(id)],
            span,
        };
        self.note(begun, answer, ended)
    }

    /// Takes a ticket for a sign-in, and says when it was there.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn ticket(&self, subject: &Subject) -> Result<(Ticket, Timestamp), StoreError> {
        let ticket = self.store.ticket(subject).await?;
        Ok((ticket, now()))
    }

    /// Signs in. Nothing if it is refused.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn sign_in(
        &self,
        (ticket, ticket_at): &(Ticket, Timestamp),
        limit: Option<SignInLimit>,
    ) -> Result<Option<Own>, StoreError> {
        let subject = ticket.subject();
        let shard = self.store.facts().sharding.shard_of(subject);
        let (token, record) = fresh(shard, LONG);
        let begun = now();
        let answer = self.store.sign_in(ticket, token.id, &record, limit).await;
        let room = |begun| Event::MadeRoom {
            subject: subject.clone(),
            begun,
        };
        let record = match answer {
            Ok(Admission::Admitted { record, ended }) => {
                let ids: Vec<_> = ended.into_iter().map(Id).collect();
                let ended = Some(now());
                if !ids.is_empty() {
                    let span = Span { begun, ended };
                    (self.journal)(Event::Ended { ids, span });
                }
                Ok(record)
            }
            Ok(_) => return Ok(None),
            Err(error) => {
                if error.applied() == Applied::Unknown && limit.is_some() {
                    (self.journal)(room(begun));
                }
                Err(error)
            }
        };
        let began = |span| Event::Began {
            id: Id(token.id),
            subject: Some(subject.clone()),
            span,
            ticket_at: Some(*ticket_at),
            life: None,
        };
        let record = self.note(begun, record, began)?;
        Ok(Some(Own { token, record }))
    }

    /// Ends the sessions of a subject but one.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<(), StoreError> {
        let begun = now();
        let answer = self.store.revoke(subject, except).await;
        let ids = answer.clone().unwrap_or_default();
        let revoked = |span| Event::Revoked {
            subject: subject.clone(),
            except: except.map(Id),
            ids: ids.into_iter().map(Id).collect(),
            span,
        };
        self.note(begun, answer, revoked).map(drop)
    }

    /// Lists the sessions of a subject, of which there may be so many.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn list(
        &self,
        subject: &Subject,
        limit: Option<usize>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let begun = now();
        let listed = self.store.sessions_of(subject).await?;
        if let Some(limit) = limit {
            let subject = subject.clone();
            let count = listed.len();
            (self.journal)(Event::Listed {
                subject,
                count,
                limit,
            });
        }
        for (id, _) in &listed {
            self.saw(*id, begun, Found::Alive);
        }
        Ok(listed.into_iter().map(|(id, _)| id).collect())
    }

    /// Writes down that a session that its maker knows of was in no list, by a call that began at `begun`.
    pub fn missed(&self, id: SessionId, begun: Timestamp) {
        self.saw(id, begun, Found::Nothing);
    }

    fn open(&self, token: &SessionToken) -> session_core::Session {
        let text = self.sessions.encode(token);
        self.sessions.open(self.sessions.read([text.as_bytes()]))
    }

    fn saw(&self, id: SessionId, begun: Timestamp, found: Found) {
        let ended = Some(now());
        (self.journal)(Event::Saw {
            id: Id(id),
            span: Span { begun, ended },
            found,
        });
    }

    /// Writes down what was acknowledged, or may have happened.
    fn note<T>(
        &self,
        begun: Timestamp,
        answer: Result<T, StoreError>,
        event: impl FnOnce(Span) -> Event,
    ) -> Result<T, StoreError> {
        let ended = answer.is_ok().then(now);
        if answer
            .as_ref()
            .map_or_else(|error| error.applied() == Applied::Unknown, |_| true)
        {
            (self.journal)(event(Span { begun, ended }));
        }
        answer
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// Whether a call of the lifecycle did what it was asked to; nothing if that is unknown.
fn outcome<T>(answer: &Result<T, SessionError>) -> Option<bool> {
    match answer {
        Ok(_) => Some(true),
        Err(SessionError::Store(error)) if error.applied() == Applied::Unknown => None,
        Err(_) => Some(false),
    }
}

fn fresh(shard: Shard, life: Duration) -> (SessionToken, NewRecord) {
    let secret = SessionSecret::generate();
    let timeouts = Timeouts::new(life).without_idle().without_renewal();
    let record = NewRecord::new(secret.hash(), timeouts);
    let id = SessionId::generate(shard);
    (SessionToken { id, secret }, record)
}

/// A number as the text of an entry, with so many bytes besides.
fn text(number: u64, padding: usize) -> JsonText {
    let text = match padding {
        0 => number.to_string(),
        _ => format!("[{number},\"{}\"]", letters(number, padding)),
    };
    JsonText::parse(text).expect("JSON")
}

/// Letters that no server can make shorter.
fn letters(seed: u64, count: usize) -> String {
    let mut rng = Rng::new(seed);
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut letter = || letters.chars().nth(rng.below(64)).unwrap_or('-');
    (0..count).map(|_| letter()).collect()
}

fn sight(record: &Record) -> Sight {
    let number = |text: &str| {
        let digits = text.trim_start_matches('[');
        let end = digits.find(|c: char| !c.is_ascii_digit());
        digits.get(..end.unwrap_or(digits.len()))?.parse().ok()
    };
    Sight {
        entries: record
            .entries()
            .filter_map(|(name, text)| Some((name.to_owned(), number(text)?)))
            .collect(),
        last_seen: record.last_seen_at(),
    }
}

fn owned(entries: &[(&str, Option<u64>)]) -> Vec<(String, Option<u64>)> {
    entries
        .iter()
        .map(|&(name, number)| (name.to_owned(), number))
        .collect()
}

/// The present instant, by the clock that all processes here share.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}
