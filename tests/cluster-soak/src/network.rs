//! A network of its own for each node, and what goes wrong between them.
//!
//! Each node has a network namespace with one address; all are ports of one bridge, which is in a namespace
//! as well, so that nothing of the machine's own network is touched. A namespace has no name: it lasts as
//! long as a process is in it.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Keeps a namespace for as long as its input is open, which the system closes when the process that holds
/// it is gone, however that ends; then kills what is left in the namespace, even if it stands still, and
/// removes the folder that it is given.
const KEEPER: &str = r#"
mine=$(readlink /proc/$$/ns/net)
ip link set lo up && echo kept || exit
cat >/dev/null
for each in /proc/[0-9]*; do
    pid=${each#/proc/}
    if [ "$pid" != $$ ] && [ "$(readlink "$each/ns/net" 2>/dev/null)" = "$mine" ]; then
        kill -KILL "$pid" 2>/dev/null
    fi
done
[ -z "$1" ] || rm -rf "$1"
"#;

/// What a run needs, and the Debian package of each.
const PROGRAMS: [(&str, &str); 5] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("iptables", "iptables"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
];

/// The nodes' networks, and the bridge between them.
#[derive(Debug)]
pub(crate) struct Network {
    bridge: Namespace,
    nodes: Vec<Namespace>,
}

/// A namespace. Dropped, or left behind by a process that died, it goes with all that runs in it.
#[derive(Debug)]
struct Namespace {
    pid: u32,
    _keeper: Child,
}

/// Why no run is possible here, if so.
pub async fn why_not() -> Option<String> {
    let folders = search_path();
    let folders: Vec<_> = std::env::split_paths(&folders).collect();
    for (program, package) in PROGRAMS {
        if !folders.iter().any(|folder| folder.join(program).is_file()) {
            return Some(format!(
                "{program} is not there: Debian's package {package}"
            ));
        }
    }
    let tried = async {
        let network = Network::make(2, None).await?;
        network.lose(0, 5).await?;
        network.slow_down(1).await
    };
    let error = tried.await.err()?;
    Some(format!(
        "network namespaces cannot be made, for which one must be root: {error}"
    ))
}

/// Where programs are looked for: administrators' too, which not every `PATH` has.
fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

impl Namespace {
    /// A new one. With the last of its processes goes `folder`.
    async fn make(folder: Option<&Path>) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("unshare: {error}");
        let mut keeper = Command::new("unshare")
            .env("PATH", search_path())
            .args(["--net", "sh", "-c", KEEPER, "keeper"])
            .args(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // What ends a terminal's whole process group does not reach it.
            .process_group(0)
            .spawn()
            .map_err(told)?;
        let pid = keeper.id().ok_or("unshare has ended")?;
        let mut said = String::new();
        let output = keeper.stdout.take().ok_or("no output")?;
        let mut output = BufReader::new(output);
        output.read_line(&mut said).await.map_err(told)?;
        match said.trim_end() {
            "kept" => Ok(Self {
                pid,
                _keeper: keeper,
            }),
            _ => Err("unshare --net fails".to_owned()),
        }
    }

    /// `program` within it.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.pid));
        command.arg(program).env("PATH", search_path());
        command
    }

    async fn run(&self, line: &str) -> Result<(), String> {
        let mut words = line.split(' ');
        let program = words.next().unwrap_or_default();
        let output = self
            .command(Path::new(program))
            .args(words)
            .stdin(Stdio::null())
            .output()
            .await;
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr);
                Err(format!("{line}: {}", why.trim()))
            }
            Err(error) => Err(format!("{line}: {error}")),
        }
    }
}

impl Network {
    /// A network of so many nodes. With it goes `folder`, where they keep what they have.
    ///
    /// # Errors
    ///
    /// If that is not possible here.
    pub(crate) async fn make(nodes: usize, folder: Option<&Path>) -> Result<Self, String> {
        let bridge = Namespace::make(folder).await?;
        bridge.run("ip link add bridge type bridge").await?;
        bridge.run("ip link set bridge up").await?;
        let mut network = Self {
            bridge,
            nodes: Vec::new(),
        };
        for number in 0..nodes {
            let node = Namespace::make(None).await?;
            let bridge = &network.bridge;
            let pid = node.pid;
            let port = format!("ip link add port{number} type veth peer name eth0 netns {pid}");
            bridge.run(&port).await?;
            let join = format!("ip link set port{number} master bridge up");
            bridge.run(&join).await?;
            let address = format!("ip address add {}/24 dev eth0", address(number));
            node.run(&address).await?;
            node.run("ip link set eth0 up").await?;
            network.nodes.push(node);
        }
        Ok(network)
    }

    /// `program` in the network of a node.
    pub(crate) fn command(&self, node: usize, program: &Path) -> Command {
        self.nodes[node].command(program)
    }

    /// Lets nothing that `from` sends reach `to`.
    pub(crate) async fn cut(&self, from: usize, to: usize) -> Result<(), String> {
        let rule = format!("iptables -w -A INPUT -s {} -j DROP", address(from));
        self.nodes[to].run(&rule).await
    }

    /// Loses so many of a hundred packets that a node is sent.
    pub(crate) async fn lose(&self, to: usize, percent: usize) -> Result<(), String> {
        let rule = format!(
            "iptables -w -A INPUT -i eth0 -m statistic --mode random --probability 0.{percent:02} -j DROP"
        );
        self.nodes[to].run(&rule).await
    }

    /// Lets everything through again.
    pub(crate) async fn heal(&self) -> Result<(), String> {
        for node in &self.nodes {
            node.run("iptables -w -F INPUT").await?;
        }
        Ok(())
    }

    /// Gives a node 1 Mbit/s in each direction.
    pub(crate) async fn slow_down(&self, node: usize) -> Result<(), String> {
        let slow = "root tbf rate 1mbit burst 16kb latency 400ms";
        let out = format!("tc qdisc add dev eth0 {slow}");
        self.nodes[node].run(&out).await?;
        let back = format!("tc qdisc add dev port{node} {slow}");
        self.bridge.run(&back).await
    }

    /// Takes that back.
    pub(crate) async fn speed_up(&self, node: usize) -> Result<(), String> {
        self.nodes[node].run("tc qdisc del dev eth0 root").await?;
        let back = format!("tc qdisc del dev port{node} root");
        self.bridge.run(&back).await
    }
}

/// A node's address, which no other network has to do with.
pub(crate) fn address(node: usize) -> String {
    format!("10.77.0.{}", node + 1)
}
