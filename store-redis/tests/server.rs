//! What a store does with its server: memory, rights, TLS, what stands there and how people read it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::num::NonZeroUsize;
use std::time::Duration;

use session_core::{
    Applied, Change, ErrorKind, LimitPolicy, ManualClock, NewRecord, Renewal, SessionId,
    SessionSecret, SessionStore, SessionToken, Sharding, SignInLimit, StoreError, Timeouts,
    TokenFormat,
};
use store_redis::{RedisStore, RedisStoreBuilder};
use support::{fresh_id, fresh_secret, fresh_subject, live, new_record, set, user, visitor, write};
use test_servers::RedisServer;

fn builder(server: &RedisServer) -> RedisStoreBuilder {
    RedisStore::builder(&server.url())
}

async fn kind(builder: RedisStoreBuilder) -> Result<RedisStore, ErrorKind> {
    builder.connect().await.map_err(|error| {
        assert_eq!(error.applied(), Applied::No);
        error.kind()
    })
}

fn is_full<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> bool {
    let error = answer.expect_err("the server is full");
    assert_eq!(error.applied(), Applied::No, "{error}");
    error.kind() == ErrorKind::Full
}

#[tokio::test]
async fn a_full_server_takes_nothing_new_and_drops_nothing() {
    let server = RedisServer::start(&[]);
    let store = builder(&server).connect().await.unwrap();
    let (subject, secret) = (fresh_subject(), fresh_secret());
    let user = user(&store, &subject).await;
    let record = NewRecord::new(secret, Timeouts::default());
    let visitor = fresh_id();
    store.create(visitor, &record).await.unwrap();

    assert_eq!(server.ask(&["CONFIG", "SET", "maxmemory", "1"]), "OK");
    assert!(is_full(store.create(fresh_id(), &new_record()).await));
    assert!(is_full(write(&store, visitor, "cart", "[1]").await));
    let ticket = store.ticket(&subject).await.unwrap();
    let another = SessionId::generate(user.shard());
    let limit = SignInLimit {
        max: NonZeroUsize::MIN,
        policy: LimitPolicy::EndOldest,
    };
    let record = new_record();
    let sign_in = store.sign_in(&ticket, another, &record, Some(limit));
    assert!(is_full(sign_in.await));
    assert!(live(&store, another).await.is_none());
    assert_eq!(live(&store, visitor).await.unwrap().entries().count(), 0);
    assert_eq!(store.sessions_of(&subject).await.unwrap()[0].0, user);

    // What ends, touches and renews sessions goes on.
    store
        .apply(visitor, &Change::new().touch(), None)
        .await
        .unwrap();
    let renewal = Renewal {
        issue: fresh_secret(),
        replaces: secret,
        soft: false,
    };
    store
        .apply(visitor, &Change::new().renew(renewal), None)
        .await
        .unwrap();
    assert_eq!(live(&store, visitor).await.unwrap().slots().count(), 2);
    assert!(store.delete(visitor).await.unwrap());
    assert_eq!(store.revoke(&subject, None).await.unwrap(), [user]);
    let refused = store.sign_in(&ticket, another, &new_record(), None).await;
    assert!(matches!(refused, Ok(session_core::Admission::Revoked)));

    assert_eq!(server.ask(&["CONFIG", "SET", "maxmemory", "0"]), "OK");
    support::user(&store, &subject).await;
}

#[tokio::test]
async fn visitors_are_refused_before_users_are() {
    let server = RedisServer::start(&[]);
    assert_eq!(server.ask(&["SET", "ballast", &"x".repeat(32 << 20)]), "OK");
    let info = server.ask(&["INFO", "memory"]);
    let used = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    let used: u64 = used.unwrap().trim().parse().unwrap();
    let max = (used + used / 8).to_string();
    assert_eq!(server.ask(&["CONFIG", "SET", "maxmemory", &max]), "OK");
    let store = builder(&server).connect().await.unwrap();
    assert!(is_full(store.create(fresh_id(), &new_record()).await));
    user(&store, &fresh_subject()).await;
}

#[tokio::test]
async fn a_server_that_evicts_is_refused_unless_its_policy_is_allowed_by_name() {
    let server = RedisServer::start(&["--maxmemory-policy", "allkeys-lru"]);
    assert_eq!(kind(builder(&server)).await.unwrap_err(), ErrorKind::Config);
    let other = builder(&server).allow_eviction("volatile-lru");
    assert_eq!(kind(other).await.unwrap_err(), ErrorKind::Config);
    let allowed = builder(&server).allow_eviction("allkeys-lru");
    visitor(&kind(allowed).await.unwrap()).await;
}

#[tokio::test]
async fn servers_that_place_subjects_otherwise_are_refused() {
    let server = RedisServer::start(&[]);
    let keyed = Sharding::keyed(&[7; 32]);
    let first = builder(&server).sharding(keyed.clone());
    first.clone().connect().await.unwrap();
    first.connect().await.unwrap();
    assert_eq!(kind(builder(&server)).await.unwrap_err(), ErrorKind::Config);
    let other = builder(&server).sharding(Sharding::keyed(&[8; 32]));
    assert_eq!(kind(other).await.unwrap_err(), ErrorKind::Config);
    builder(&server).prefix("other:").connect().await.unwrap();
}

#[tokio::test]
async fn what_cannot_work_is_refused_when_it_connects() {
    let server = RedisServer::start(&["--requirepass", "secret"]);
    assert_eq!(kind(builder(&server)).await.unwrap_err(), ErrorKind::Config);
    let wrong = builder(&server).password("wrong");
    assert_eq!(kind(wrong).await.unwrap_err(), ErrorKind::Config);
    let right = builder(&server).password("secret");
    let prefix = right.clone().prefix("a{b}");
    assert_eq!(kind(prefix).await.unwrap_err(), ErrorKind::Config);
    let database = right.clone().database(99);
    assert!(kind(database).await.is_err());
    kind(right).await.unwrap();
    let cluster = format!("redis-cluster://:secret@127.0.0.1:{}", server.port());
    assert!(kind(RedisStore::builder(&cluster)).await.is_err());
    let nobody = RedisStore::builder("redis://127.0.0.1:1/");
    assert_eq!(kind(nobody).await.unwrap_err(), ErrorKind::Unavailable);
    assert_eq!(
        kind(RedisStore::builder("redis")).await.unwrap_err(),
        ErrorKind::Config
    );
}

/// The rights that the crate's documentation names.
const RIGHTS: &str = "on >secret resetkeys ~app:* resetchannels &app:feed -@all \
    +eval +evalsha +time +get +set +getrange +setrange +rename +del +pttl +pexpireat \
    +zadd +zrange +zrandmember +zrem +zscore +publish +subscribe +ping +info +scan +select";

fn with_rights(server: &RedisServer, rights: &str) -> RedisStoreBuilder {
    let mut words = vec!["ACL", "SETUSER", "app"];
    words.extend(rights.split_whitespace());
    assert_eq!(server.ask(&words), "OK");
    builder(server)
        .username("app")
        .password("secret")
        .prefix("app:")
        .database(1)
}

#[tokio::test]
async fn a_user_with_the_documented_rights_can_do_everything() {
    let server = RedisServer::start(&[]);
    let store = with_rights(&server, RIGHTS).connect().await.unwrap();
    let (subject, visitor) = (fresh_subject(), visitor(&store).await);
    let user = user(&store, &subject).await;
    assert!(write(&store, visitor, "cart", "[1]").await.unwrap());
    assert!(store.delete(visitor).await.unwrap());
    assert_eq!(store.sessions_of(&subject).await.unwrap().len(), 1);
    let scan = store.abilities().scan.unwrap();
    assert_eq!(scan.scan(None, 10).await.unwrap()[0].0, user);
    assert_eq!(store.revoke(&subject, None).await.unwrap(), [user]);
}

#[tokio::test]
async fn a_user_who_lacks_a_right_is_refused_when_it_connects() {
    let server = RedisServer::start(&[]);
    for lacking in [
        "-setrange",
        "-publish",
        "-zrandmember",
        "-subscribe",
        "resetchannels",
    ] {
        let rights = format!("{RIGHTS} {lacking}");
        let refused = kind(with_rights(&server, &rights)).await;
        assert_eq!(refused.unwrap_err(), ErrorKind::Config, "{lacking}");
    }
}

#[tokio::test]
async fn scripts_that_a_server_has_forgotten_are_sent_again() {
    let server = RedisServer::start(&[]);
    let store = builder(&server).connect().await.unwrap();
    let id = visitor(&store).await;
    assert!(write(&store, id, "a", "1").await.unwrap());
    assert_eq!(server.ask(&["SCRIPT", "FLUSH"]), "OK");
    assert!(write(&store, id, "b", "2").await.unwrap());
    assert_eq!(live(&store, id).await.unwrap().entries().count(), 2);
}

#[tokio::test]
async fn databases_are_kept_apart() {
    let server = RedisServer::start(&[]);
    let first = builder(&server).connect().await.unwrap();
    let id = visitor(&first).await;
    let second = RedisStore::connect(&format!("{}1", server.url()))
        .await
        .unwrap();
    assert!(live(&second, id).await.is_none());
    assert!(live(&first, id).await.is_some());
}

#[tokio::test]
async fn a_person_can_see_who_is_signed_in_since_when_and_until_when() {
    let server = RedisServer::start(&[]);
    let store = builder(&server).connect().await.unwrap();
    let subject = session_core::Subject::new("alice").unwrap();
    let id = user(&store, &subject).await;
    let record = live(&store, id).await.unwrap();
    let shard = format!("{{{:04x}}}", id.shard().number());
    let listed = server.ask(&[
        "ZRANGE",
        &format!("session:{shard}:u:alice"),
        "0",
        "-1",
        "WITHSCORES",
    ]);
    assert_eq!(listed, format!("{id}\n{}", record.created_at().as_millis()));
    let key = format!("session:{shard}:s:{id}");
    let left: u64 = server.ask(&["PTTL", &key]).parse().unwrap();
    let all = record.expires_at().as_millis() - record.last_seen_at().as_millis();
    assert!(left > 0 && left < all, "{left} of {all} ms");
    // From version 7.0 on.
    let until = server.ask(&["PEXPIRETIME", &key]);
    let exactly = (record.expires_at().as_millis() - 1).to_string();
    assert!(
        until == exactly || until.starts_with("-ERR unknown command"),
        "{until}"
    );
}

/// SECURITY 3
#[tokio::test]
async fn a_raw_dump_of_the_server_contains_no_usable_token() {
    let server = RedisServer::start(&["--rdbcompression", "no"]);
    let store = builder(&server).connect().await.unwrap();
    let (id, secret) = (fresh_id(), SessionSecret::generate());
    let hash = secret.hash();
    let record = NewRecord::new(hash, Timeouts::default());
    store.create(id, &record).await.unwrap();
    let subject = fresh_subject();
    support::user_with(&store, &subject, &NewRecord::new(hash, Timeouts::default())).await;
    let token = TokenFormat::default().encode(&SessionToken { id, secret });

    assert_eq!(server.ask(&["SAVE"]), "OK");
    let directory = server.ask(&["CONFIG", "GET", "dir"]);
    let directory = directory.lines().nth(1).unwrap();
    let dump = std::fs::read(format!("{directory}/dump.rdb")).unwrap();
    let contains = |part: &[u8]| dump.windows(part.len()).any(|window| window == part);
    assert!(
        contains(hash.as_bytes()),
        "the dump is not read as it should be"
    );
    assert!(contains(id.to_string().as_bytes()));
    assert!(!contains(token.as_bytes()));
    // The second half of a token is the secret, whatever the first is.
    assert!(!contains(&token.as_bytes()[22..]));
    let bytes = base64_of(&token);
    assert!(!contains(&bytes[16..]));
}

/// The bytes that a base64url text spells.
fn base64_of(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits: Vec<bool> = Vec::new();
    for byte in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == byte).unwrap();
        bits.extend((0..6).rev().map(|bit| value >> bit & 1 == 1));
    }
    bits.chunks_exact(8)
        .map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit)))
        .collect()
}

#[tokio::test]
async fn an_index_that_nobody_walks_does_not_pile_up() {
    let server = RedisServer::start(&[]);
    let clock = ManualClock::default();
    let store = builder(&server).test_clock(clock.clone());
    let store = store.connect().await.unwrap();
    let subject = fresh_subject();
    let short = Timeouts::default().with_idle(Duration::from_secs(60));
    let mut last = fresh_id();
    for _ in 0..300 {
        clock.advance(Duration::from_secs(30));
        let record = NewRecord::new(fresh_secret(), short);
        last = support::user_with(&store, &subject, &record).await;
    }
    let index = format!("session:{{{:04x}}}:u:{subject}", last.shard().number());
    let listed: u32 = server.ask(&["ZCARD", &index]).parse().unwrap();
    assert!(listed < 40, "{listed} are listed");
    assert_eq!(store.sessions_of(&subject).await.unwrap().len(), 2);
    assert_eq!(server.ask(&["ZCARD", &index]), "2");
}

#[tokio::test]
async fn everything_that_is_kept_of_sessions_leaves_by_itself() {
    let server = RedisServer::start(&[]);
    let store = builder(&server).connect().await.unwrap();
    let (subject, other) = (fresh_subject(), visitor(&store).await);
    user(&store, &subject).await;
    store.delete(other).await.unwrap();
    let ticket = store.ticket(&subject).await.unwrap().next_attempt();
    let id = SessionId::generate(store.facts().sharding.shard_of(&subject));
    store
        .sign_in(&ticket, id, &new_record(), None)
        .await
        .unwrap();
    store.revoke(&subject, Some(id)).await.unwrap();
    visitor(&store).await;
    let keys = server.ask(&["KEYS", "*"]);
    let kinds = |kind: &str| keys.lines().filter(|key| key.contains(kind)).count();
    assert_eq!(
        (kinds(":s:"), kinds(":u:"), kinds(":f:"), kinds(":t:")),
        (4, 1, 1, 1)
    );
    for key in keys.lines() {
        let left: i64 = server.ask(&["PTTL", key]).parse().unwrap();
        assert_eq!(left > 0, !key.ends_with(":sharding"), "{key}: {left}");
    }
}

#[tokio::test]
async fn what_is_not_readable_is_corrupt_and_can_be_ended() {
    let server = RedisServer::start(&[]);
    let store = builder(&server).connect().await.unwrap();
    let subject = fresh_subject();
    let id = user(&store, &subject).await;
    let key = format!("session:{{{:04x}}}:s:{id}", id.shard().number());
    let length = server.ask(&["SETRANGE", &key, "0", "\u{7}"]);
    assert!(length.parse::<u32>().is_ok(), "{length}");
    let load = store.load(id, session_core::Freshness::Source).await;
    assert_eq!(load.unwrap_err().kind(), ErrorKind::Corrupt);
    let apply = store.apply(id, &set("a", "1"), None).await.unwrap_err();
    assert_eq!(
        (apply.kind(), apply.applied()),
        (ErrorKind::Corrupt, Applied::No)
    );
    let listed = store.sessions_of(&subject).await;
    assert_eq!(listed.unwrap_err().kind(), ErrorKind::Corrupt);
    // It keeps nobody from signing in.
    user(&store, &subject).await;
    assert!(store.delete(id).await.unwrap());
    assert_eq!(store.sessions_of(&subject).await.unwrap().len(), 1);
}
