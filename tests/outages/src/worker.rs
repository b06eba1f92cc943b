//! A mixed load: what the users of one server of an application do, until they are told to stop.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use session_core::{
    Applied, LimitPolicy, SessionError, SessionId, SessionToken, SignInLimit, StoreError, Subject,
    Ticket, Timestamp,
};

use crate::recorded::{Own, Recorded, now};
use crate::rng::Rng;

/// How much of a load, and in which order.
#[derive(Clone, Debug)]
pub struct Load {
    /// What all that is random follows from.
    pub seed: u64,
    /// What this server is called. Several share their subjects, and nothing else.
    pub name: String,
    /// How many act at the same time.
    pub actors: usize,
    /// How long each rests after a call, on average.
    pub pace: Duration,
    /// The sessions that count, which all servers share.
    pub counters: Vec<SessionToken>,
}

/// How long a subject is used.
const EPOCH_MILLIS: u64 = 15_000;
/// The limit of the subjects that have one.
const LIMIT: NonZeroUsize = NonZeroUsize::new(3).unwrap();

/// Runs the load until `stop` says so.
pub async fn run(store: Recorded, load: Load, stop: Arc<AtomicBool>) {
    let tasks = (0..load.actors).map(|number| {
        let mut rng = Rng::new(load.seed);
        for _ in 0..=number {
            rng = Rng::new(rng.next());
        }
        let actor = Actor {
            store: store.clone(),
            rng,
            number,
            load: load.clone(),
            stop: Arc::clone(&stop),
        };
        tokio::spawn(async move {
            match number % 4 {
                0 | 1 => actor.visit().await,
                2 => actor.use_account().await,
                _ => actor.count().await,
            }
        })
    });
    for ended in join_all(tasks).await {
        ended.expect("no actor panics");
    }
}

struct Actor {
    store: Recorded,
    rng: Rng,
    number: usize,
    load: Load,
    stop: Arc<AtomicBool>,
}

impl Actor {
    async fn rest(&mut self) -> bool {
        let pace = u64::try_from(self.load.pace.as_millis()).unwrap_or_default();
        tokio::time::sleep(self.rng.millis(0, 2 * pace)).await;
        !self.stop.load(Ordering::Relaxed)
    }

    /// Anonymous sessions: one after the other, each written to, looked at, ended or left alone.
    async fn visit(mut self) {
        let mut own: Option<Own> = None;
        let mut graves: Vec<SessionId> = Vec::new();
        let mut number = 0;
        while self.rest().await {
            number += 1;
            let Some(mut session) = own.take() else {
                let life = self.rng.one_in(8).then_some(Duration::from_secs(2));
                own = self.store.create(life).await.ok();
                continue;
            };
            let answer = match self.rng.below(40) {
                0 | 1 => {
                    graves.push(session.id());
                    match self.store.delete(session.id()).await {
                        // Who cannot know whether it is gone leaves it alone.
                        Err(error) if error.applied() == Applied::No => Err(error),
                        _ => Ok(false),
                    }
                }
                2 => Ok(false),
                3..=7 => self.store.write(&mut session, &[], 0).await,
                8..=13 => self.store.look(session.id()).await,
                14..=19 => self
                    .store
                    .save(&session, "saved", number)
                    .await
                    .or_else(|error| Ok(!matches!(error, SessionError::Ended))),
                20 => match self.rng.pick(&graves).copied() {
                    Some(grave) => self.store.look(grave).await.map(|_| true),
                    None => Ok(true),
                },
                _ => {
                    let names = ["a", "b", "c"];
                    let from = self.rng.below(3);
                    let entries: Vec<_> = names
                        .iter()
                        .skip(from)
                        .map(|&name| (name, (!self.rng.one_in(6)).then_some(number)))
                        .collect();
                    let padding = if self.rng.one_in(30) { 20_000 } else { 0 };
                    self.store.write(&mut session, &entries, padding).await
                }
            };
            if answer.unwrap_or(true) {
                own = Some(session);
            }
            let surplus = graves.len().saturating_sub(8);
            graves.drain(..surplus);
        }
    }

    /// A user's sessions, who is signed in on other servers, too.
    async fn use_account(mut self) {
        let limit = match self.number % 12 {
            2 => Some(LimitPolicy::EndOldest),
            6 => Some(LimitPolicy::Refuse),
            _ => None,
        };
        let limit = limit.map(|policy| SignInLimit { max: LIMIT, policy });
        let mut account = Account::default();
        let mut epoch = 0;
        let mut detours = 0;
        while self.rest().await {
            let present = now().as_millis() / EPOCH_MILLIS;
            if present != epoch || account.is_uncertain {
                detours = if present == epoch { detours + 1 } else { 0 };
                epoch = present;
                let mut name = format!("{}-{epoch}", self.number);
                if detours > 0 {
                    // After a call that may end any session at any time, with a user of its own.
                    name.push_str(&format!("-{}-{detours}", self.load.name));
                }
                account = Account {
                    subject: Subject::new(name).ok(),
                    ..Account::default()
                };
            }
            if let Err(error) = self.act(&mut account, limit).await {
                account.is_uncertain |= error.applied() == Applied::Unknown;
            }
        }
    }

    async fn act(
        &mut self,
        account: &mut Account,
        limit: Option<SignInLimit>,
    ) -> Result<(), StoreError> {
        let Some(subject) = account.subject.clone() else {
            return Ok(());
        };
        let at = self.rng.below(account.own.len().max(1));
        let one = account.own.get(at).cloned();
        match (self.rng.below(30), one) {
            (0..=1, _) => account.ticket = Some(self.store.ticket(&subject).await?),
            (2, _) => {
                if let Some(ticket) = account.ticket.take() {
                    account
                        .own
                        .extend(self.store.sign_in(&ticket, limit).await?);
                }
            }
            (3, one) => {
                let except = one.filter(|_| self.rng.one_in(2));
                let id = except.as_ref().map(Own::id);
                account.own = except.into_iter().collect();
                self.store.revoke(&subject, id).await?;
            }
            (4, _) => {
                let ticket = self.store.ticket(&subject).await?;
                account.own.clear();
                self.store.revoke(&subject, None).await?;
                account
                    .own
                    .extend(self.store.sign_in(&ticket, limit).await?);
            }
            (5..=8, _) => {
                let begun = now();
                let max = limit.map(|limit| limit.max.get());
                let listed = self.store.list(&subject, max).await?;
                let missed = |own: &Own| !listed.contains(&own.id());
                for own in account.own.iter().filter(|own| missed(own)) {
                    self.store.missed(own.id(), begun);
                }
                account.own.retain(|own| listed.contains(&own.id()));
            }
            (9, Some(one)) => {
                account.own.remove(at);
                self.store.delete(one.id()).await?;
            }
            (10..=13, Some(one)) => {
                let is_there = self.store.look(one.id()).await?;
                account.own.retain(|own| is_there || own.id() != one.id());
            }
            (14..=24, Some(mut one)) => {
                account.number += 1;
                let entries = [("a", Some(account.number))];
                let answer = self.store.write(&mut one, &entries, 0).await;
                match answer {
                    Ok(true) => account.own.iter_mut().skip(at).take(1).for_each(|own| {
                        own.record = one.record.clone();
                    }),
                    Ok(false) => drop(account.own.remove(at)),
                    // A write is settled by the next one: nothing else is uncertain.
                    Err(error) if error.applied() == Applied::Unknown => {}
                    Err(error) => return Err(error),
                }
            }
            _ if account.own.len() < 8 => {
                let ticket = self.store.ticket(&subject).await?;
                account
                    .own
                    .extend(self.store.sign_in(&ticket, limit).await?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds to what all servers count together.
    async fn count(mut self) {
        while self.rest().await {
            let counters = self.load.counters.clone();
            if let Some(token) = self.rng.pick(&counters) {
                // What came of it stands in the journal.
                let _ = self.store.count(token).await;
            }
        }
    }
}

#[derive(Default)]
struct Account {
    subject: Option<Subject>,
    own: Vec<Own>,
    ticket: Option<(Ticket, Timestamp)>,
    number: u64,
    /// Whether a call whose outcome is unknown may still end sessions.
    is_uncertain: bool,
}
