//! Signing in over two stores, and the limit that holds over both.
//!
//! No step reaches into both stores, so a sign-in under a limit takes several:
//!
//! 1. **Wait.** The session is inserted where sessions are created, marked as waiting: in no list, and its
//!    secret with nobody.
//! 2. **Look.** All of the subject's sessions are read, those that wait included. Is there room for all of
//!    them, it begins. Else who came first goes first, by the instant of its insertion: whoever waits behind
//!    is stopped, and starts anew; whoever waits ahead is waited for, and stopped after [`PATIENCE`] looks,
//!    because its server died. Once nobody else waits, [`admit`] decides who makes room.
//! 3. **Make room.** Those are ended, wherever they are.
//! 4. **Begin.** The mark is taken off and the entries are set.
//!
//! To begin and to stop are changes of one session, guarded by the revision under which it waits: of the two
//! exactly one happens.
//!
//! **Never more than N have begun.** Suppose N + 1 had, and take the one whose last look began last. Each of
//! the others was inserted before that look: inserted after it, its own last look would have begun later. So
//! it saw the other N, all of which live. Those that still waited it stopped, and they have not begun; or
//! there was room for all of them. Of those that had begun it ended so many that there was room.
//!
//! **Exactly N have,** once N or more sign-ins returned. Of two that wait at the same time, and for whom
//! there is no room without somebody's end, one stops the other before it decides, and the other decides anew
//! on what the first one left. If the one that is stopped had decided already, both decided on the same
//! sessions that had begun: they end the same, the oldest, and the second finds them ended. A sign-in is
//! refused only while N have begun. And of those that wait, the first is stopped by nobody who is not out of
//! patience: somebody always gets on.
//!
//! A server that knows the old store alone counts who waits there like anybody else, in one step.
//!
//! **A server that dies** between the steps leaves a session that waits: in no list, and nobody can present
//! it. The next sign-in that needs its place stops it.

use std::time::Duration;

use super::snapshot::Seen;
use super::{Draining, NAME, Place, config, fence};
use crate::admit::admit;
use crate::change::Change;
use crate::error::{ErrorKind, StoreError};
use crate::id::SessionId;
use crate::limits::{SignInLimit, Timeouts};
use crate::name::EntryName;
use crate::record::{NewRecord, Record};
use crate::store::{Admission, Application, SessionStore};
use crate::ticket::Ticket;
use crate::time::Timestamp;
use crate::token::SessionSecret;
use crate::value::JsonText;

/// How often a sign-in looks before it stops those ahead of it.
const PATIENCE: u64 = 24;
/// How often it looks at all.
const LOOKS: u64 = 200;
/// How long it pauses between two looks, at most.
const LONGEST_PAUSE: u64 = 20;

/// One sign-in under a limit.
struct Entrant<'a> {
    place: Place,
    /// The ticket of the store at `place`.
    ticket: Ticket,
    id: SessionId,
    record: &'a NewRecord,
    limit: SignInLimit,
}

/// What a look leads to.
enum Look {
    /// These make room.
    Room(Vec<Seen>),
    Refused(Admission),
    /// Somebody stopped or ended it.
    Gone,
    /// Others wait as well: these are stopped, then it looks again.
    Crowded(Vec<Seen>),
}

impl<New: SessionStore, Old: SessionStore> Draining<New, Old> {
    pub(super) async fn admit(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        if self.0.facts.sharding.shard_of(ticket.subject()) != id.shard() {
            return Err(config().because("the id is not in its subject's shard"));
        }
        let place = self.creates_in();
        let label = &self.0.label;
        let Some(here) = fence::part(label, ticket, place) else {
            return Ok(Admission::Revoked);
        };
        if self.is_taken(place.other(), id).await? {
            let passed = self.pass(place, &here).await?;
            return Ok(passed.map_or(Admission::Revoked, |_| Admission::Exists));
        }
        // Without it no more than the order of turns is lost.
        let turn = SessionId::from_bytes({
            let [high, low] = id.shard().number().to_be_bytes();
            let mut bytes = [0; 16];
            [bytes[0], bytes[1]] = [high, low];
            bytes
        });
        let _turn = self.0.turns.turn(turn).await;

        let mut ended = Vec::new();
        if ticket.attempt() > 1 {
            if let Some(refused) = self.judge_later_try(place, &here, record, limit).await? {
                return Ok(refused);
            }
            if let Some(there) = fence::part(label, ticket, place.other()) {
                match self.pass(place.other(), &there).await? {
                    Some(earlier) => ended = earlier,
                    None => return Ok(Admission::Revoked),
                }
            }
        }
        let admission = match limit {
            None => self.at(place).sign_in(&here, id, record, None).await,
            Some(limit) => {
                let entrant = Entrant {
                    place,
                    ticket: here,
                    id,
                    record,
                    limit,
                };
                self.enter(&entrant).await
            }
        };
        match admission {
            Ok(Admission::Admitted {
                record,
                ended: more,
            }) => {
                ended.extend(more);
                Ok(Admission::Admitted { record, ended })
            }
            Err(error) if !ended.is_empty() => Err(error.unknown()),
            answer => answer,
        }
    }

    /// What refuses a later try before it ends anything of an earlier one.
    async fn judge_later_try(
        &self,
        place: Place,
        ticket: &Ticket,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Option<Admission>, StoreError> {
        let seen = self.snapshot(ticket.subject()).await?;
        if seen.iter().any(|one| is_overtaking(one, ticket)) {
            return Ok(Some(Admission::Revoked));
        }
        let Some(limit) = limit else { return Ok(None) };
        let now = self.at(place).ticket(ticket.subject()).await?.issued_at();
        let begun = seen.iter().filter(|one| self.has_begun(&one.record));
        let leaving = leaving(ticket, record, begun, limit, now);
        Ok(leaving.is_none().then_some(Admission::LimitReached))
    }

    /// Makes a try known to a store that it makes no session in: by one that expires as it begins. Says which
    /// sessions of earlier tries that ended; nothing if the ticket is no longer good there.
    async fn pass(
        &self,
        place: Place,
        ticket: &Ticket,
    ) -> Result<Option<Vec<SessionId>>, StoreError> {
        let shard = self.0.facts.sharding.shard_of(ticket.subject());
        let secret = SessionSecret::generate().hash();
        let passing = NewRecord::new(secret, Timeouts::new(Duration::ZERO));
        let id = SessionId::generate(shard);
        match self.at(place).sign_in(ticket, id, &passing, None).await? {
            Admission::Admitted { ended, .. } => Ok(Some(ended)),
            _ => Ok(None),
        }
    }

    /// Signs in under a limit.
    async fn enter(&self, entrant: &Entrant<'_>) -> Result<Admission, StoreError> {
        let store = self.at(entrant.place);
        let waiting = entrant
            .record
            .waiting(vec![(self.0.waits.clone(), JsonText::kept("true"))]);
        let begins = self.begins(entrant.record);
        let mut ended = Vec::new();
        let mut looks = 0;
        while looks < LOOKS {
            let sent = store.sign_in(&entrant.ticket, entrant.id, &waiting, None);
            let inserted = match sent.await? {
                Admission::Admitted {
                    record,
                    ended: more,
                } => {
                    ended.extend(more);
                    record
                }
                refused => return Ok(refused),
            };
            let settled = self.settle(entrant, &inserted, &begins, &mut ended, &mut looks);
            match settled.await {
                Ok(Some(Admission::Admitted { record, .. })) => {
                    return Ok(Admission::Admitted { record, ended });
                }
                Ok(Some(refused)) => {
                    self.stop(entrant.place, entrant.id, None)
                        .await
                        .map_err(StoreError::unknown)?;
                    return Ok(refused);
                }
                Ok(None) => {}
                Err(error) => {
                    // If it cannot be taken back, the next try ends it, or it expires unused.
                    let taken_back = self.stop(entrant.place, entrant.id, None).await;
                    return Err(match taken_back {
                        Ok(()) if ended.is_empty() => error,
                        _ => error.unknown(),
                    });
                }
            }
        }
        // It was stopped, and is not there; but others may have made room for it.
        let error = crowded();
        Err(if ended.is_empty() {
            error
        } else {
            error.unknown()
        })
    }

    /// From the look to the begin. Nothing if somebody stopped it, so that it has to wait anew.
    async fn settle(
        &self,
        entrant: &Entrant<'_>,
        inserted: &Record,
        begins: &Change,
        ended: &mut Vec<SessionId>,
        looks: &mut u64,
    ) -> Result<Option<Admission>, StoreError> {
        let store = self.at(entrant.place);
        let now = inserted.created_at();
        let leaving = loop {
            *looks += 1;
            match self.look(entrant, inserted, *looks).await? {
                Look::Room(leaving) => break leaving,
                Look::Refused(admission) => return Ok(Some(admission)),
                Look::Gone => return Ok(None),
                Look::Crowded(_) if *looks >= LOOKS => return Err(crowded()),
                Look::Crowded(stopped) if stopped.is_empty() => {
                    let pause = (*looks).min(LONGEST_PAUSE);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                Look::Crowded(stopped) => {
                    for one in stopped {
                        self.stop(one.place, one.id, Some(&one.record)).await?;
                    }
                }
            }
        };
        if let Err(reason) = entrant.record.check(&store.facts().bounds) {
            return Err(StoreError::too_large(store.facts().name, reason));
        }
        for one in leaving {
            if self.at(one.place).delete(one.id).await? {
                ended.push(one.id);
            }
        }
        let change = begins.clone().guarded_by(inserted.revision());
        let begun = store.apply(entrant.id, &change, Some(inserted));
        let record = match begun.await? {
            Application::Applied { record, .. } => record,
            // A session that was to live for no time at all is gone by itself.
            _ if !inserted.is_live(now) => entrant.record.signed_in(&entrant.ticket, now).0,
            Application::Absent | Application::Conflict => return Ok(None),
        };
        let ended = Vec::new();
        Ok(Some(Admission::Admitted { record, ended }))
    }

    async fn look(
        &self,
        entrant: &Entrant<'_>,
        inserted: &Record,
        looks: u64,
    ) -> Result<Look, StoreError> {
        let Entrant {
            ticket,
            id,
            record,
            limit,
            ..
        } = entrant;
        let mut others = self.snapshot(ticket.subject()).await?;
        if others.iter().any(|one| is_overtaking(one, ticket)) {
            return Ok(Look::Refused(Admission::Revoked));
        }
        let now = inserted.created_at();
        match others.iter().position(|one| one.id == *id) {
            Some(found) => drop(others.swap_remove(found)),
            // A session that was to live for no time at all is gone by itself.
            None if !inserted.is_live(now) => {}
            None => return Ok(Look::Gone),
        }
        let is_waiting = |one: &Seen| !self.has_begun(&one.record);
        let is_ahead = |one: &Seen| (one.record.created_at(), one.id) < (now, *id);
        let decide = |counts: &dyn Fn(&Seen) -> bool| {
            let counted = others.iter().filter(|one| counts(one));
            leaving(ticket, record, counted, *limit, now)
        };
        let has_room =
            |leaving: Option<Vec<SessionId>>| leaving.is_some_and(|gone| gone.is_empty());
        if has_room(decide(&|_| true)) {
            return Ok(Look::Room(Vec::new()));
        }
        let Some(leaving) = decide(&|one| !is_waiting(one)) else {
            return Ok(Look::Refused(Admission::LimitReached));
        };
        if !others.iter().any(is_waiting) {
            others.retain(|one| leaving.contains(&one.id));
            return Ok(Look::Room(others));
        }
        let goes_first = !others.iter().any(|one| is_waiting(one) && is_ahead(one))
            || has_room(decide(&|one| !is_waiting(one) || is_ahead(one)));
        let is_out_of_patience = looks.is_multiple_of(PATIENCE);
        others
            .retain(|one| is_waiting(one) && (is_out_of_patience || goes_first && !is_ahead(one)));
        Ok(Look::Crowded(others))
    }

    /// The change that makes a session that waits what it was to be.
    fn begins(&self, record: &NewRecord) -> Change {
        let change = Change::new()
            .with_revision(record.revision())
            .remove(self.0.waits.clone());
        let set = |change: Change, (name, text): &(EntryName, JsonText)| {
            change.set(name.clone(), text.clone())
        };
        record.entries().iter().fold(change, set)
    }

    /// Lets a session that waits expire: whatever it was, it does not begin. If `seen` is given, only if it
    /// still waits.
    async fn stop(
        &self,
        place: Place,
        id: SessionId,
        seen: Option<&Record>,
    ) -> Result<(), StoreError> {
        let mut change = Change::new().shorten(Duration::ZERO);
        if let Some(seen) = seen {
            change = change.guarded_by(seen.revision());
        }
        self.at(place).apply(id, &change, seen).await.map(drop)
    }
}

/// Who makes room for the entrant among `others`.
fn leaving<'a>(
    ticket: &Ticket,
    record: &NewRecord,
    others: impl Iterator<Item = &'a Seen>,
    limit: SignInLimit,
    now: Timestamp,
) -> Option<Vec<SessionId>> {
    let live: Vec<_> = others.map(|one| (one.id, one.record.clone())).collect();
    admit(ticket, record.predecessor(), &live, Some(limit), now)
}

fn crowded() -> StoreError {
    StoreError::new(NAME, ErrorKind::Unavailable)
        .because("too many sign-ins of one subject at the same time")
}

/// Whether a later try under the same ticket made it.
fn is_overtaking(one: &Seen, ticket: &Ticket) -> bool {
    let owner = one.record.header().owner;
    owner.is_some_and(|owner| owner.nonce == ticket.nonce() && owner.attempt > ticket.attempt())
}
