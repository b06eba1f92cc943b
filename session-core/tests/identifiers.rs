//! Ids, secrets and tokens: random, unique, and never kept.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::HashSet;

use session_core::{
    HandlerOutcome, NewRecord, Presented, Scan, SecretHash, SessionId, SessionSecret, SessionStore,
    SessionToken, Sessions, Shard, Sharding, SignIn, Subject, Timeouts, TokenFormat,
};
use store_memory::MemoryStore;

fn token() -> SessionToken {
    let id = SessionId::generate(Shard::random());
    SessionToken {
        id,
        secret: SessionSecret::generate(),
    }
}

/// The secret's bytes, as they stand in a cookie.
fn secret_in(text: &str) -> Vec<u8> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(text)
        .unwrap();
    bytes[16..].to_vec()
}

/// SECURITY 1: 128 bits, none of them fixed as in a UUID, whose version and variant are.
#[test]
fn every_one_of_a_secrets_128_bits_varies() {
    let format = TokenFormat::default();
    let secrets: Vec<_> = (0..200)
        .map(|_| secret_in(&format.encode(&token())))
        .collect();
    for bit in 0..128 {
        let ones = secrets
            .iter()
            .filter(|secret| secret[bit / 8] & (1 << (bit % 8)) != 0)
            .count();
        // By chance alone less than once in 10^18.
        assert!(
            (30..170).contains(&ones),
            "bit {bit} is set in {ones} of 200"
        );
    }
    assert!(secrets.iter().all(|secret| secret.len() == 16));
}

/// SECURITY 7: a million ids and secrets from 64 concurrent tasks: no two alike, all bytes equally often.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_ids_made_by_64_tasks_are_unique_and_look_random() {
    let format = TokenFormat::default();
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let format = format.clone();
            tokio::spawn(async move {
                (0..1_000_000 / 64)
                    .map(|_| format.encode(&token()))
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let (mut ids, mut seen, mut counts) = (HashSet::new(), HashSet::new(), [0_u64; 256]);
    for task in tasks {
        for text in task.await.unwrap() {
            let id = format.decode(text.as_bytes()).unwrap().id;
            assert!(ids.insert(id), "an id twice");
            let secret: [u8; 16] = secret_in(&text).try_into().unwrap();
            assert!(seen.insert(secret), "a secret twice");
            id.as_bytes()
                .iter()
                .chain(&secret)
                .for_each(|byte| counts[usize::from(*byte)] += 1);
        }
    }
    let total: u64 = counts.iter().sum();
    #[expect(clippy::cast_precision_loss, reason = "counts of 32 million")]
    let chi_squared: f64 = {
        let expected = total as f64 / 256.0;
        counts
            .iter()
            .map(|count| (*count as f64 - expected).powi(2) / expected)
            .sum()
    };
    // 255 degrees of freedom: beyond these bounds less than once in a million runs.
    assert!(
        (160.0..380.0).contains(&chi_squared),
        "chi squared is {chi_squared}"
    );
}

/// SECURITY 3: neither the records of a store nor what it prints of itself contain a usable token.
#[tokio::test]
async fn what_a_store_keeps_opens_nothing() {
    let store = MemoryStore::new();
    let sessions = Sessions::new(store.clone());
    let session = sessions.open(Presented::nothing());
    let ticket = sessions
        .begin_sign_in(&Subject::new("alice").unwrap())
        .await
        .unwrap();
    session.sign_in(SignIn::new(ticket)).await.unwrap();
    let commit = session.commit(HandlerOutcome::Answered).await;
    let session_core::CookieAction::Set { token, .. } = commit.cookie else {
        panic!("no cookie")
    };
    let text = sessions.encode(&token);
    let secret = secret_in(&text);

    let scan: &dyn Scan = store.abilities().scan.unwrap();
    let kept = scan.scan(None, 10).await.unwrap();
    assert_eq!(kept.len(), 1);
    for (id, record) in &kept {
        let bytes = record.as_bytes();
        assert!(
            !bytes.windows(16).any(|window| window == secret),
            "the secret is kept"
        );
        for slot in record.slots() {
            let forged = [id.as_bytes(), slot.hash.as_bytes().as_slice()].concat();
            assert!(TokenFormat::default().decode(&forged).is_none());
            assert!(
                !SecretHash::from_bytes(*slot.hash.as_bytes()).eq(&SecretHash::from_bytes([0; 32]))
            );
        }
    }
    let printed = format!("{store:?} {sessions:?} {session:?} {token:?} {kept:?}");
    let hex = secret
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    assert!(!printed.contains(&text) && !printed.contains(&hex) && !printed.contains(&text[22..]));
    assert!(
        !printed.contains(
            &format!("{:?}", &secret[..8])
                .trim_matches(['[', ']'])
                .to_owned()
        )
    );
}

#[test]
fn an_id_is_spelled_in_one_way() {
    let id = SessionId::generate(Shard::new(7));
    let text = id.to_string();
    assert_eq!(text.parse::<SessionId>(), Ok(id));
    for other in [
        text.to_uppercase(),
        format!("{text} "),
        text[1..].to_owned(),
        format!("0x{text}"),
    ] {
        if other != text {
            assert!(other.parse::<SessionId>().is_err(), "{other:?}");
        }
    }
}

#[test]
fn a_subjects_shard_depends_on_the_key_and_spreads() {
    let shard = |sharding: &Sharding, n: u32| {
        sharding
            .shard_of(&Subject::new(format!("user-{n}")).unwrap())
            .number()
    };
    let (plain, keyed) = (Sharding::default(), Sharding::keyed(&[9; 32]));
    let of = |sharding: &Sharding| (0..2_000).map(|n| shard(sharding, n)).collect::<Vec<_>>();
    assert_ne!(of(&plain), of(&keyed));
    let distinct: HashSet<_> = of(&plain).into_iter().collect();
    assert!(
        distinct.len() > 1_900,
        "{} shards of 2,000 subjects",
        distinct.len()
    );
}

#[test]
fn a_new_record_is_in_nobodys_name_until_it_is_signed_in() {
    let new = NewRecord::new(SessionSecret::generate().hash(), Timeouts::default());
    let (record, _) = new.anonymous(session_core::Timestamp::from_millis(1));
    assert_eq!((record.subject(), record.authenticated_at()), (None, None));
}
