//! The limit on a subject's sessions: the function on Postgres decides as `session_core::admit` does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod postgres;

use std::num::NonZeroUsize;
use std::time::Duration;

use postgres::Schema;
use session_core::{
    Admission, Change, Clock as _, LimitPolicy, ManualClock, NewRecord, Revision, SecretHash,
    SessionId, SessionSecret, SessionStore, Sharding, SignInLimit, Subject, Ticket, Timeouts,
    admit,
};
use store_postgres::PostgresStore;

/// A simple generator: a failing run names its seed.
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        (!of.is_empty()).then(|| of[self.below(of.len())].clone())
    }
}

#[derive(Clone, Copy)]
struct Made {
    id: SessionId,
    secret: SecretHash,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_admits_as_the_pure_function_does() {
    let given = std::env::var("SESSION_CONFORMANCE_SEED").ok();
    let seed = given
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| Revision::random().to_u64());
    let schema = Schema::new();
    let clock = ManualClock::default();
    let builder = schema.builder().test_clock(clock.clone());
    builder.migrate().await.unwrap();
    let store = builder.connect().await.unwrap();
    let mut rng = Rng(seed);
    let mut seen = [0; 3];
    for number in 0..60 {
        let subject = Subject::new(format!("user {number}")).unwrap();
        let mut user = User::new(&store, &clock, subject).await;
        for _ in 0..25 {
            let outcome = user.sign_in(&mut rng).await;
            let outcome = outcome.unwrap_or_else(|why| {
                panic!("{why} (SESSION_CONFORMANCE_SEED={seed})");
            });
            seen[outcome] += 1;
        }
    }
    assert!(
        seen.iter().all(|seen| *seen > 50),
        "refused, admitted alone, admitted for others: {seen:?}"
    );
}

struct User<'a> {
    store: &'a PostgresStore,
    clock: &'a ManualClock,
    subject: Subject,
    tickets: Vec<Ticket>,
    made: Vec<Made>,
}

impl<'a> User<'a> {
    async fn new(store: &'a PostgresStore, clock: &'a ManualClock, subject: Subject) -> Self {
        let mut tickets = Vec::new();
        for _ in 0..3 {
            tickets.push(store.ticket(&subject).await.unwrap());
        }
        Self {
            store,
            clock,
            subject,
            tickets,
            made: Vec::new(),
        }
    }

    /// A fresh ticket, or the next try under one that is still good.
    async fn ticket(&mut self, rng: &mut Rng) -> Ticket {
        let (used, life) = (
            rng.below(self.tickets.len()),
            self.store.facts().ticket_life,
        );
        let is_good = !self.tickets[used].is_stale(self.clock.now(), life);
        let ticket = if is_good && rng.below(4) == 0 {
            self.tickets[used].next_attempt()
        } else {
            self.store.ticket(&self.subject).await.unwrap()
        };
        self.tickets[used] = ticket.clone();
        ticket
    }

    /// Signs in somehow, and says what came of it, or how that differs from what was to be expected.
    async fn sign_in(&mut self, rng: &mut Rng) -> Result<usize, String> {
        match rng.below(6) {
            0 => self.clock.advance(Duration::from_secs(61)),
            1 => self.clock.advance(Duration::from_millis(1)),
            2 => self.clock.advance(Duration::from_secs(20)),
            _ => {}
        }
        if let Some(made) = rng.one_of(&self.made)
            && rng.below(2) == 0
        {
            let change = Change::new().promote(made.secret);
            self.store.apply(made.id, &change, None).await.unwrap();
        }
        let ticket = self.ticket(rng).await;
        let limit = NonZeroUsize::new(rng.below(5)).map(|max| SignInLimit {
            max,
            policy: if rng.below(2) == 0 {
                LimitPolicy::EndOldest
            } else {
                LimitPolicy::Refuse
            },
        });
        let shard = Sharding::default().shard_of(&self.subject);
        let predecessor = match rng.below(3) {
            0 => None,
            1 => Some(SessionId::generate(shard)),
            _ => rng.one_of(&self.made).map(|made| made.id),
        };

        let live = self.store.sessions_of(&self.subject).await.unwrap();
        let expected = admit(&ticket, predecessor, &live, limit, self.clock.now());
        let made = Made {
            id: SessionId::generate(shard),
            secret: SessionSecret::generate().hash(),
        };
        let record = NewRecord::new(made.secret, Timeouts::default()).with_predecessor(predecessor);
        let admission = self
            .store
            .sign_in(&ticket, made.id, &record, limit)
            .await
            .unwrap();
        let ended = match admission {
            Admission::LimitReached => None,
            Admission::Admitted { ended, .. } => Some(ended),
            other => return Err(format!("{other:?}")),
        };
        if sorted(&ended) != sorted(&expected) {
            return Err(format!(
                "of {live:#?} under {limit:?} replacing {predecessor:?}: ended {ended:?}, \
                 expected {expected:?}"
            ));
        }
        Ok(match ended {
            None => 0,
            Some(ended) => {
                self.made.push(made);
                usize::from(!ended.is_empty()) + 1
            }
        })
    }
}

fn sorted(ids: &Option<Vec<SessionId>>) -> Option<Vec<SessionId>> {
    let mut ids = ids.clone()?;
    ids.sort();
    Some(ids)
}
