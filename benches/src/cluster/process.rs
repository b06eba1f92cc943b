//! The processes of a cluster, from the side of who measures them.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::node::{NodeSetup, Order, Reply, Seen};
use super::{ClusterContender, Run};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(300);

/// One authority's certificate and one node's, with its key. All nodes show the same.
pub(super) struct Authority([String; 3]);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([NodeSetup::NAME.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Self([authority.pem(), certificate.pem(), key.serialize_pem()])
    }
}

/// A node in a process of its own, which ends with this.
pub(super) struct Node {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    pub(super) address: String,
}

impl Node {
    async fn start(
        run: &Run<'_>,
        contender: &ClusterContender,
        number: usize,
        joins: Vec<String>,
        options: Options,
    ) -> Self {
        let mut child = Command::new(run.program)
            .arg("--node")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut node = Self {
            child,
            stdin: stdin.unwrap(),
            lines: BufReader::new(stdout.unwrap()).lines(),
            address: String::new(),
        };
        let setup = NodeSetup {
            number,
            joins,
            advertise: options.advertise,
            waits: options.waits,
            tls: run.authority.0.clone(),
            seen: Seen::default(),
            contender: contender.name.to_owned(),
        };
        node.say(&serde_json::to_string(&setup).unwrap()).await;
        let Reply::Open(address) = node.answer().await else {
            panic!("a node answers with its address first");
        };
        node.address = address;
        node
    }

    async fn say(&mut self, line: &str) {
        self.stdin.write_all(line.as_bytes()).await.unwrap();
        self.stdin.write_all(b"\n").await.unwrap();
    }

    async fn answer(&mut self) -> Reply {
        let line = timeout(LIMIT, self.lines.next_line()).await;
        let line = line.expect("a node answers in time").unwrap();
        serde_json::from_str(&line.expect("a node lives")).unwrap()
    }

    /// Has it do something, and waits until it is done.
    pub(super) async fn order(&mut self, order: Order) -> Reply {
        self.say(&serde_json::to_string(&order).unwrap()).await;
        self.answer().await
    }

    /// Waits until something is so. Says when it was.
    pub(super) async fn at(&mut self, order: Order) -> u64 {
        match self.order(order).await {
            Reply::At(micros) => micros,
            other => panic!("{other:?} is no answer to {order:?}"),
        }
    }

    pub(super) async fn flood(&mut self, order: Order) -> (f64, f64) {
        match self.order(order).await {
            Reply::Rate(calls, seconds) => (f64::from(u32::try_from(calls).unwrap()), seconds),
            other => panic!("{other:?} is no answer to {order:?}"),
        }
    }

    /// Sends its process a signal.
    pub(super) fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill")
            .args([name, &id])
            .status();
        assert!(sent.unwrap().success(), "kill {name} {id}");
    }
}

/// How a node differs from others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    pub(super) advertise: Option<SocketAddr>,
    pub(super) waits: bool,
}

impl Run<'_> {
    /// Starts one more node than those that run.
    pub(super) async fn start(
        &self,
        contender: &ClusterContender,
        nodes: &[Node],
        options: Options,
    ) -> Node {
        let joins = nodes.iter().map(|node| node.address.clone()).collect();
        Node::start(self, contender, nodes.len(), joins, options).await
    }

    /// The same, and waits until it holds what they hold.
    pub(super) async fn join(
        &self,
        contender: &ClusterContender,
        nodes: &[Node],
        options: Options,
    ) -> Node {
        let mut node = self.start(contender, nodes, options).await;
        node.order(Order::Ready).await;
        node
    }

    /// Starts a whole cluster, and waits until everybody reaches everybody. The last one is to write.
    pub(super) async fn cluster(
        &self,
        contender: &ClusterContender,
        count: usize,
        options: Options,
    ) -> Vec<Node> {
        let mut nodes: Vec<Node> = Vec::new();
        for _ in 0..count {
            nodes.push(self.join(contender, &nodes, options).await);
        }
        met(&mut nodes).await;
        nodes
    }

    /// Those that keep sessions.
    pub(super) fn keepers(&self) -> impl Iterator<Item = &ClusterContender> {
        self.contenders.iter().filter(|it| it.keeps)
    }

    /// Our own store.
    pub(super) fn ours(&self) -> &ClusterContender {
        self.contenders
            .iter()
            .find(|it| it.role == crate::subject::Role::Ours)
            .unwrap()
    }
}

/// Waits until everybody reaches everybody.
pub(super) async fn met(nodes: &mut [Node]) {
    let others = nodes.len() - 1;
    for node in nodes {
        node.at(Order::Met(others)).await;
    }
}
