//! Clause 2: what was applied last is what is read. Clause 3: the dead never read as live.

use session_core::{
    Change, Freshness, Loaded, NewRecord, OVERLAP, REMEMBERED, Record, Renewal, SecretHash,
    SessionId, Timeouts, Timestamp,
};

use crate::case::Case;
use crate::context::{Context, fresh_id, fresh_secret, fresh_subject};
use crate::expect::{ExpectAdmission, ExpectApplication, ExpectCreation, ExpectLoaded};
use crate::rng::Rng;
use crate::sample::{
    Session, json, millis, mins, name, new_record, promote, renew, secs, set, touch,
};

pub(super) fn cases() -> Vec<Case> {
    cases![
        clause_02_load_returns_exactly_what_was_last_applied,
        clause_02_load_returns_exactly_what_was_last_applied_as_time_passes: Clock,
        clause_02_apply_returns_the_records_before_and_after,
        clause_02_every_instant_is_kept_to_the_millisecond: Clock,
        clause_02_every_limit_in_time_is_kept_to_the_millisecond,
        clause_02_a_thousand_entries_come_back,
        clause_02_both_freshnesses_read_what_this_handle_wrote,
        clause_03_an_id_never_used_is_absent_to_every_verb,
        clause_03_a_destroyed_session_is_not_there_to_any_verb,
        clause_03_an_expired_session_reads_absent: Clock,
        clause_03_what_ended_is_told_from_what_never_was,
        clause_03_what_ended_is_told_for_60_s: Clock,
        clause_03_no_end_is_told_of_another_session,
    ]
}

/// A session of a user or of a visitor, and changes of every kind to it.
struct Walk {
    rng: Rng,
    secrets: Vec<SecretHash>,
}

impl Walk {
    fn change(&mut self, now: &Record) -> Change {
        let mut change = Change::new();
        if self.rng.one_in(12) {
            change = change.clear();
        }
        for _ in 0..self.rng.below(4) {
            let entry = name(["a", "b", "ü", "session:csrf", "z z"][self.rng.below(5)]);
            let values = [
                "null",
                "\"\\u0000\"",
                "1.0",
                "{\"a\": [1e2]}",
                "\"😀\"",
                "\" \"",
            ];
            change = match self.rng.below(values.len() + 2) {
                at if at < values.len() => change.set(entry, json(values[at])),
                _ => change.remove(entry),
            };
        }
        if self.rng.one_in(3) {
            change = change.touch();
        }
        if self.rng.one_in(4) {
            change = change.promote(self.secret());
        }
        if self.rng.one_in(4) {
            let issue = fresh_secret();
            let current = now.slots().last().map(|slot| slot.hash);
            change = change.renew(Renewal {
                issue,
                replaces: current.unwrap_or(issue),
                soft: self.rng.one_in(2),
            });
            self.secrets.push(issue);
        }
        if self.rng.one_in(20) {
            change = change.shorten(mins(600));
        }
        if self.rng.one_in(20) {
            change = change.settle_predecessor();
        }
        if self.rng.one_in(3) {
            change = change.guarded_by(now.revision());
        }
        change
    }

    fn secret(&mut self) -> SecretHash {
        let at = self.rng.below(self.secrets.len());
        self.secrets[at]
    }
}

async fn walk(given: &Context, between: impl Fn(&mut Rng)) {
    let subject = fresh_subject();
    for session in [given.user(&subject).await, given.visitor().await] {
        let Session { id, secret, record } = session;
        let mut walk = Walk {
            rng: given.rng(),
            secrets: vec![secret],
        };
        let mut last = record;
        let mut older = last.clone();
        for _ in 0..200 {
            between(&mut walk.rng);
            let change = walk.change(&last);
            let seen = [None, Some(&last), Some(&older)][walk.rng.below(3)];
            if let session_core::Application::Applied { previous, record } =
                given.store().apply(id, &change, seen).await.unwrap()
            {
                assert_eq!(previous, last, "the record before the change");
                older = std::mem::replace(&mut last, record);
            }
            assert_eq!(given.load(id).await.live(), last);
        }
    }
}

async fn clause_02_load_returns_exactly_what_was_last_applied(given: Context) {
    walk(&given, |_| {}).await;
}

async fn clause_02_load_returns_exactly_what_was_last_applied_as_time_passes(given: Context) {
    walk(&given, |rng| given.advance(millis(rng.next() % 7001))).await;
}

async fn clause_02_apply_returns_the_records_before_and_after(given: Context) {
    let Session { id, record, .. } = given.visitor().await;
    let change = set("a", "1");
    let (previous, first) = given.store().apply(id, &change, None).await.step();
    assert_eq!(previous, record);
    assert_eq!(first.get("a"), Some("1"));
    assert_eq!(first.revision(), change.revision());
    let change = set("b", "2");
    let stale = Some(&record);
    let (previous, second) = given.store().apply(id, &change, stale).await.step();
    assert_eq!(previous, first);
    assert_eq!(
        second.entries().collect::<Vec<_>>(),
        [("a", "1"), ("b", "2")]
    );
    assert_eq!(given.load(id).await.live(), second);
}

async fn clause_02_every_instant_is_kept_to_the_millisecond(given: Context) {
    for odd in 0..20 {
        given.advance(millis(997 + odd));
        let timeouts = Timeouts::new(mins(60) + millis(odd));
        let session = given.visitor_for(timeouts).await;
        let created = given.now();
        let record = given.load(session.id).await.live();
        assert_eq!(record.created_at(), created);
        assert_eq!(record.last_seen_at(), created);
        assert_eq!(record.deadline(), created + mins(60) + millis(odd));
        assert_eq!(record.header().slots[0].issued_at, created);

        given.advance(millis(1));
        let issued = given.now();
        let next = fresh_secret();
        given.change(session.id, renew(session.secret, next)).await;
        given.advance(millis(1));
        let presented = given.now();
        let change = promote(next).touch().shorten(mins(59) + millis(odd));
        given.change(session.id, change).await;
        let header = given.load(session.id).await.live().header();
        assert_eq!(header.created_at, created);
        assert_eq!(header.last_seen_at, presented);
        assert_eq!(header.deadline, presented + mins(59) + millis(odd));
        assert_eq!(header.slots[0].accepted_until, presented + OVERLAP);
        assert_eq!(header.slots[1].issued_at, issued);
        assert_eq!(header.slots[1].accepted_until, Timestamp::MAX);
    }
}

async fn clause_02_every_limit_in_time_is_kept_to_the_millisecond(given: Context) {
    let odd = millis(12_345_678);
    let plain = Timeouts::new(millis(87_654_321));
    for timeouts in [
        plain.with_idle(odd).with_renewal(millis(1_234_567)),
        plain.without_idle().without_renewal(),
        Timeouts::new(Timeouts::MAX_ABSOLUTE - millis(1)).with_idle(odd),
    ] {
        let session = given.visitor_for(timeouts).await;
        let header = given.load(session.id).await.live().header();
        assert_eq!(header.deadline, header.created_at + timeouts.absolute());
        assert_eq!(header.idle, timeouts.idle());
        assert_eq!(header.renewal, timeouts.renewal());
    }
}

async fn clause_02_a_thousand_entries_come_back(given: Context) {
    let id = given.visitor().await.id;
    let numbers: Vec<_> = (0..1000).map(|number| format!("{number:04}")).collect();
    let change = numbers.iter().fold(Change::new(), |change, number| {
        change.set(name(number), json(format!("\"{number}\"")))
    });
    given.change(id, change).await;
    let record = given.load(id).await.live();
    assert_eq!(record.entries().count(), 1000);
    for ((entry, value), number) in record.entries().zip(&numbers) {
        assert_eq!((entry, value), (number.as_str(), &*format!("\"{number}\"")));
    }
}

async fn clause_02_both_freshnesses_read_what_this_handle_wrote(given: Context) {
    let session = given.visitor().await;
    for round in 0..20 {
        let record = given
            .change(session.id, set("round", round.to_string()))
            .await;
        for freshness in [Freshness::Any, Freshness::Source] {
            let loaded = given.store().load(session.id, freshness).await.live();
            assert_eq!(loaded, record, "{freshness:?}");
        }
    }
}

/// Every verb finds no live session of this id.
async fn is_dead_to_every_verb(given: &Context, id: SessionId, once: Option<&Session>) {
    let store = given.store();
    for freshness in [Freshness::Any, Freshness::Source] {
        store.load(id, freshness).await.dead();
    }
    let seen = once.map(|session| &session.record);
    for change in [set("late", "1"), touch(), Change::new().clear()] {
        store.apply(id, &change, seen).await.absent();
    }
    if let Some(Session { secret, record, .. }) = once {
        store.apply(id, &promote(*secret), seen).await.absent();
        let renewal = renew(*secret, fresh_secret());
        store.apply(id, &renewal, seen).await.absent();
        let guarded = set("late", "1").guarded_by(record.revision());
        store.apply(id, &guarded, seen).await.absent();
    }
    assert!(!store.delete(id).await.unwrap());
    store.load(id, Freshness::Source).await.dead();
}

async fn clause_03_an_id_never_used_is_absent_to_every_verb(given: Context) {
    let id = fresh_id();
    is_dead_to_every_verb(&given, id, None).await;
    given.load(id).await.absent();
    let subject = fresh_subject();
    assert_eq!(given.listed(&subject).await, []);
    assert_eq!(given.store().revoke(&subject, Some(id)).await.unwrap(), []);
}

async fn clause_03_a_destroyed_session_is_not_there_to_any_verb(given: Context) {
    let (subject, user) = given.some_user().await;
    for session in [user, given.visitor().await] {
        assert!(given.store().delete(session.id).await.unwrap());
        is_dead_to_every_verb(&given, session.id, Some(&session)).await;
    }
    assert_eq!(given.listed(&subject).await, []);
    assert_eq!(given.store().revoke(&subject, None).await.unwrap(), []);
}

async fn clause_03_an_expired_session_reads_absent(given: Context) {
    let timeouts = Timeouts::new(mins(60)).with_idle(mins(10));
    let subject = fresh_subject();
    let user = given.user_for(&subject, timeouts).await;
    let visitor = given.visitor_for(timeouts).await;
    given.advance(mins(10));
    for session in [user, visitor] {
        given.load(session.id).await.absent();
        is_dead_to_every_verb(&given, session.id, Some(&session)).await;
        given.advance(mins(60));
        is_dead_to_every_verb(&given, session.id, Some(&session)).await;
    }
    assert_eq!(given.listed(&subject).await, []);
    assert_eq!(given.store().revoke(&subject, None).await.unwrap(), []);
}

async fn clause_03_what_ended_is_told_from_what_never_was(given: Context) {
    let (subject, user) = given.some_user().await;
    for session in [user, given.visitor().await] {
        let next = fresh_secret();
        given.change(session.id, renew(session.secret, next)).await;
        assert!(given.store().delete(session.id).await.unwrap());
        let ended = given.load(session.id).await.ended();
        assert_eq!(ended.secrets, [session.secret, next]);
        assert!(ended.at >= session.record.created_at());
    }
    let revoked = given.user(&subject).await;
    given.store().revoke(&subject, None).await.unwrap();
    assert_eq!(
        given.load(revoked.id).await.ended().secrets,
        [revoked.secret]
    );
}

async fn clause_03_what_ended_is_told_for_60_s(given: Context) {
    for timeouts in [
        Timeouts::default(),
        Timeouts::new(secs(10)).with_idle(secs(5)),
    ] {
        let session = given.visitor_for(timeouts).await;
        given.advance(secs(3));
        assert!(given.store().delete(session.id).await.unwrap());
        let at = given.now();
        for wait in [0, 1000, 58_999] {
            given.advance(millis(wait));
            let ended = given.load(session.id).await.ended();
            assert_eq!(ended.at, at);
            assert_eq!(ended.secrets, [session.secret]);
            // Asking again, or trying to end it again, starts no new 60 s.
            assert!(!given.store().delete(session.id).await.unwrap());
        }
        given.advance((at + REMEMBERED).since(given.now()));
        given.load(session.id).await.absent();
    }
}

async fn clause_03_no_end_is_told_of_another_session(given: Context) {
    let (subject, first) = given.some_user().await;
    let second = given.user(&subject).await;
    assert!(given.store().delete(first.id).await.unwrap());
    assert_eq!(given.load(second.id).await.live(), second.record);
    let other = given.id_of(&subject);
    assert!(matches!(given.load(other).await, Ok(Loaded::Absent)));
    let ticket = given.ticket(&subject).await;
    let new = NewRecord::new(fresh_secret(), Timeouts::default());
    let admission = given.store().sign_in(&ticket, other, &new, None).await;
    admission.admitted_alone();
    given
        .store()
        .create(fresh_id(), &new_record())
        .await
        .created();
    given.load(other).await.live();
}
