//! A TCP proxy that does to the traffic between a store and its server what networks do.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of what passes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// It passes.
    Passes,
    /// Each piece waits so long first, also one whose sender has gone meanwhile.
    Delayed(Duration),
    /// What clients send arrives, and no answer comes back.
    Unanswered,
    /// Nothing arrives, either way.
    Swallowed,
    /// The next piece that a client sends is cut off after so many bytes, and the connection with it.
    RequestCut(usize),
    /// The next piece of an answer is cut off after so many bytes, and the connection with it.
    AnswerCut(usize),
    /// Connections are cut at once, and new ones as soon as they are made.
    Refused,
}

/// A proxy on a port of its own. Dropped, it cuts its connections and ends.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    traffic: watch::Sender<Traffic>,
    cuts: watch::Sender<u64>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Starts one in front of a port of this machine. Everything passes at first.
    ///
    /// # Panics
    ///
    /// If no port is free.
    pub async fn start(server: u16) -> Self {
        Self::listening(server, None).await
    }

    async fn listening(server: u16, word: Option<&'static str>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (traffic, _) = watch::channel(Traffic::Passes);
        let (cuts, _) = watch::channel(0);
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, server));
        let listening = tokio::spawn(listen(
            listener,
            server,
            traffic.clone(),
            cuts.clone(),
            word,
        ));
        Self {
            port,
            traffic,
            cuts,
            listening,
        }
    }

    /// The port that it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// As [`start`](Self::start), for some connections alone: those on which a client has sent `word`. All
    /// others pass.
    ///
    /// # Panics
    ///
    /// If no port is free.
    pub async fn start_for(server: u16, word: &'static str) -> Self {
        Self::listening(server, Some(word)).await
    }

    /// Says what becomes of the traffic from now on.
    pub fn set(&self, traffic: Traffic) {
        self.traffic.send_replace(traffic);
        if traffic == Traffic::Refused {
            self.cut();
        }
    }

    /// Cuts all connections that there are now.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

async fn listen(
    listener: TcpListener,
    server: SocketAddr,
    traffic: watch::Sender<Traffic>,
    cuts: watch::Sender<u64>,
    word: Option<&'static str>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let (traffic, mut cuts) = (traffic.clone(), cuts.subscribe());
        if word.is_none() && *traffic.borrow() == Traffic::Refused {
            continue;
        }
        tokio::spawn(async move {
            let line = Line {
                traffic,
                word,
                is_meant: AtomicBool::new(word.is_none()),
            };
            let Ok(server) = TcpStream::connect(server).await else {
                return;
            };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let both = async {
                let requests = pump(from_client, to_server, &line, Way::Request);
                let answers = pump(from_server, to_client, &line, Way::Answer);
                // What a client sent before it went may still be on its way; with the server's end there
                // is nobody left to bring it to.
                tokio::select! {
                    () = answers => {}
                    () = async { requests.await; std::future::pending().await } => {}
                }
            };
            let cut = async {
                while cuts.changed().await.is_ok() {
                    if line.is_meant.load(Ordering::SeqCst) {
                        return;
                    }
                }
            };
            tokio::select! {
                () = both => {}
                () = cut => {}
            }
        });
    }
}

/// One connection: whether it is meant, and what becomes of what passes if it is.
struct Line {
    traffic: watch::Sender<Traffic>,
    word: Option<&'static str>,
    is_meant: AtomicBool,
}

impl Line {
    /// What becomes of a piece that comes this way.
    fn now(&self, piece: &[u8], way: Way) -> Traffic {
        if let Some(word) = self.word
            && way == Way::Request
            && piece
                .windows(word.len())
                .any(|part| part == word.as_bytes())
        {
            self.is_meant.store(true, Ordering::SeqCst);
        }
        match self.is_meant.load(Ordering::SeqCst) {
            true => *self.traffic.borrow(),
            false => Traffic::Passes,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Answer,
}

/// Carries bytes one way until either end has gone; then closes the other.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, line: &Line, way: Way) {
    let mut piece = vec![0; 64 << 10];
    loop {
        let length = match from.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        let mut piece = piece.get(..length).unwrap_or_default();
        let mut is_last = false;
        let now = line.now(piece, way);
        match (now, way) {
            (Traffic::Passes | Traffic::RequestCut(_), Way::Answer)
            | (Traffic::Passes | Traffic::Unanswered | Traffic::AnswerCut(_), Way::Request) => {}
            (Traffic::Delayed(time), _) => tokio::time::sleep(time).await,
            (Traffic::Unanswered, Way::Answer) | (Traffic::Swallowed, _) => continue,
            (Traffic::RequestCut(after), Way::Request)
            | (Traffic::AnswerCut(after), Way::Answer) => {
                // One connection is cut; the others, and the next ones, pass.
                let is_mine = line.traffic.send_if_modified(|current| {
                    let is_mine = *current == now;
                    if is_mine {
                        *current = Traffic::Passes;
                    }
                    is_mine
                });
                if is_mine {
                    piece = piece.get(..after).unwrap_or(piece);
                    is_last = true;
                }
            }
            (Traffic::Refused, _) => break,
        }
        if to.write_all(piece).await.is_err() || is_last {
            break;
        }
    }
    let _ = to.shutdown().await;
}
