//! Clause 1: nothing overwrites a record.

use session_core::{
    Admission, Consistency, Creation, ErrorKind, Freshness, LimitPolicy, NewRecord, REMEMBERED,
    SecretVerdict, SessionId, Shard, SignInLimit, Standing, Subject, Timeouts,
};

use crate::case::Case;
use crate::context::{Context, fresh_id, fresh_secret, fresh_subject};
use crate::expect::{ExpectAdmission, ExpectCreation, ExpectLoaded, ExpectRefusal};
use crate::sample::{json, millis, mins, name, new_record, secs, together};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_01_create_makes_a_live_anonymous_session,
        clause_01_sign_in_makes_a_live_session_of_its_subject,
        clause_01_create_never_overwrites_a_live_session,
        clause_01_sign_in_never_overwrites_a_live_session,
        clause_01_a_sign_in_on_a_taken_id_ends_nothing,
        clause_01_of_concurrent_creates_on_one_id_exactly_one_wins: OneNode,
        clause_01_of_concurrent_sign_ins_and_creates_on_one_id_exactly_one_wins: OneNode,
        clause_01_an_ended_id_is_refused,
        clause_01_an_ended_id_is_refused_for_60_s: Clock,
        clause_01_an_ended_id_is_refused_for_60_s_past_its_own_deadline_too: Clock,
        clause_01_sign_in_refuses_an_id_outside_its_subjects_shard,
    ]
}

async fn clause_01_create_makes_a_live_anonymous_session(given: Context) {
    let (id, secret) = (fresh_id(), fresh_secret());
    let timeouts = Timeouts::new(mins(300))
        .with_idle(mins(7))
        .with_renewal(mins(3));
    let new = NewRecord::new(secret, timeouts).with_entries([(name("cart"), json("[1, 2]"))]);
    let record = given.store().create(id, &new).await.created();

    assert_eq!(given.load(id).await.live(), record);
    let header = record.header();
    assert_eq!(header.revision, new.revision());
    assert_eq!(header.last_seen_at, header.created_at);
    assert_eq!(header.deadline, header.created_at + mins(300));
    assert_eq!(header.idle, Some(mins(7)));
    assert_eq!(header.renewal, Some(mins(3)));
    assert_eq!(header.owner, None);
    assert_eq!(header.predecessor, None);
    assert_eq!(record.authenticated_at(), None);
    assert_eq!(record.entries().collect::<Vec<_>>(), [("cart", "[1, 2]")]);
    assert_eq!(
        record.judge(&secret, record.created_at()),
        SecretVerdict::Accepted(Standing::Current)
    );
}

async fn clause_01_sign_in_makes_a_live_session_of_its_subject(given: Context) {
    let (subject, predecessor) = (fresh_subject(), fresh_id());
    let (id, secret) = (given.id_of(&subject), fresh_secret());
    let timeouts = Timeouts::new(mins(300)).without_idle().without_renewal();
    let new = NewRecord::new(secret, timeouts)
        .with_entries([(name("cart"), json("[1, 2]"))])
        .with_predecessor(Some(predecessor));
    let ticket = given.ticket(&subject).await;
    assert_eq!(ticket.subject(), &subject);
    assert_eq!(ticket.attempt(), 1);
    let record = given
        .store()
        .sign_in(&ticket, id, &new, None)
        .await
        .admitted_alone();

    assert_eq!(given.load(id).await.live(), record);
    assert_eq!(given.listed(&subject).await, [id]);
    let header = record.header();
    assert_eq!(header.revision, new.revision());
    assert_eq!(header.deadline, header.created_at + mins(300));
    assert_eq!(header.idle, None);
    assert_eq!(header.renewal, None);
    assert_eq!(header.predecessor, Some(predecessor));
    let owner = header.owner.unwrap();
    assert_eq!(owner.subject, subject);
    assert_eq!((owner.nonce, owner.attempt), (ticket.nonce(), 1));
    assert_eq!(record.authenticated_at(), Some(record.created_at()));
    assert_eq!(record.get("cart"), Some("[1, 2]"));
    assert_eq!(
        record.judge(&secret, record.created_at()),
        SecretVerdict::Accepted(Standing::Unpresented)
    );
}

async fn clause_01_create_never_overwrites_a_live_session(given: Context) {
    let visitor = given.visitor().await;
    let (_, user) = given.some_user().await;
    for session in [visitor, user] {
        given
            .store()
            .create(session.id, &new_record())
            .await
            .exists();
        assert_eq!(given.load(session.id).await.live(), session.record);
    }
}

async fn clause_01_sign_in_never_overwrites_a_live_session(given: Context) {
    let (subject, user) = given.some_user().await;
    let ticket = given.ticket(&subject).await;
    given.sign_in(&ticket, user.id, None).await.exists();
    assert_eq!(given.load(user.id).await.live(), user.record);

    let taken = given.id_of(&subject);
    let visitor = given.store().create(taken, &new_record()).await.created();
    given.sign_in(&ticket, taken, None).await.exists();
    assert_eq!(given.load(taken).await.live(), visitor);
    assert_eq!(given.listed(&subject).await, [user.id]);
}

async fn clause_01_a_sign_in_on_a_taken_id_ends_nothing(given: Context) {
    let (subject, user) = given.some_user().await;
    let taken = given.id_of(&subject);
    given.store().create(taken, &new_record()).await.created();
    let limit = SignInLimit {
        max: std::num::NonZeroUsize::MIN,
        policy: LimitPolicy::EndOldest,
    };
    let ticket = given.ticket(&subject).await;
    given.sign_in(&ticket, taken, Some(limit)).await.exists();
    assert_eq!(given.load(user.id).await.live(), user.record);
}

async fn clause_01_of_concurrent_creates_on_one_id_exactly_one_wins(given: Context) {
    for _ in 0..8 {
        let id = fresh_id();
        let answers = together(32, |index| {
            let store = given.handle(index);
            async move { store.create(id, &new_record()).await.unwrap() }
        });
        let created: Vec<_> = answers
            .await
            .into_iter()
            .filter_map(|creation| match creation {
                Creation::Created(record) => Some(record),
                Creation::Exists => None,
            })
            .collect();
        assert_eq!(created.len(), 1, "exactly one create wins");
        assert_eq!(given.load(id).await.live(), created[0]);
    }
}

async fn clause_01_of_concurrent_sign_ins_and_creates_on_one_id_exactly_one_wins(given: Context) {
    for _ in 0..8 {
        let subject = fresh_subject();
        let id = given.id_of(&subject);
        let won = together(24, |index| {
            let (store, subject) = (given.handle(index), subject.clone());
            async move {
                if index % 3 == 0 {
                    match store.create(id, &new_record()).await.unwrap() {
                        Creation::Created(record) => Some(record),
                        Creation::Exists => None,
                    }
                } else {
                    let ticket = store.ticket(&subject).await.unwrap();
                    match store
                        .sign_in(&ticket, id, &new_record(), None)
                        .await
                        .unwrap()
                    {
                        Admission::Admitted { record, .. } => Some(record),
                        Admission::Exists => None,
                        other => panic!("a sign-in on one id with others: {other:?}"),
                    }
                }
            }
        });
        let won: Vec<_> = won.await.into_iter().flatten().collect();
        assert_eq!(won.len(), 1, "exactly one call wins");
        assert_eq!(given.load(id).await.live(), won[0]);
        let expected: &[SessionId] = if won[0].subject().is_some() {
            &[id]
        } else {
            &[]
        };
        assert_eq!(given.listed(&subject).await, expected);
    }
}

/// Sessions that ended, each in another way, and the subject in whose shard they are.
async fn ended_in_every_way(given: &Context, timeouts: Timeouts) -> (Subject, Vec<SessionId>) {
    let subject = fresh_subject();
    let store = given.store();
    let deleted = given.user_for(&subject, timeouts).await.id;
    assert!(store.delete(deleted).await.unwrap());
    let visitor = given.id_of(&subject);
    let new = NewRecord::new(fresh_secret(), timeouts);
    store.create(visitor, &new).await.created();
    assert!(store.delete(visitor).await.unwrap());
    let evicted = given.user_for(&subject, timeouts).await.id;
    let limit = SignInLimit {
        max: std::num::NonZeroUsize::MIN,
        policy: LimitPolicy::EndOldest,
    };
    let ticket = given.ticket(&subject).await;
    let revoked = given.id_of(&subject);
    let (_, ended) = store
        .sign_in(&ticket, revoked, &new, Some(limit))
        .await
        .admitted();
    assert_eq!(ended, [evicted]);
    assert_eq!(store.revoke(&subject, None).await.unwrap(), [revoked]);
    (subject, vec![deleted, visitor, evicted, revoked])
}

async fn are_refused(given: &Context, subject: &Subject, ids: &[SessionId]) {
    let ticket = given.ticket(subject).await;
    for id in ids {
        given.store().create(*id, &new_record()).await.exists();
        given.sign_in(&ticket, *id, None).await.exists();
        given.load(*id).await.ended();
    }
    assert_eq!(given.listed(subject).await, []);
}

async fn clause_01_an_ended_id_is_refused(given: Context) {
    let (subject, ids) = ended_in_every_way(&given, Timeouts::default()).await;
    are_refused(&given, &subject, &ids).await;
}

async fn clause_01_an_ended_id_is_refused_for_60_s(given: Context) {
    let (subject, ids) = ended_in_every_way(&given, Timeouts::default()).await;
    given.advance(REMEMBERED - millis(1));
    are_refused(&given, &subject, &ids).await;
    given.advance(millis(1));
    for id in ids {
        given.load(id).await.absent();
        // Nodes of a cluster keep an end until all have heard of it: an id is used once anyway.
        if given.consistency == Consistency::Linearizable {
            given.store().create(id, &new_record()).await.created();
        }
    }
}

async fn clause_01_an_ended_id_is_refused_for_60_s_past_its_own_deadline_too(given: Context) {
    let short = Timeouts::new(secs(2)).with_idle(secs(1));
    let (subject, ids) = ended_in_every_way(&given, short).await;
    given.advance(REMEMBERED - millis(1));
    are_refused(&given, &subject, &ids).await;
}

async fn clause_01_sign_in_refuses_an_id_outside_its_subjects_shard(given: Context) {
    let (subject, user) = given.some_user().await;
    let own = user.id.shard().number();
    let ticket = given.ticket(&subject).await;
    for number in [own ^ 1, own ^ 0x8000, !own] {
        let id = SessionId::generate(Shard::new(number));
        let limit = SignInLimit {
            max: std::num::NonZeroUsize::MIN,
            policy: LimitPolicy::EndOldest,
        };
        let sign_in = given.sign_in(&ticket, id, Some(limit));
        sign_in.await.refused(ErrorKind::Config);
        given.store().load(id, Freshness::Source).await.absent();
    }
    assert_eq!(given.listed(&subject).await, [user.id]);
}
