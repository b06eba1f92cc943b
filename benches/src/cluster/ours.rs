//! `store-cluster`.

use std::time::Duration;

use session_core::{
    Application, Change, EntryName, FeedItem, Freshness, JsonText, Loaded, NewRecord, SessionId,
    SessionSecret, SessionStore, Timeouts,
};
use store_cluster::{ClusterStore, Credentials, WriteAck};

use super::node::{NodeSetup, Seen};
use super::{ClusterContender, Replicated};
use crate::payload::{COUNTER, Payload};
use crate::subject::Role;

/// Calls may take long on a machine that is busy with sixteen nodes.
const LIMIT: Duration = Duration::from_secs(60);

#[must_use]
pub(super) fn store_cluster() -> ClusterContender {
    ClusterContender {
        name: "store-cluster",
        role: Role::Ours,
        keeps: true,
        acknowledges: true,
        open: |setup| Box::pin(async { Box::new(Ours::start(setup).await) as _ }),
    }
}

struct Ours {
    address: String,
    store: ClusterStore,
    number: usize,
    entries: Vec<(EntryName, JsonText)>,
    counter: EntryName,
}

impl Ours {
    async fn start(setup: NodeSetup) -> Self {
        let [authority, chain, key] = setup.tls.each_ref().map(|pem| pem.as_bytes());
        let ack = if setup.waits {
            WriteAck::ONE
        } else {
            WriteAck::Local
        };
        let listens = if setup.advertise.is_some() {
            free_address()
        } else {
            "127.0.0.1:0".to_owned()
        };
        let mut builder = ClusterStore::builder(NodeSetup::NAME)
            .listen(&listens)
            .node(&format!("node-{}", setup.number))
            .seeds(setup.joins.iter().map(String::as_str))
            .credentials(Credentials::pem(authority, chain, key))
            .acknowledge(ack)
            .acknowledge_ends(ack)
            .time_limit(LIMIT)
            .bootstrap_wait(LIMIT);
        if let Some(addr) = setup.advertise {
            builder = builder.advertise(&addr.to_string());
        }
        let store = builder.start().await.unwrap();
        tokio::spawn(watch(store.clone(), setup.seen));
        let entries = Payload::of(NodeSetup::BYTES).entries.into_iter();
        Self {
            address: match setup.advertise {
                Some(_) => listens,
                None => store.address().to_string(),
            },
            store,
            number: setup.number,
            entries: entries
                .map(|(name, value)| {
                    (
                        EntryName::new(&name).unwrap(),
                        JsonText::parse(value).unwrap(),
                    )
                })
                .collect(),
            counter: EntryName::new(COUNTER).unwrap(),
        }
    }

    /// The same for the same number: nothing has to be kept of sessions that are only written to.
    fn id(&self, number: usize) -> SessionId {
        let mut bytes = [0; 16];
        for (salt, half) in (1..).zip(bytes.chunks_exact_mut(8)) {
            let mut mixed = u64::wrapping_mul(salt, 0x9e37_79b9_7f4a_7c15);
            mixed = mixed.wrapping_add(((self.number << 48) + number) as u64);
            mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            half.copy_from_slice(&(mixed ^ mixed >> 31).to_be_bytes());
        }
        SessionId::from_bytes(bytes)
    }

    async fn apply(&self, number: usize, change: &Change) {
        let applied = self.store.apply(self.id(number), change, None).await;
        let applied = applied.unwrap();
        assert!(
            matches!(applied, Application::Applied { .. }),
            "a change was refused: {applied:?}"
        );
    }
}

/// Where nobody listens: a node that others reach elsewhere does not say where it listens itself.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Tells of changes as an application would learn of them: by the feed, and by a load.
async fn watch(store: ClusterStore, seen: Seen) {
    let mut feed = store.abilities().watch.unwrap().watch();
    while let Some(item) = feed.next().await {
        let FeedItem::Changed(id) = item else {
            continue;
        };
        if let Loaded::Live(record) = store.load(id, Freshness::Any).await.unwrap() {
            let mut entries = record.entries();
            if let Some((_, value)) = entries.find(|(name, _)| *name == COUNTER) {
                seen.note(value);
            }
        }
    }
}

#[async_trait::async_trait]
impl Replicated for Ours {
    fn address(&self) -> String {
        self.address.clone()
    }

    async fn ready(&self) {
        self.store.ready().await;
    }

    fn peers(&self) -> usize {
        let members = self.store.members();
        members
            .iter()
            .filter(|member| member.is_up && member.is_linked)
            .count()
    }

    fn sessions(&self) -> usize {
        self.store.usage().sessions
    }

    async fn make(&self, number: usize) {
        let record = NewRecord::new(SessionSecret::generate().hash(), Timeouts::default())
            .with_entries(self.entries.iter().cloned());
        self.store.create(self.id(number), &record).await.unwrap();
    }

    async fn write(&self, number: usize, value: &str) {
        let value = JsonText::parse(value).unwrap();
        let change = Change::new().set(self.counter.clone(), value);
        self.apply(number, &change).await;
    }

    async fn touch(&self, number: usize) {
        self.apply(number, &Change::new().touch()).await;
    }

    async fn end(&self, number: usize) {
        assert!(self.store.delete(self.id(number)).await.unwrap());
    }
}
