//! What must be so after all that was acknowledged, and what is not.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use futures_util::StreamExt as _;
use futures_util::stream;
use parking_lot::Mutex;
use session_core::{SessionId, SharedStore, StoreError, Subject, Timestamp};

use crate::event::{Event, Found, Id, Span};
use crate::recorded::{COUNT, Recorded};

/// Adds up the journals of any number of callers.
///
/// The events of one session's owner are to come in their order; those of different callers may come in
/// any. What is judged by time is judged by the spans of the calls: a call that began after the end was
/// acknowledged must not find the session; one that came back before anything that could end it began
/// must.
#[derive(Debug, Default)]
pub struct Ledger {
    sessions: HashMap<SessionId, Account>,
    subjects: HashMap<Subject, Owner>,
    over_limit: Vec<String>,
    hung: Vec<String>,
    acknowledged: u64,
    unknown: u64,
    reads: u64,
}

/// What is known of one session.
#[derive(Debug, Default)]
struct Account {
    subject: Option<Subject>,
    /// When it was made, if that was acknowledged.
    begun: Option<Span>,
    ticket_at: Option<Timestamp>,
    /// What each entry may hold: what was acknowledged last, or anything since that is unknown.
    entries: BTreeMap<String, Vec<Option<u64>>>,
    counted: u64,
    counted_perhaps: u64,
    last_seen: Option<Timestamp>,
    /// The first acknowledgement of its end.
    must_end_by: Option<Timestamp>,
    /// The first beginning of a call that could end it.
    may_end_from: Option<Timestamp>,
    /// When the last call began that found it.
    live_at: Option<Timestamp>,
    /// When the first call was over that did not.
    dead_at: Option<Timestamp>,
    /// What stood in the entry that counts, when last seen.
    count: u64,
    is_lost: Option<String>,
}

/// What is known of one subject.
#[derive(Debug, Default)]
struct Owner {
    may_end_from: Option<Timestamp>,
    revocations: Vec<(Timestamp, Timestamp, Option<SessionId>)>,
    limit: Option<usize>,
}

/// A way in which a store breaks its promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// Something acknowledged is not there.
    Lost,
    /// Something that ended is there.
    Revived,
    /// Something was done twice.
    Doubled,
    /// A subject has more sessions than it may.
    OverLimit,
    /// A call went on past its time limit.
    Hung,
}

/// What the ledger found, and how much it looked at.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The promises that were broken, each with where and how.
    pub broken: Vec<(Finding, String)>,
    /// How many changes were acknowledged.
    pub acknowledged: u64,
    /// Of how many changes the outcome stayed unknown.
    pub unknown: u64,
    /// How many sessions were looked at, one time or another.
    pub reads: u64,
    /// How many sessions there were.
    pub sessions: usize,
}

impl Findings {
    /// How many of this kind there are.
    #[must_use]
    pub fn count(&self, finding: Finding) -> usize {
        self.broken.iter().filter(|(is, _)| *is == finding).count()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} changes acknowledged, {} unknown, {} looks at {} sessions: {} lost, {} revived, \
             {} doubled, {} over their limit, {} calls hung",
            self.acknowledged,
            self.unknown,
            self.reads,
            self.sessions,
            self.count(Finding::Lost),
            self.count(Finding::Revived),
            self.count(Finding::Doubled),
            self.count(Finding::OverLimit),
            self.count(Finding::Hung),
        )?;
        let alike = self.broken.chunk_by(|(one, _), (other, _)| one == other);
        for (finding, what) in alike.flat_map(|alike| alike.iter().take(5)) {
            write!(f, "\n  {finding:?}: {what}")?;
        }
        Ok(())
    }
}

impl Ledger {
    /// Takes note of what a caller wrote down.
    pub fn add(&mut self, event: Event) {
        match &event {
            Event::Began { span, .. }
            | Event::Wrote { span, .. }
            | Event::Ended { span, .. }
            | Event::Revoked { span, .. } => match span.ended {
                Some(_) => self.acknowledged += 1,
                None => self.unknown += 1,
            },
            Event::Counted { is_certain, .. } => match is_certain {
                true => self.acknowledged += 1,
                false => self.unknown += 1,
            },
            Event::Saw { .. } | Event::Listed { .. } => self.reads += 1,
            Event::MadeRoom { .. } | Event::Hung { .. } => {}
        }
        match event {
            Event::Began {
                id,
                subject,
                span,
                ticket_at,
                life,
            } => {
                let account = self.account(id);
                account.subject = subject;
                account.ticket_at = ticket_at;
                account.begun = span.ended.map(|_| span);
                if let Some(life) = life {
                    let life = std::time::Duration::from_millis(life);
                    let span = Span {
                        begun: span.begun + life,
                        ended: span.ended.map(|ended| ended + life),
                    };
                    account.may_end(span);
                }
            }
            Event::Wrote {
                id,
                entries,
                span,
                last_seen,
            } => self.account(id).wrote(entries, span, last_seen),
            Event::Counted { id, is_certain } => {
                let account = self.account(id);
                account.counted += u64::from(is_certain);
                account.counted_perhaps += u64::from(!is_certain);
            }
            Event::Ended { ids, span } => {
                for id in ids {
                    self.account(id).may_end(span);
                }
            }
            Event::Revoked {
                subject,
                except,
                ids,
                span,
            } => {
                for id in ids {
                    self.account(id).may_end(span);
                }
                let owner = self.subjects.entry(subject).or_default();
                match span.ended {
                    Some(ended) => {
                        let except = except.map(|id| id.0);
                        owner.revocations.push((span.begun, ended, except));
                    }
                    None => owner.may_end_from = first(owner.may_end_from, span.begun),
                }
            }
            Event::MadeRoom { subject, begun } => {
                let owner = self.subjects.entry(subject).or_default();
                owner.may_end_from = first(owner.may_end_from, begun);
            }
            Event::Saw { id, span, found } => self.account(id).saw(span, found),
            Event::Listed {
                subject,
                count,
                limit,
            } => {
                if count > limit {
                    let what = format!("{} has {count} sessions, not {limit}", subject.as_str());
                    self.over_limit.push(what);
                }
                let owner = self.subjects.entry(subject).or_default();
                owner.limit = Some(limit);
            }
            Event::Hung { verb } => self.hung.push(verb),
        }
    }

    fn account(&mut self, id: Id) -> &mut Account {
        self.sessions.entry(id.0).or_default()
    }

    /// Looks at every session, and lists those of every subject: once all calls are over, and the server
    /// serves again.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn audit(
        ledger: &std::sync::Arc<Mutex<Self>>,
        store: SharedStore,
    ) -> Result<(), StoreError> {
        let (ids, subjects): (Vec<_>, Vec<_>) = {
            let ledger = ledger.lock();
            let ids = ledger.sessions.keys().copied().collect();
            let subjects = ledger
                .subjects
                .iter()
                .map(|(subject, owner)| (subject.clone(), owner.limit))
                .collect();
            (ids, subjects)
        };
        let into = std::sync::Arc::clone(ledger);
        let recorded = Recorded::new(
            store,
            std::sync::Arc::new(move |event| into.lock().add(event)),
        );
        let mut looks = stream::iter(ids.into_iter().map(|id| recorded.look(id)))
            .buffer_unordered(16)
            .boxed();
        while let Some(look) = looks.next().await {
            look?;
        }
        for (subject, limit) in subjects {
            recorded.list(&subject, limit).await?;
        }
        Ok(())
    }

    /// What is not as it must be.
    #[must_use]
    pub fn findings(&self) -> Findings {
        let mut broken = Vec::new();
        for (id, account) in &self.sessions {
            let owner = account
                .subject
                .as_ref()
                .and_then(|subject| self.subjects.get(subject));
            account.judge(*id, owner, |finding, what| {
                broken.push((finding, format!("{id}: {what}")));
            });
        }
        let also = |finding, texts: &[String]| -> Vec<_> {
            texts.iter().map(|text| (finding, text.clone())).collect()
        };
        broken.extend(also(Finding::OverLimit, &self.over_limit));
        broken.extend(also(Finding::Hung, &self.hung));
        broken.sort();
        Findings {
            broken,
            acknowledged: self.acknowledged,
            unknown: self.unknown,
            reads: self.reads,
            sessions: self.sessions.len(),
        }
    }
}

impl Account {
    fn may_end(&mut self, span: Span) {
        self.may_end_from = first(self.may_end_from, span.begun);
        if let Some(ended) = span.ended {
            self.must_end_by = first(self.must_end_by, ended);
        }
    }

    fn wrote(
        &mut self,
        entries: Vec<(String, Option<u64>)>,
        span: Span,
        last_seen: Option<Timestamp>,
    ) {
        let is_certain = span.ended.is_some();
        for (name, number) in entries {
            let possible = self.entries.entry(name).or_insert_with(|| vec![None]);
            if is_certain {
                possible.clear();
            }
            possible.push(number);
        }
        if is_certain {
            self.live_at = self.live_at.max(Some(span.begun));
        }
        self.last_seen = self.last_seen.max(last_seen);
    }

    fn saw(&mut self, span: Span, found: Found) {
        if found == Found::Nothing {
            let ended = span.ended.unwrap_or(Timestamp::MAX);
            self.dead_at = first(self.dead_at, ended);
            return;
        }
        self.live_at = self.live_at.max(Some(span.begun));
        let Found::Read(sight) = found else {
            return;
        };
        for (name, possible) in &self.entries {
            let found = sight.entries.get(name).copied();
            if !possible.contains(&found) {
                let what = format!("{name} holds {found:?}, not {possible:?}");
                self.is_lost.get_or_insert(what);
            }
        }
        if self.last_seen > Some(sight.last_seen) {
            let what = format!("last seen {:?}, not {:?}", sight.last_seen, self.last_seen);
            self.is_lost.get_or_insert(what);
        }
        self.count = sight.entries.get(COUNT).copied().unwrap_or_default();
    }

    fn judge(&self, id: SessionId, owner: Option<&Owner>, mut tell: impl FnMut(Finding, String)) {
        let mut must_end_by = self.must_end_by;
        let mut may_end_from = self.may_end_from;
        if let Some(owner) = owner {
            if let Some(begun) = owner.may_end_from {
                may_end_from = first(may_end_from, begun);
            }
            for (begun, ended, except) in &owner.revocations {
                let was_there = self.begun.and_then(|span| span.ended) < Some(*begun);
                if self.begun.is_some() && was_there && *except != Some(id) {
                    must_end_by = first(must_end_by, *ended);
                }
                let is_stale = self.ticket_at < Some(*begun) && self.ticket_at.is_some();
                if is_stale && self.begun.is_some_and(|span| span.begun > *ended) {
                    let what = "signed in by a ticket from before a revocation".to_owned();
                    tell(Finding::Revived, what);
                }
            }
        }
        if let (Some(live), Some(end)) = (self.live_at, must_end_by)
            && live > end
        {
            tell(
                Finding::Revived,
                format!("ended at {end:?}, live at {live:?}"),
            );
        }
        // Of one whose beginning is unknown nothing is promised until it ends.
        if self.begun.is_none() {
            return;
        }
        if let Some(dead) = self.dead_at
            && may_end_from.is_none_or(|from| dead < from)
        {
            tell(
                Finding::Lost,
                format!("not there at {dead:?}, and nothing ended it"),
            );
        } else if let Some(what) = &self.is_lost {
            tell(Finding::Lost, what.clone());
        }
        // One that is not there any more is lost or ended, and the number with it.
        let most = self.counted + self.counted_perhaps;
        if most > 0 && self.dead_at.is_none() && self.count < self.counted {
            let what = format!("{} counted, {} are there", self.counted, self.count);
            tell(Finding::Lost, what);
        } else if most > 0 && self.count > most {
            let what = format!("at most {most} counted, {} are there", self.count);
            tell(Finding::Doubled, what);
        }
    }
}

fn first(known: Option<Timestamp>, other: Timestamp) -> Option<Timestamp> {
    Some(known.map_or(other, |known| known.min(other)))
}
