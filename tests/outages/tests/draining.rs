//! A loaded application that moves from memory to Redis to Postgres: nobody is signed out, nobody is revived,
//! no acknowledged write is lost.
//!
//! `SESSION_DRAINING_SECONDS` is how long each move takes, `SESSION_DRAINING_RATE` how many requests a second
//! its two servers get.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use session_core::{
    Clock as _, CookieAction, Draining, HandlerOutcome, Key, LimitPolicy, SessionError, Sessions,
    SharedStore, SignIn, SignInLimit, Subject, SystemClock, Timeouts, Timestamp,
};
use session_outages::Rng;
use store_memory::MemoryStore;
use store_postgres::{PostgresStore, PostgresStoreBuilder};
use store_redis::RedisStore;
use test_servers::{PostgresServer, RedisServer};
use tokio::time::{interval, sleep, timeout};

const COUNT: Key<u64> = Key::new("count");
const CLIENTS: u32 = 50;
/// How near to its end a session is not used any more: whether it is still there is anybody's guess.
const MARGIN: Duration = Duration::from_millis(500);

type Move = Draining<SharedStore, SharedStore>;

fn given(name: &str, or: u32) -> u32 {
    let given = std::env::var(name).ok();
    given.map_or(or, |text| text.parse().expect("a number"))
}

/// What the clients met.
#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    sign_ins: AtomicU64,
    sign_outs: AtomicU64,
    old_tokens: AtomicU64,
    signed_out: AtomicU64,
    lost_writes: AtomicU64,
    revived: AtomicU64,
    errors: AtomicU64,
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn of(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// An application on two servers.
struct Application {
    servers: [RwLock<Sessions>; 2],
    life: Duration,
    counts: Counts,
    /// Tokens of sessions that ended.
    ended: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl Application {
    fn sessions(store: SharedStore, life: Duration) -> Sessions {
        let limit = SignInLimit {
            max: NonZeroUsize::new(3).unwrap(),
            policy: LimitPolicy::EndOldest,
        };
        Sessions::shared_builder(store)
            .timeouts(Timeouts::new(life))
            .limit(Some(limit))
            .build()
    }

    /// Starts one of the servers anew, with another store.
    fn restart(&self, server: usize, store: SharedStore) {
        *self.servers[server].write() = Self::sessions(store, self.life);
    }

    /// Moves both servers, one after the other in each step, until the old store is empty.
    async fn drain(&self, new: [SharedStore; 2], old: [SharedStore; 2], step: Duration) {
        let moves: Vec<Move> = new
            .iter()
            .zip(old)
            .map(|(new, old)| Draining::new(Arc::clone(new), old).unwrap())
            .collect();
        for (server, draining) in moves.iter().enumerate() {
            self.restart(server, Arc::new(draining.clone()));
            sleep(step).await;
        }
        for draining in &moves {
            draining.switch();
            sleep(step).await;
        }
        let empties = async {
            while moves[0].left(1).await.unwrap() != Some(0) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        let emptied = timeout(self.life * 4, empties).await;
        emptied.expect("the old store does not empty");
        for (server, new) in new.into_iter().enumerate() {
            self.restart(server, new);
            sleep(step).await;
        }
    }
}

/// What a client knows of its session.
struct Known {
    token: String,
    count: u64,
    until: Timestamp,
}

/// Uses the application, request after request, until it is told to stop.
async fn client(application: Arc<Application>, number: u32, every: Duration) {
    let mut rng = Rng::new(number.into());
    let mut known: Option<Known> = None;
    sleep(every * number / CLIENTS).await;
    let mut ticks = interval(every);
    while !application.is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        let sessions = application.servers[rng.below(2)].read().clone();
        let counts = &application.counts;
        add(&counts.requests);
        if rng.one_in(20) {
            let token = rng.pick(&application.ended.lock()).cloned();
            if let Some(token) = token {
                add(&counts.old_tokens);
                match open(&sessions, Some(&token)).subject().await {
                    Ok(Some(_)) => add(&counts.revived),
                    Ok(None) => {}
                    Err(_) => add(&counts.errors),
                }
                continue;
            }
        }
        known = known.filter(|known| SystemClock.now() + MARGIN < known.until);
        let until = known.as_ref().map(|known| known.until);
        let answered = match known.take() {
            None => sign_in(&application, &sessions, number).await,
            Some(session) if rng.one_in(40) => sign_out(&application, &sessions, session)
                .await
                .map(|()| None),
            Some(session) => count(&application, &sessions, session).await,
        };
        match answered {
            Ok(session) => known = session,
            // Its time was over while the request was under way.
            Err(SessionError::Ended) if until.is_some_and(|until| SystemClock.now() >= until) => {}
            Err(SessionError::Ended) => add(&counts.signed_out),
            Err(error) => {
                eprintln!("{error}: {:?}", std::error::Error::source(&error));
                add(&counts.errors);
            }
        }
    }
}

fn open(sessions: &Sessions, token: Option<&str>) -> session_core::Session {
    sessions.open(sessions.read(token.map(str::as_bytes)))
}

type Answer<T> = Result<T, SessionError>;

async fn sign_in(
    application: &Application,
    sessions: &Sessions,
    number: u32,
) -> Answer<Option<Known>> {
    add(&application.counts.sign_ins);
    // No later than its deadline, however long the sign-in takes.
    let until = SystemClock.now() + application.life;
    let session = open(sessions, None);
    let subject = Subject::new(format!("client-{number}")).unwrap();
    let ticket = sessions.begin_sign_in(&subject).await?;
    session.sign_in(SignIn::new(ticket)).await?;
    Ok(
        match session.commit(HandlerOutcome::Answered).await.cookie {
            CookieAction::Set { token, .. } => Some(Known {
                token: sessions.encode(&token),
                count: 0,
                until,
            }),
            _ => None,
        },
    )
}

async fn sign_out(application: &Application, sessions: &Sessions, known: Known) -> Answer<()> {
    add(&application.counts.sign_outs);
    let session = open(sessions, Some(&known.token));
    session.destroy().await?;
    session.commit(HandlerOutcome::Answered).await;
    application.ended.lock().push(known.token);
    Ok(())
}

async fn count(
    application: &Application,
    sessions: &Sessions,
    mut known: Known,
) -> Answer<Option<Known>> {
    let session = open(sessions, Some(&known.token));
    if session.subject().await?.is_none() {
        return Err(SessionError::Ended);
    }
    let count = session
        .update(COUNT, async |count| count.unwrap_or_default() + 1)
        .await?;
    if count != known.count + 1 {
        add(&application.counts.lost_writes);
    }
    known.count = count;
    session.commit(HandlerOutcome::Answered).await;
    Ok(Some(known))
}

async fn on_redis(server: &RedisServer) -> SharedStore {
    Arc::new(RedisStore::connect(&server.url()).await.unwrap())
}

async fn on_postgres(tables: &PostgresStoreBuilder) -> SharedStore {
    Arc::new(tables.clone().connect().await.unwrap())
}

/// SECURITY 24, 27: two applications on one store in memory, then two servers on Redis, then on Postgres.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loaded_application_moves_from_memory_to_redis_to_postgres() {
    let seconds = given("SESSION_DRAINING_SECONDS", 8);
    let rate = given("SESSION_DRAINING_RATE", 300);
    let (step, life) = (
        Duration::from_secs(seconds.into()) / 12,
        Duration::from_secs(seconds.into()) / 3,
    );
    let (redis, postgres) = (RedisServer::start(&[]), PostgresServer::start(&[]));
    let memory: SharedStore = Arc::new(MemoryStore::new());
    let in_redis = [on_redis(&redis).await, on_redis(&redis).await];
    let tables = PostgresStore::builder(postgres.url());
    tables.migrate().await.unwrap();
    let in_postgres = [on_postgres(&tables).await, on_postgres(&tables).await];

    let server = || RwLock::new(Application::sessions(Arc::clone(&memory), life));
    let application = Arc::new(Application {
        servers: [server(), server()],
        life,
        counts: Counts::default(),
        ended: Mutex::default(),
        is_over: AtomicBool::new(false),
    });
    let every = Duration::from_secs(CLIENTS.into()) / rate;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(client(Arc::clone(&application), number, every)))
        .collect();
    let began = SystemClock.now();
    sleep(step).await;
    let in_memory = [Arc::clone(&memory), memory];
    application.drain(in_redis.clone(), in_memory, step).await;
    application.drain(in_postgres.clone(), in_redis, step).await;
    let took = SystemClock.now().since(began);
    application.is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let counts = &application.counts;
    println!("{took:?}, {rate} requests a second: {counts:?}");
    let faults = [
        &counts.signed_out,
        &counts.lost_writes,
        &counts.revived,
        &counts.errors,
    ];
    assert_eq!(
        faults.map(of),
        [0; 4],
        "signed out, lost, revived, failed: {counts:?}"
    );
    for done in [
        &counts.requests,
        &counts.sign_ins,
        &counts.sign_outs,
        &counts.old_tokens,
    ] {
        assert!(of(done) > 10, "too little was tried: {counts:?}");
    }
    // And at the end whoever signed out, wherever that was, is a stranger at both servers.
    let ended = application.ended.lock().clone();
    for token in &ended {
        for server in &application.servers {
            let sessions = server.read().clone();
            assert_eq!(open(&sessions, Some(token)).subject().await.unwrap(), None);
        }
    }
}
