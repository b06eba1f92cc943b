//! A node of the cluster: it does what its input says, and ends with it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use session_core::{
    Admission, Application, Applied, Change, Clock, Creation, EntryName, Freshness, JsonText,
    LimitPolicy, Loaded, NewRecord, Renewal, SessionId, SessionStore, SignInLimit, StoreError,
    Subject, SystemClock, Timeouts, Timestamp,
};
use store_cluster::{ClusterStore, Credentials, WriteAck};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::{Semaphore, mpsc};

use crate::authority::CLUSTER;
use crate::order::{Answer, Numbered, Order, Sight, Standing, secret};

/// How many orders are under way at most.
const ORDERS: usize = 4096;

/// What a node is told when it is started.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Its name
    #[arg(long)]
    pub name: String,
    /// Where it listens
    #[arg(long)]
    pub listen: String,
    /// Where the others are
    #[arg(long)]
    pub seed: Vec<String>,
    /// The certificate of the authority
    #[arg(long)]
    pub authority: PathBuf,
    /// Its own certificate
    #[arg(long)]
    pub certificate: PathBuf,
    /// The key of that
    #[arg(long)]
    pub key: PathBuf,
    /// Let changes wait for no other node
    #[arg(long)]
    pub local: bool,
    /// Speak no later version than this
    #[arg(long)]
    pub wire: Option<u8>,
    /// By how many milliseconds its clock differs from the machine's
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub clock: i64,
}

/// The machine's clock, and how far this node's is off.
#[derive(Clone, Debug)]
struct Stepped(Arc<AtomicI64>);

impl Clock for Stepped {
    fn now(&self) -> Timestamp {
        SystemClock.now().shifted(self.0.load(Ordering::Relaxed))
    }
}

/// Runs a node until its input ends, or it has left.
///
/// # Errors
///
/// If it cannot be started.
pub async fn serve(options: &Options) -> Result<(), String> {
    let offset = Arc::new(AtomicI64::new(options.clock));
    let mut builder = ClusterStore::builder(CLUSTER)
        .listen(&options.listen)
        .node(&options.name)
        .seeds(options.seed.iter().map(String::as_str))
        .credentials(Credentials::files(
            &options.authority,
            &options.certificate,
            &options.key,
        ))
        .clock(Stepped(Arc::clone(&offset)));
    if options.local {
        builder = builder.acknowledge(WriteAck::Local);
    }
    if let Some(version) = options.wire {
        builder = builder.wire_version(version);
    }
    let store = builder.start().await.map_err(|error| told(&error))?;
    let (answers, to_write) = mpsc::unbounded_channel();
    let writing = tokio::spawn(write(to_write));
    let room = Arc::new(Semaphore::new(ORDERS));
    let mut input = BufReader::with_capacity(64 << 10, tokio::io::stdin()).lines();
    while let Ok(Some(line)) = input.next_line().await {
        let Numbered { number, what } = serde_json::from_str(&line)
            .map_err(|error| format!("{line:?} is no order: {error}"))?;
        let is_last = matches!(what, Order::Leave);
        let place = Arc::clone(&room).acquire_owned().await;
        let (store, answers, offset) = (store.clone(), answers.clone(), Arc::clone(&offset));
        let doing = tokio::spawn(async move {
            let what = follow(&store, what, &offset).await;
            // Who asked may be gone.
            let _ = answers.send(Numbered { number, what });
            drop(place);
        });
        if is_last {
            let _ = doing.await;
            break;
        }
    }
    drop(answers);
    writing.await.map_err(|error| error.to_string())
}

/// Writes answers, as many at once as there are.
async fn write(mut answers: mpsc::UnboundedReceiver<Numbered<Answer>>) {
    let mut output = tokio::io::stdout();
    let mut ready = Vec::new();
    while answers.recv_many(&mut ready, 256).await > 0 {
        let mut bytes = Vec::new();
        for answer in ready.drain(..) {
            serde_json::to_writer(&mut bytes, &answer).expect("an answer");
            bytes.push(b'\n');
        }
        if output.write_all(&bytes).await.is_err() || output.flush().await.is_err() {
            return;
        }
    }
}

async fn follow(store: &ClusterStore, order: Order, offset: &AtomicI64) -> Answer {
    let done = match order {
        Order::Standing => Ok(Answer::Standing(standing(store))),
        Order::Digest { after } => Ok(Answer::Digest(store.digest(Timestamp::from_millis(after)))),
        Order::Clock { offset: to } => {
            offset.store(to, Ordering::Relaxed);
            Ok(Answer::Done)
        }
        Order::Leave => store.clone().leave().await.map(|()| Answer::Done),
        verb => call(store, verb).await,
    };
    done.unwrap_or_else(|error| match error.applied() {
        Applied::No => Answer::Refused(told(&error)),
        Applied::Unknown => Answer::Unknown(told(&error)),
    })
}

fn standing(store: &ClusterStore) -> Standing {
    let members = store.members().into_iter();
    Standing {
        known: store.known(),
        is_ready: store.is_ready(),
        versions: members.filter_map(|member| member.wire_version).collect(),
        sessions: store.usage().sessions,
    }
}

/// One of the contract's verbs.
async fn call(store: &ClusterStore, order: Order) -> Result<Answer, StoreError> {
    Ok(match order {
        Order::Create { id, secret, life } => {
            match store.create(session(&id), &record(secret, life)).await? {
                Creation::Created(record) => Answer::Live(Sight::of(&record)),
                Creation::Exists => Answer::Conflict,
            }
        }
        Order::SignIn {
            id,
            subject,
            secret,
            life,
            limit,
        } => {
            let ticket = store.ticket(&whose(&subject)).await?;
            let limit = limit.and_then(NonZeroUsize::new).map(|max| SignInLimit {
                max,
                policy: LimitPolicy::EndOldest,
            });
            let new = record(secret, life);
            match store.sign_in(&ticket, session(&id), &new, limit).await? {
                Admission::Admitted { record, .. } => Answer::Live(Sight::of(&record)),
                _ => Answer::Conflict,
            }
        }
        Order::Write {
            id,
            entries,
            padding,
        } => {
            let padding = "x".repeat(padding);
            let change = entries
                .iter()
                .fold(Change::new(), |change, (name, number)| {
                    let name = EntryName::new(name).expect("a name");
                    let text = format!("\"{number}{padding}\"");
                    change.set(name, JsonText::parse(text).expect("a text"))
                });
            applied(store.apply(session(&id), &change.touch(), None).await?)
        }
        Order::Touch { id } => applied(
            store
                .apply(session(&id), &Change::new().touch(), None)
                .await?,
        ),
        Order::Renew {
            id,
            issue,
            replaces,
        } => {
            let change = Change::new().renew(Renewal {
                issue: secret(issue),
                replaces: secret(replaces),
                soft: false,
            });
            applied(store.apply(session(&id), &change, None).await?)
        }
        Order::Load { id } => match store.load(session(&id), Freshness::Any).await? {
            Loaded::Live(record) => Answer::Live(Sight::of(&record)),
            Loaded::Ended(_) | Loaded::Absent => Answer::Gone,
        },
        Order::Delete { id } => match store.delete(session(&id)).await? {
            true => Answer::Ended(vec![id]),
            false => Answer::Gone,
        },
        Order::Revoke { subject, except } => {
            let except = except.as_deref().map(session);
            let ended = store.revoke(&whose(&subject), except).await?;
            Answer::Ended(ended.iter().map(ToString::to_string).collect())
        }
        Order::Standing | Order::Digest { .. } | Order::Clock { .. } | Order::Leave => Answer::Done,
    })
}

fn applied(application: Application) -> Answer {
    match application {
        Application::Applied { previous, record } => Answer::Wrote {
            before: Sight::of(&previous),
            after: Sight::of(&record),
        },
        Application::Absent => Answer::Gone,
        Application::Conflict => Answer::Conflict,
    }
}

fn record(number: u64, life: u64) -> NewRecord {
    let life = Duration::from_millis(life);
    let timeouts = Timeouts::new(life).without_idle().without_renewal();
    NewRecord::new(secret(number), timeouts)
}

fn session(id: &str) -> SessionId {
    id.parse().expect("an id")
}

fn whose(subject: &str) -> Subject {
    Subject::new(subject).expect("a subject")
}

fn told(error: &StoreError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
