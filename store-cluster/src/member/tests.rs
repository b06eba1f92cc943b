//! Tests of the membership over real links on this machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use session_core::{Clock, Revision, SystemClock};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Event, Membership, Roster, Seeds};
use crate::core::Presence;
use crate::net::{
    Agreed, Frame, Local, Mesh, NodeName, Peer, Refusal, Security, Terms, Traffic, Unfit, listen,
};

/// Carries the membership and nothing else.
struct Members {
    roster: Arc<Mutex<Roster>>,
    events: mpsc::Sender<Event>,
    heard: Arc<Mutex<Vec<Bytes>>>,
}

impl Members {
    fn happened(&self, event: Event) {
        let _ = self.events.try_send(event);
    }
}

impl Traffic for Members {
    fn admits(&self, peer: &Peer) -> Result<(), Refusal> {
        self.roster.lock().admits(peer)
    }

    fn found(&self, peer: &Peer) {
        self.happened(Event::Found(peer.clone()));
    }

    fn left(&self, peer: &Peer) {
        self.happened(Event::Left(peer.clone()));
    }

    fn datagram(&self, datagram: Bytes) {
        self.heard.lock().push(datagram.clone());
        self.happened(Event::Datagram(datagram));
    }

    fn opened(&self, _: &Peer, _: Agreed) {}

    fn closed(&self, _: &Peer) {}

    fn fill(&self, _: &Peer, _: &mut Vec<u8>) {}

    fn received(&self, _: &Peer, _: Frame) -> Result<(), Unfit> {
        Ok(())
    }
}

struct Node {
    peer: Peer,
    mesh: Arc<Mesh>,
    events: mpsc::Sender<Event>,
    told: Arc<Mutex<Vec<(u64, Presence)>>>,
    heard: Arc<Mutex<Vec<Bytes>>>,
    _tasks: JoinSet<()>,
}

impl Node {
    fn start(addr: &str, name: &str, seeds: &[SocketAddr]) -> Self {
        let listener = listen(addr.parse().unwrap()).unwrap();
        let addr = listener.local_addr().unwrap();
        let incarnation = Revision::random().to_u64();
        let name = NodeName::new(name).unwrap();
        let peer = Peer::new(name, incarnation, SystemClock.now(), addr);
        let mesh = Mesh::new(Local {
            cluster: "shop".into(),
            peer: peer.clone(),
            terms: Terms {
                sharding: [1; 8],
                ticket_life: Duration::from_secs(600),
                max_skew: Duration::from_secs(10),
            },
            versions: crate::wire::OLDEST..=crate::wire::VERSION,
            features: 0,
            clock: Arc::new(SystemClock),
            security: Security::Plaintext,
        });
        let roster = Arc::new(Mutex::new(Roster::default()));
        let (events, received) = mpsc::channel(1_024);
        let seeds: Vec<_> = seeds.iter().map(ToString::to_string).collect();
        let seeds = Arc::new(Seeds::parse(seeds.iter().map(String::as_str)).unwrap());
        let told: Arc<Mutex<Vec<_>>> = Arc::default();
        let tell = {
            let told = Arc::clone(&told);
            move |peer: &Peer, presence| told.lock().push((peer.incarnation, presence))
        };
        let membership = Membership::new(
            Arc::clone(&mesh),
            Arc::clone(&roster),
            seeds,
            Box::new(tell),
        );
        let heard: Arc<Mutex<Vec<_>>> = Arc::default();
        let traffic = Members {
            roster,
            events: events.clone(),
            heard: Arc::clone(&heard),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&mesh).run(listener, Arc::new(traffic)));
        tasks.spawn(membership.run(received));
        Self {
            peer,
            mesh,
            events,
            told,
            heard,
            _tasks: tasks,
        }
    }

    async fn sees(&self, other: &Peer, presence: Presence) {
        let last = || {
            let told = self.told.lock();
            let of_other = |(incarnation, _): &&(u64, _)| *incarnation == other.incarnation;
            told.iter().rfind(of_other).map(|(_, presence)| *presence)
        };
        let waiting = async {
            while last() != Some(presence) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = timeout(Duration::from_secs(30), waiting).await;
        assert!(
            waited.is_ok(),
            "{:?} sees {other:?} {:?}",
            self.peer,
            last()
        );
    }

    async fn leaves(&self) {
        let (done, is_done) = oneshot::channel();
        self.events.send(Event::Leave(done)).await.unwrap();
        is_done.await.unwrap();
        self.mesh.say_goodbye(Duration::from_secs(10)).await;
    }
}

/// Three nodes: the second and the third know the first.
async fn three() -> [Node; 3] {
    let one = Node::start("127.0.0.1:0", "one", &[]);
    let seeds = [one.peer.addr];
    let two = Node::start("127.0.0.1:0", "two", &seeds);
    let three = Node::start("127.0.0.1:0", "three", &seeds);
    let nodes = [one, two, three];
    for node in &nodes {
        for other in &nodes {
            if node.peer != other.peer {
                node.sees(&other.peer, Presence::Up).await;
            }
        }
    }
    nodes
}

#[tokio::test]
async fn nodes_that_know_one_of_them_find_all() {
    three().await;
}

#[tokio::test]
async fn a_node_that_ends_is_down_and_one_that_is_started_in_its_place_makes_it_gone() {
    let [one, two, three] = three().await;
    let (gone, addr) = (three.peer.clone(), three.peer.addr.to_string());
    drop(three);
    one.sees(&gone, Presence::Down).await;
    two.sees(&gone, Presence::Down).await;
    let three = Node::start(&addr, "three", &[two.peer.addr]);
    for node in [&one, &two] {
        node.sees(&gone, Presence::Gone).await;
        node.sees(&three.peer, Presence::Up).await;
        three.sees(&node.peer, Presence::Up).await;
    }
}

#[tokio::test]
async fn a_node_that_leaves_is_gone_and_one_that_is_down_can_be_forgotten() {
    let [one, two, three] = three().await;
    let forget = async |node: &Peer| {
        let (done, is_done) = oneshot::channel();
        let event = Event::Forget(node.node.clone(), done);
        one.events.send(event).await.unwrap();
        is_done.await.unwrap()
    };
    two.leaves().await;
    one.sees(&two.peer, Presence::Gone).await;
    three.sees(&two.peer, Presence::Gone).await;
    assert!(!forget(&three.peer).await, "it is up");
    let gone = three.peer.clone();
    drop(three);
    one.sees(&gone, Presence::Down).await;
    assert!(forget(&gone).await);
    one.sees(&gone, Presence::Gone).await;
}

#[tokio::test]
async fn the_first_node_is_found_again_by_those_that_outlive_it() {
    let [one, two, three] = three().await;
    let (gone, addr) = (one.peer.clone(), one.peer.addr.to_string());
    drop(one);
    two.sees(&gone, Presence::Down).await;
    three.sees(&gone, Presence::Down).await;
    // It knows nobody; the others go on looking at its address.
    let one = Node::start(&addr, "one", &[]);
    for node in [&two, &three] {
        node.sees(&one.peer, Presence::Up).await;
        one.sees(&node.peer, Presence::Up).await;
    }
}

/// What a member sends passes no check but its certificate.
#[tokio::test]
async fn damaged_datagrams_break_nothing() {
    let [one, two, three] = three().await;
    let seed = 20_261_125_u64;
    println!("seed {seed}");
    let mut state = seed;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % below.max(1)
    };
    let heard = one.heard.lock().clone();
    assert!(!heard.is_empty());
    for _ in 0..20_000 {
        let mut datagram = heard[random(heard.len())].to_vec();
        for _ in 0..=random(3) {
            let at = random(datagram.len());
            match random(3) {
                0 => datagram.truncate(at),
                1 => datagram.insert(at, u8::try_from(random(256)).unwrap()),
                _ => {
                    if let Some(byte) = datagram.get_mut(at) {
                        *byte ^= 1 << random(8);
                    }
                }
            }
        }
        one.events
            .send(Event::Datagram(datagram.into()))
            .await
            .unwrap();
    }
    drop((two, three));
    let four = Node::start("127.0.0.1:0", "four", &[one.peer.addr]);
    one.sees(&four.peer, Presence::Up).await;
    four.sees(&one.peer, Presence::Up).await;
}
