//! A store, its server, and what users did there before an outage.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use session_core::{
    Applied, ErrorKind, LimitPolicy, SessionError, SessionToken, SignInLimit, StoreError, Subject,
    Ticket, Timestamp,
};
use session_outages::{
    Durability, Finding, Findings, Journal, Kind, Ledger, Machine, Own, Proxy, Recorded, Timed,
    open, prepare,
};
use tokio::time::sleep;

/// What a call to the store may take in these tests.
pub(crate) const LIMIT: Duration = Duration::from_secs(1);
/// What a call may take where the server is to give up before the store does.
pub(crate) const LONG_LIMIT: Duration = Duration::from_secs(3);
/// What a busy machine may add before a call counts as hung.
pub(crate) const GRACE: Duration = Duration::from_secs(3);

/// Everything that an outage can be watched with.
pub(crate) struct Scene {
    pub(crate) machine: Machine,
    pub(crate) proxy: Proxy,
    pub(crate) store: Recorded,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    pub(crate) in_doubt: Arc<AtomicU64>,
}

/// What users have when an outage begins: a session for each verb.
pub(crate) struct Users {
    pub(crate) writer: Own,
    pub(crate) idler: Own,
    pub(crate) reader: Own,
    pub(crate) leaver: Own,
    saver: Own,
    pub(crate) counter: SessionToken,
    pub(crate) ticket: (Ticket, Timestamp),
    pub(crate) revoked: Subject,
    pub(crate) listed: Subject,
}

/// What one verb gave in an outage: nothing, or why not.
pub(crate) type Answers = Vec<(&'static str, Option<Refusal>)>;

/// What a caller learns of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: ErrorKind,
    pub(crate) applied: Applied,
}

impl Scene {
    pub(crate) async fn on(kind: Kind) -> Self {
        Self::with(Machine::start(kind, Durability::Lossless), LIMIT).await
    }

    pub(crate) async fn with(machine: Machine, limit: Duration) -> Self {
        prepare(&machine.url()).await.unwrap();
        let proxy = Proxy::start(machine.port()).await;
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let url = machine.url_at(proxy.port());
        let (store, in_doubt) = connected(&url, limit, &ledger).await;
        Self {
            machine,
            proxy,
            store,
            ledger,
            in_doubt,
        }
    }

    pub(crate) async fn users(&self) -> Users {
        users(&self.store).await
    }

    /// Every verb, all at the same time.
    pub(crate) async fn every_verb(&self, users: &mut Users) -> Answers {
        every_verb(&self.store, users).await
    }

    pub(crate) async fn recovers(&self) {
        recovers(&self.store).await;
    }

    /// What the ledger says when all is over.
    pub(crate) async fn findings(&self) -> Findings {
        let store = open(&self.machine.url(), LIMIT * 10).await.unwrap();
        Ledger::audit(&self.ledger, store).await.unwrap();
        self.ledger.lock().findings()
    }

    /// Nothing that was acknowledged is missing, nothing that ended lives, nothing hung.
    pub(crate) async fn holds(&self) {
        let findings = self.findings().await;
        assert!(findings.broken.is_empty(), "{findings}");
        assert!(findings.acknowledged > 20, "{findings}");
    }

    /// The server lost what it had acknowledged, and the ledger sees it; nothing else is broken.
    pub(crate) async fn lost(&self) -> (usize, usize) {
        let findings = self.findings().await;
        damage(&findings)
    }
}

/// How much was lost, and how much came back; nothing else may be found.
pub(crate) fn damage(findings: &Findings) -> (usize, usize) {
    let (lost, revived) = (
        findings.count(Finding::Lost),
        findings.count(Finding::Revived),
    );
    assert_eq!(lost + revived, findings.broken.len(), "{findings}");
    (lost, revived)
}

/// What users do when all is well; some of it has ended already.
pub(crate) async fn users(store: &Recorded) -> Users {
    let name = |name: &str| {
        let own = session_core::SessionId::generate(session_core::Shard::random());
        Subject::new(format!("{name} {own}")).unwrap()
    };
    let written = async |number| {
        let mut own = store.create(None).await.unwrap();
        let entries = [("a", Some(number)), ("b", Some(number))];
        assert!(store.write(&mut own, &entries, 0).await.unwrap());
        own
    };
    let gone = written(1).await;
    assert!(store.delete(gone.id()).await.unwrap());
    let (signed_in, revoked, listed) = (name("ticket"), name("revoked"), name("listed"));
    for subject in [&revoked, &listed] {
        for _ in 0..2 {
            let ticket = store.ticket(subject).await.unwrap();
            let own = store.sign_in(&ticket, None).await.unwrap().unwrap();
            if subject == &listed {
                store.revoke(subject, Some(own.id())).await.unwrap();
            }
        }
    }
    let counter = written(2).await.token;
    store.count(&counter).await.unwrap();
    Users {
        writer: written(3).await,
        idler: written(4).await,
        reader: written(5).await,
        leaver: written(6).await,
        // No other call is made on this one meanwhile: the ledger takes what is seen in the order of answers.
        saver: written(7).await,
        counter,
        ticket: store.ticket(&signed_in).await.unwrap(),
        revoked,
        listed,
    }
}

/// Waits until the store works again, as it must by itself; then all verbs do.
pub(crate) async fn recovers(store: &Recorded) {
    let nobody = Subject::new("nobody").unwrap();
    let mut in_a_row = 0;
    for attempt in 0.. {
        // Creations go together; each list takes a connection of its own, and there are more of them than
        // connections: a call may come upon one that is gone.
        let creations = join_all((0..12).map(|_| store.create(None)));
        let lists = join_all((0..12).map(|_| store.list(&nobody, None)));
        let (creations, lists) = tokio::join!(creations, lists);
        let created = creations.into_iter().find_map(Result::err);
        match created.or_else(|| lists.into_iter().find_map(Result::err)) {
            None if in_a_row == 2 => break,
            None => in_a_row += 1,
            Some(error) => {
                in_a_row = 0;
                assert!(attempt < 400, "{error:?}");
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
    let mut users = users(store).await;
    let answers = every_verb(store, &mut users).await;
    refused(&answers, &[], ErrorKind::Unavailable);
}

/// Every verb, all at the same time.
pub(crate) async fn every_verb(store: &Recorded, users: &mut Users) -> Answers {
    let max = NonZeroUsize::new(3).unwrap();
    let policy = LimitPolicy::EndOldest;
    let limit = Some(SignInLimit { max, policy });
    let save = users.saver.clone();
    let entries = [("a", Some(100)), ("b", None)];
    let (create, write, touch, load, delete, ticket, sign_in, list, revoke, save, count) = tokio::join!(
        store.create(None),
        store.write(&mut users.writer, &entries, 100),
        store.write(&mut users.idler, &[], 0),
        store.look(users.reader.id()),
        store.delete(users.leaver.id()),
        store.ticket(&users.listed),
        store.sign_in(&users.ticket, limit),
        store.list(&users.listed, None),
        store.revoke(&users.revoked, None),
        store.save(&save, "c", 7),
        store.count(&users.counter),
    );
    vec![
        ("create", refusal(create)),
        ("write", refusal(write)),
        ("touch", refusal(touch)),
        ("load", refusal(load)),
        ("delete", refusal(delete)),
        ("ticket", refusal(ticket)),
        ("sign_in", refusal(sign_in)),
        ("list", refusal(list)),
        ("revoke", refusal(revoke)),
        ("save", refusal_of_session(save)),
        ("count", refusal_of_session(count)),
    ]
}

/// A store whose calls go into a ledger, and how many of them left their outcome unknown.
pub(crate) async fn connected(
    url: &str,
    limit: Duration,
    ledger: &Arc<Mutex<Ledger>>,
) -> (Recorded, Arc<AtomicU64>) {
    let into = Arc::clone(ledger);
    let journal: Journal = Arc::new(move |event| into.lock().add(event));
    let mut opened = open(url, limit).await;
    for _ in 0..20 {
        // On a busy machine a short limit is not enough for all that a store asks first.
        opened = match opened {
            Err(error) if error.kind() == ErrorKind::Unavailable => open(url, limit).await,
            opened => opened,
        };
    }
    let store = opened.unwrap();
    let store = Timed::new(store, limit, GRACE, Arc::clone(&journal));
    let in_doubt = store.in_doubt();
    (Recorded::new(Arc::new(store), journal), in_doubt)
}

fn refusal<T>(answer: Result<T, StoreError>) -> Option<Refusal> {
    answer.err().map(|error| of(&error))
}

fn refusal_of_session<T>(answer: Result<T, SessionError>) -> Option<Refusal> {
    match answer {
        Ok(_) => None,
        Err(SessionError::Store(error)) => Some(of(&error)),
        Err(error) => panic!("{error:?}"),
    }
}

fn of(error: &StoreError) -> Refusal {
    Refusal {
        kind: error.kind(),
        applied: error.applied(),
    }
}

/// All were refused for want of a server.
pub(crate) fn all_unavailable(answers: &Answers) {
    for (verb, refusal) in answers {
        let kind = refusal.map(|refusal| refusal.kind);
        assert_eq!(kind, Some(ErrorKind::Unavailable), "{verb}");
    }
}

/// Each did what it was asked to, or was refused for want of a server.
pub(crate) fn none_but_unavailable(answers: &Answers) {
    for (verb, refusal) in answers {
        let kind = refusal.map_or(ErrorKind::Unavailable, |refusal| refusal.kind);
        assert_eq!(kind, ErrorKind::Unavailable, "{verb}");
    }
}

/// These verbs, and no others, were refused in this way, and did nothing.
pub(crate) fn refused(answers: &Answers, verbs: &[&str], kind: ErrorKind) {
    for (verb, refusal) in answers {
        let applied = Applied::No;
        let expected = verbs.contains(verb).then_some(Refusal { kind, applied });
        assert_eq!(*refusal, expected, "{verb}");
    }
}
