//! A cable between two nodes: it counts what passes, and can be cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What happens to what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cable {
    Whole,
    /// Connections are ended, and none is taken.
    Unplugged,
    /// Nothing passes, and nobody is told.
    Silent,
}

/// A cable to one node.
pub(super) struct Proxy {
    pub(super) addr: SocketAddr,
    shared: Arc<Shared>,
    _task: JoinSet<()>,
}

struct Shared {
    target: Mutex<Option<SocketAddr>>,
    /// To the node, and from it.
    bytes: [AtomicUsize; 2],
    cable: watch::Sender<Cable>,
}

impl Proxy {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target: Mutex::default(),
            bytes: [AtomicUsize::new(0), AtomicUsize::new(0)],
            cable: watch::Sender::new(Cable::Whole),
        });
        let mut task = JoinSet::new();
        let takes = Arc::clone(&shared);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(carry(Arc::clone(&takes), stream));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            addr,
            shared,
            _task: task,
        }
    }

    pub(super) fn lead_to(&self, target: SocketAddr) {
        *self.shared.target.lock() = Some(target);
    }

    pub(super) fn turn(&self, cable: Cable) {
        self.shared.cable.send_replace(cable);
    }

    /// Bytes that passed, to the node and from it.
    pub(super) fn passed(&self) -> [usize; 2] {
        let read = |bytes: &AtomicUsize| bytes.load(Ordering::Relaxed);
        [read(&self.shared.bytes[0]), read(&self.shared.bytes[1])]
    }
}

async fn carry(shared: Arc<Shared>, client: TcpStream) {
    let mut cable = shared.cable.subscribe();
    let target = *shared.target.lock();
    let (Some(target), Cable::Whole) = (target, *cable.borrow_and_update()) else {
        // One that is silent keeps whoever knocks waiting.
        let _ = cable.wait_for(|cable| *cable != Cable::Silent).await;
        return;
    };
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let ((client_in, client_out), (server_in, server_out)) =
        (client.into_split(), server.into_split());
    let moving = async {
        tokio::select! {
            () = pump(client_in, server_out, &shared, 0) => {}
            () = pump(server_in, client_out, &shared, 1) => {}
        }
    };
    tokio::select! {
        () = moving => {}
        _ = cable.wait_for(|cable| *cable == Cable::Unplugged) => {}
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    shared: &Shared,
    way: usize,
) {
    let mut cable = shared.cable.subscribe();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        let _ = cable.wait_for(|cable| *cable != Cable::Silent).await;
        if to.write_all(&buffer[..len]).await.is_err() {
            return;
        }
        shared.bytes[way].fetch_add(len, Ordering::Relaxed);
    }
}
