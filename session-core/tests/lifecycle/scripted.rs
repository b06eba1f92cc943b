//! A store that fails, loses answers and pauses as a test tells it to.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use session_core::{
    Abilities, Admission, Application, Change, Creation, ErrorKind, Freshness, Loaded, NewRecord,
    Record, SessionId, SessionStore, SignInLimit, StoreError, StoreFacts, Subject, Ticket,
};
use store_memory::MemoryStore;
use tokio::sync::mpsc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Load,
    Apply,
    Delete,
    Ticket,
    SignIn,
    SessionsOf,
    Revoke,
}

/// What happens to one call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It is refused before anything happened.
    OutOfReach,
    /// It takes effect, and its answer is lost.
    AnswerLost,
    /// It never arrives, and nobody can tell.
    CallLost,
    /// What is stored cannot be read.
    Corrupt,
}

/// Where calls of a flow wait, before and after they take effect.
#[derive(Debug)]
struct Gate {
    verbs: Vec<Verb>,
    reached: mpsc::UnboundedSender<()>,
    permits: tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>,
}

/// The hand that moves a flow from pause to pause.
#[derive(Debug)]
pub(crate) struct Hand {
    pub(crate) reached: mpsc::UnboundedReceiver<()>,
    pub(crate) permit: mpsc::UnboundedSender<()>,
}

#[derive(Debug)]
pub(crate) struct Scripted {
    pub(crate) inner: MemoryStore,
    faults: Mutex<VecDeque<(Verb, Fault)>>,
    calls: Mutex<Vec<Verb>>,
    gates: Mutex<Vec<std::sync::Arc<Gate>>>,
}

impl Scripted {
    pub(crate) fn new(inner: MemoryStore) -> Self {
        let (faults, calls, gates) = Default::default();
        Self {
            inner,
            faults,
            calls,
            gates,
        }
    }

    /// The next call of `verb` that has no fault waiting meets this one.
    pub(crate) fn fail(&self, verb: Verb, fault: Fault) {
        self.faults.lock().unwrap().push_back((verb, fault));
    }

    /// The calls since the last time.
    pub(crate) fn calls(&self) -> Vec<Verb> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    /// From now on calls of these verbs pause before and after they take effect.
    pub(crate) fn pause(&self, verbs: &[Verb]) -> Hand {
        let (reached, reached_by) = mpsc::unbounded_channel();
        let (permit, permits) = mpsc::unbounded_channel();
        let permits = tokio::sync::Mutex::new(permits);
        let gate = Gate {
            verbs: verbs.to_vec(),
            reached,
            permits,
        };
        self.gates.lock().unwrap().push(gate.into());
        Hand {
            reached: reached_by,
            permit,
        }
    }

    async fn pass(&self, verb: Verb) {
        let gate = {
            let gates = self.gates.lock().unwrap();
            gates
                .iter()
                .find(|gate| gate.verbs.contains(&verb))
                .cloned()
        };
        if let Some(gate) = gate {
            let _ = gate.reached.send(());
            gate.permits.lock().await.recv().await;
        }
    }

    async fn call<T>(
        &self,
        verb: Verb,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.calls.lock().unwrap().push(verb);
        self.pass(verb).await;
        let fault = {
            let mut faults = self.faults.lock().unwrap();
            let at = faults.iter().position(|(of, _)| *of == verb);
            at.and_then(|at| faults.remove(at)).map(|(_, fault)| fault)
        };
        let unavailable = StoreError::new("scripted", ErrorKind::Unavailable);
        let answer = match fault {
            None => step.await,
            Some(Fault::OutOfReach) => Err(unavailable),
            Some(Fault::CallLost) => Err(unavailable.unknown()),
            Some(Fault::Corrupt) => Err(StoreError::new("scripted", ErrorKind::Corrupt)),
            Some(Fault::AnswerLost) => step.await.and(Err(unavailable.unknown())),
        };
        self.pass(verb).await;
        answer
    }
}

#[async_trait]
impl SessionStore for Scripted {
    fn facts(&self) -> &StoreFacts {
        self.inner.facts()
    }

    fn abilities(&self) -> Abilities<'_> {
        self.inner.abilities()
    }

    async fn create(&self, id: SessionId, record: &NewRecord) -> Result<Creation, StoreError> {
        self.call(Verb::Create, self.inner.create(id, record)).await
    }

    async fn load(&self, id: SessionId, freshness: Freshness) -> Result<Loaded, StoreError> {
        self.call(Verb::Load, self.inner.load(id, freshness)).await
    }

    async fn apply(
        &self,
        id: SessionId,
        change: &Change,
        seen: Option<&Record>,
    ) -> Result<Application, StoreError> {
        self.call(Verb::Apply, self.inner.apply(id, change, seen))
            .await
    }

    async fn delete(&self, id: SessionId) -> Result<bool, StoreError> {
        self.call(Verb::Delete, self.inner.delete(id)).await
    }

    async fn ticket(&self, subject: &Subject) -> Result<Ticket, StoreError> {
        self.call(Verb::Ticket, self.inner.ticket(subject)).await
    }

    async fn sign_in(
        &self,
        ticket: &Ticket,
        id: SessionId,
        record: &NewRecord,
        limit: Option<SignInLimit>,
    ) -> Result<Admission, StoreError> {
        self.call(Verb::SignIn, self.inner.sign_in(ticket, id, record, limit))
            .await
    }

    async fn sessions_of(&self, subject: &Subject) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.call(Verb::SessionsOf, self.inner.sessions_of(subject))
            .await
    }

    async fn revoke(
        &self,
        subject: &Subject,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.call(Verb::Revoke, self.inner.revoke(subject, except))
            .await
    }
}
