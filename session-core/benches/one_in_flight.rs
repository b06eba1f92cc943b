//! What coalescing costs an operation that is alone: round trips to an echo over TCP, straight by the
//! transport and through a coalescer, one in flight.
//!
//! `cargo bench -p session-core --bench one_in_flight` prints the median round trip of each, and the median of
//! their ratios in rounds that take turns.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a benchmark measures time, and may stop at what it does not expect"
)]

use std::time::{Duration, Instant};

use session_core::{
    Applied, BatchFailure, Coalescer, Coalescing, Deadline, ErrorKind, SessionId, StoreError,
    Transport,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

const ROUNDS: usize = 41;
const CALLS: usize = 2_000;
const LIMIT: Duration = Duration::from_secs(5);

/// A connection to somebody who says everything again.
struct Echo(Mutex<TcpStream>);

impl Echo {
    async fn connect() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut word = [0; 8];
                while stream.read_exact(&mut word).await.is_ok() {
                    stream.write_all(&word).await.unwrap();
                }
            });
        });
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(Mutex::new(stream))
    }

    async fn round_trip(&self, word: u64) -> std::io::Result<u64> {
        let mut stream = self.0.lock().await;
        stream.write_all(&word.to_be_bytes()).await?;
        stream.read_u64().await
    }
}

impl Transport for Echo {
    type Operation = u64;
    type Answer = u64;
    type Line = ();

    fn store(&self) -> &'static str {
        "echo"
    }

    fn in_doubt(&self) -> Applied {
        Applied::No
    }

    fn bytes(&self, _: &u64) -> usize {
        8
    }

    fn session(&self, _: &u64) -> Option<SessionId> {
        None
    }

    async fn line(&self, _: Deadline) -> Result<(), StoreError> {
        Ok(())
    }

    async fn send(
        &self,
        (): (),
        words: &[u64],
    ) -> Result<Vec<Result<u64, StoreError>>, BatchFailure> {
        let mut answers = Vec::with_capacity(words.len());
        for word in words {
            let answer = self.round_trip(*word).await;
            answers.push(
                answer.map_err(|error| {
                    StoreError::new("echo", ErrorKind::Unavailable).because(error)
                }),
            );
        }
        Ok(answers)
    }
}

/// The median time of a round's calls, in nanoseconds.
async fn round(call: impl AsyncFn(u64) -> u64) -> u128 {
    let mut times = Vec::with_capacity(CALLS);
    for word in 0..CALLS as u64 {
        let begun = Instant::now();
        assert_eq!(call(word).await, word);
        times.push(begun.elapsed().as_nanos());
    }
    median(times)
}

fn median(mut times: Vec<u128>) -> u128 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let coalescer = Coalescer::new(Echo::connect().await, Coalescing::default());
    let straight = async |word| {
        let sending = coalescer.transport().round_trip(word);
        // As any store does without coalescing: within the time limit of the call.
        Deadline::after(LIMIT)
            .within(sending)
            .await
            .unwrap()
            .unwrap()
    };
    let coalesced = async |word| coalescer.call(word, Deadline::after(LIMIT)).await.unwrap();
    let (mut without, mut with, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..ROUNDS {
        let (one, other) = if number % 2 == 0 {
            let one = round(straight).await;
            (one, round(coalesced).await)
        } else {
            let other = round(coalesced).await;
            (round(straight).await, other)
        };
        without.push(one);
        with.push(other);
        ratios.push(other * 1_000 / one.max(1));
    }
    println!(
        "straight {} ns, coalesced {} ns: {} per mille",
        median(without),
        median(with),
        median(ratios)
    );
}
