//! What is done to a server, and to the way there.

use std::time::Duration;

use store_postgres::sqlx::{Connection as _, Executor as _, PgConnection, raw_sql};
use tokio::time::sleep;

use crate::proxy::{Proxy, Traffic};
use crate::rng::Rng;
use crate::target::{Durability, Kind, Machine};

/// One outage, from its beginning to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server stands still for so long.
    Stopped(Duration),
    /// The server is killed, and started again after so long.
    Killed(Duration),
    /// All connections are cut.
    Cut,
    /// The server closes all connections.
    Dismissed,
    /// The traffic of all clients, or of one of them, suffers for so long.
    Suffers(Traffic, Option<usize>, Duration),
    /// The server takes no more data for so long.
    Full(Duration),
    /// The server only lets itself be read for so long.
    ReadOnly(Duration),
    /// Somebody else holds the lock on all sessions for so long.
    Locked(Duration),
    /// The server forgets the scripts that it knew.
    ForgetsScripts,
    /// The server keeps a copy of its data, which the next crash brings back.
    Copied,
}

impl Fault {
    /// A fault that the server survives with all that it acknowledged, if it is durable.
    pub fn random(rng: &mut Rng, kind: Kind, durability: Durability) -> Self {
        let pause = rng.millis(200, 2500);
        let is_redis = kind == Kind::Redis;
        if durability == Durability::Lossy && rng.one_in(2) {
            return match is_redis && rng.one_in(2) {
                true => Self::Copied,
                false => Self::Killed(pause / 4),
            };
        }
        match rng.below(12) {
            0 | 1 => Self::Stopped(pause),
            2 | 3 => Self::Killed(pause / 4),
            4 => Self::Cut,
            5 => Self::Dismissed,
            6 if is_redis => Self::Full(pause),
            7 => Self::ReadOnly(pause),
            8 if is_redis => Self::ForgetsScripts,
            8 => Self::Locked(pause),
            _ => {
                let client = (!rng.one_in(3)).then(|| rng.below(2));
                let delay = rng.millis(20, 1500);
                let after = rng.below(400);
                let traffic = [
                    Traffic::Delayed(delay),
                    Traffic::Unanswered,
                    Traffic::Swallowed,
                    Traffic::RequestCut(after),
                    Traffic::AnswerCut(after / 8),
                    Traffic::Refused,
                ];
                let traffic = rng.pick(&traffic).copied().unwrap_or(Traffic::Refused);
                Self::Suffers(traffic, client, pause)
            }
        }
    }

    /// One word for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Stopped(_) => "stopped",
            Self::Killed(_) => "killed",
            Self::Cut => "cut",
            Self::Dismissed => "dismissed",
            Self::Suffers(Traffic::Delayed(_), ..) => "delayed",
            Self::Suffers(Traffic::Unanswered, ..) => "unanswered",
            Self::Suffers(Traffic::Swallowed, ..) => "swallowed",
            Self::Suffers(Traffic::RequestCut(_), ..) => "request cut",
            Self::Suffers(Traffic::AnswerCut(_), ..) => "answer cut",
            Self::Suffers(..) => "refused",
            Self::Full(_) => "full",
            Self::ReadOnly(_) => "read-only",
            Self::Locked(_) => "locked",
            Self::ForgetsScripts => "scripts forgotten",
            Self::Copied => "copied",
        }
    }

    /// Brings it about, and ends it.
    ///
    /// # Panics
    ///
    /// If the server cannot be told to.
    pub async fn happen(self, machine: &mut Machine, proxies: &[Proxy]) {
        match self {
            Self::Stopped(time) => {
                machine.pause();
                sleep(time).await;
                machine.resume();
            }
            Self::Killed(time) => {
                machine.kill();
                sleep(time).await;
                machine.restart();
            }
            Self::Cut => proxies.iter().for_each(Proxy::cut),
            Self::Suffers(traffic, client, time) => {
                let chosen = || {
                    let all = proxies.iter().enumerate();
                    all.filter(|(at, _)| client.is_none_or(|client| client == *at))
                };
                chosen().for_each(|(_, proxy)| proxy.set(traffic));
                sleep(time).await;
                chosen().for_each(|(_, proxy)| proxy.set(Traffic::Passes));
                if traffic != Traffic::Refused {
                    // An answer that was swallowed leaves its connection without a beginning.
                    chosen().for_each(|(_, proxy)| proxy.cut());
                }
            }
            _ => match machine {
                Machine::Redis(_) => self.happen_to_redis(machine).await,
                Machine::Postgres(_) => self.happen_to_postgres(&machine.url()).await,
            },
        }
    }

    async fn happen_to_redis(self, machine: &Machine) {
        let done = |words: &[&str]| {
            let answer = machine.ask(words);
            assert!(!answer.starts_with('-'), "{words:?}: {answer}");
        };
        match self {
            Self::Dismissed => done(&["CLIENT", "KILL", "TYPE", "normal"]),
            Self::ForgetsScripts => done(&["SCRIPT", "FLUSH"]),
            Self::Copied => done(&["SAVE"]),
            Self::Full(time) => {
                done(&["CONFIG", "SET", "maxmemory", "1"]);
                sleep(time).await;
                done(&["CONFIG", "SET", "maxmemory", "0"]);
            }
            Self::ReadOnly(time) => {
                // It follows a server that is not there, and keeps what it has.
                done(&["REPLICAOF", "127.0.0.1", "1"]);
                sleep(time).await;
                done(&["REPLICAOF", "NO", "ONE"]);
            }
            _ => {}
        }
    }

    async fn happen_to_postgres(self, url: &str) {
        let mut admin = PgConnection::connect(url).await.unwrap();
        let run = async |admin: &mut PgConnection, sql: &'static str| {
            admin.execute(raw_sql(sql)).await.unwrap();
        };
        match self {
            Self::Dismissed => {
                let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
                run(&mut admin, sql).await;
            }
            Self::ReadOnly(time) => {
                run(&mut admin, "SET default_transaction_read_only = off").await;
                let on = "ALTER SYSTEM SET default_transaction_read_only = on";
                run(&mut admin, on).await;
                run(&mut admin, "SELECT pg_reload_conf()").await;
                sleep(time).await;
                let off = "ALTER SYSTEM RESET default_transaction_read_only";
                run(&mut admin, off).await;
                run(&mut admin, "SELECT pg_reload_conf()").await;
            }
            Self::Locked(time) => {
                let lock = "BEGIN; LOCK TABLE session_records IN ACCESS EXCLUSIVE MODE";
                run(&mut admin, lock).await;
                sleep(time).await;
                run(&mut admin, "ROLLBACK").await;
            }
            _ => {}
        }
        let _ = admin.close().await;
    }
}
