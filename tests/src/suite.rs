//! The suite: which store is tested, with what, and how its cases are run.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use session_core::{ClockSource, Consistency, ManualClock, Revision};
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, RwLock};

use crate::case::{Case, Need};
use crate::cases;
use crate::context::{Context, OpenBounded};
use crate::opened::Opened;

type Open = Arc<dyn Fn() -> BoxFuture<'static, Opened> + Send + Sync>;

/// The conformance suite for one store. See the [crate's documentation](crate) for an example.
#[must_use]
pub struct Suite {
    open: Once,
    neighbour: Option<Once>,
    bounded: Option<OpenBounded>,
    consistency: Consistency,
    is_spread: bool,
    clock: Option<ManualClock>,
    time_limit: Duration,
    seed: u64,
    /// Cases that move the clock run alone.
    gate: RwLock<()>,
    runtime: OnceLock<Runtime>,
}

/// An opener, and what it gave the first time.
struct Once {
    open: Open,
    opened: OnceCell<Result<Opened, String>>,
}

/// What became of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The store did as the contract says.
    Passed,
    /// The case does not apply, for this reason.
    Ignored(String),
    /// The store broke the contract, or could not be opened.
    Failed(String),
}

impl Suite {
    /// The suite for the store that `open` gives. It is called once, when the first case runs; other
    /// handles and guards are given with it as [`Opened`].
    pub fn new<F, T>(open: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output: Into<Opened>> + Send + 'static,
    {
        Self {
            open: Once::new(open),
            neighbour: None,
            bounded: None,
            consistency: Consistency::Linearizable,
            is_spread: false,
            clock: None,
            time_limit: Duration::from_secs(120),
            seed: seed(),
            gate: RwLock::new(()),
            runtime: OnceLock::new(),
        }
    }

    /// What the store promises. Without it, [`Consistency::Linearizable`].
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }

    /// Says that the store sends its calls to different nodes of a cluster that promises
    /// [`Consistency::Eventual`], and returns from each once all nodes have acknowledged it. Cases about
    /// calls that exclude each other though they are made at the same time, or that are dropped before
    /// they return, are then ignored: they are in one order through one node alone.
    pub const fn across_nodes(mut self) -> Self {
        self.is_spread = true;
        self
    }

    /// The clock by which the store, and all that the other openers give, were told to go. With it, the
    /// cases about time hold to the millisecond and never wait; without it, those that need minutes
    /// are ignored, and a few others wait for seconds of real time.
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// A store of another prefix, schema or cluster name on the same server, which must never see the
    /// sessions of the first.
    pub fn neighbour<F, T>(mut self, open: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output: Into<Opened>> + Send + 'static,
    {
        self.neighbour = Some(Once::new(open));
        self
    }

    /// An empty store that holds at most so many sessions. Called once for each case that needs one.
    pub fn bounded<F, T>(mut self, open: F) -> Self
    where
        F: Fn(usize) -> T + Send + Sync + 'static,
        T: Future<Output: Into<Opened>> + Send + 'static,
    {
        self.bounded = Some(Arc::new(move |max| open(max).map(Into::into).boxed()));
        self
    }

    /// How long a case may take before it fails, because every call ends (clause 16). Without it, two
    /// minutes.
    pub fn time_limit(mut self, time_limit: Duration) -> Self {
        self.time_limit = time_limit;
        self
    }

    /// Runs the cases that the program's arguments choose, each as a test of its own.
    #[must_use]
    pub fn main(self) -> ExitCode {
        let trials = self.trials("").collect();
        libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
    }

    /// As [`Suite::main`], for several stores in one program. What a store is called begins the names of its
    /// cases.
    #[must_use]
    pub fn main_of(suites: impl IntoIterator<Item = (String, Self)>) -> ExitCode {
        let suites = suites.into_iter();
        let trials = suites.flat_map(|(name, suite)| suite.trials(&format!("{name}::")));
        let trials = trials.collect();
        libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
    }

    fn trials(self, of: &str) -> impl Iterator<Item = Trial> + use<> {
        let (suite, of) = (Arc::new(self), of.to_owned());
        all_cases().into_iter().map(move |case| {
            let suite = Arc::clone(&suite);
            let run = move || match suite.run(case) {
                Outcome::Passed => Ok(Completion::Completed),
                Outcome::Ignored(reason) => Ok(Completion::ignored_with(reason)),
                Outcome::Failed(message) => Err(Failed::from(message)),
            };
            Trial::ignorable_test(format!("{of}{}", case.name), run)
        })
    }

    /// Runs one case by its name, for tests of the suite itself.
    ///
    /// # Panics
    ///
    /// If there is no case of this name.
    #[doc(hidden)]
    #[must_use]
    pub fn run_case(&self, name: &str) -> Outcome {
        let case = all_cases().into_iter().find(|case| case.name == name);
        self.run(case.unwrap_or_else(|| panic!("there is no case {name}")))
    }

    /// The names of all cases, for tests of the suite itself.
    #[doc(hidden)]
    #[must_use]
    pub fn case_names() -> Vec<&'static str> {
        all_cases().iter().map(|case| case.name).collect()
    }

    fn run(&self, case: Case) -> Outcome {
        let runtime = self.runtime.get_or_init(|| {
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .expect("the suite needs a runtime")
        });
        runtime
            .block_on(self.run_in_turn(case))
            .unwrap_or_else(Outcome::Failed)
    }

    async fn run_in_turn(&self, case: Case) -> Result<Outcome, String> {
        if let Some(reason) = case.needs.iter().find_map(|need| self.lacks(*need)) {
            return Ok(Outcome::Ignored(reason.to_owned()));
        }
        let opened = self.open.get().await?;
        if let Some(reason) = case.needs.iter().find_map(|need| lacks(opened, *need)) {
            return Ok(Outcome::Ignored(reason.to_owned()));
        }
        let neighbour = match &self.neighbour {
            Some(neighbour) if case.needs.contains(&Need::Neighbour) => {
                Some(Arc::clone(&neighbour.get().await?.handles()[0]))
            }
            _ => None,
        };
        let handles = match self.consistency {
            Consistency::Linearizable | Consistency::PerSession => opened.handles(),
            // What is promised across nodes needs the earlier call to have arrived: other cases.
            _ => &opened.handles()[..1],
        };
        let context = Context {
            handles: handles.to_vec(),
            neighbour,
            bounded: self.bounded.clone(),
            clock: self.clock.clone(),
            consistency: self.consistency,
            seed: self.seed,
        };
        let alone = [Need::Clock, Need::InjectedClock, Need::Quiet];
        let (_alone, _among_others) = if case.needs.iter().any(|need| alone.contains(need)) {
            (Some(self.gate.write().await), None)
        } else {
            (None, Some(self.gate.read().await))
        };
        let run = AssertUnwindSafe((case.run)(context)).catch_unwind();
        match tokio::time::timeout(self.time_limit, run).await {
            Ok(Ok(())) => Ok(Outcome::Passed),
            Ok(Err(panic)) => Err(format!(
                "{} (SESSION_CONFORMANCE_SEED={})",
                message(&*panic),
                self.seed
            )),
            Err(_) => Err(format!("it took longer than {:?}", self.time_limit)),
        }
    }

    /// Why a case with this need does not apply, as far as is known without opening the store.
    fn lacks(&self, need: Need) -> Option<&'static str> {
        match need {
            Need::Clock | Need::InjectedClock if self.clock.is_none() => {
                Some("it needs a test clock: Suite::clock")
            }
            Need::RunningClock if self.clock.is_some() => {
                Some("it is about a clock that runs, and the store goes by a test clock")
            }
            Need::OneNode if self.is_spread => Some(
                "it is about calls at the same time, which are in one order through one node alone",
            ),
            Need::Neighbour if self.neighbour.is_none() => {
                Some("it needs another store on the same server: Suite::neighbour")
            }
            Need::Bounded if self.bounded.is_none() => {
                Some("it needs a store with a bound: Suite::bounded")
            }
            Need::SecondHandle
                if !matches!(
                    self.consistency,
                    Consistency::Linearizable | Consistency::PerSession
                ) =>
            {
                Some("it is about handles that see each other's calls at once")
            }
            Need::IdsAgain if self.consistency == Consistency::Eventual => {
                Some("nodes of a cluster keep what they know of an id, which is used once anyway")
            }
            Need::OneInstant if self.consistency == Consistency::PerSession => {
                Some("it is about calls on all sessions of a subject at one instant")
            }
            _ => None,
        }
    }
}

/// Why a case with this need does not apply to the opened store.
fn lacks(opened: &Opened, need: Need) -> Option<&'static str> {
    let store = &opened.handles()[0];
    let abilities = store.abilities();
    match need {
        Need::SecondHandle if opened.handles().len() < 2 => {
            Some("it needs another handle to the same sessions: Opened::with_handle")
        }
        Need::InjectedClock if store.facts().clock != ClockSource::Injected => {
            Some("the store goes by its server's clock, which a test clock only stands in for")
        }
        Need::Watch if abilities.watch.is_none() => Some("the store has no Watch"),
        Need::Scan if abilities.scan.is_none() => Some("the store has no Scan"),
        Need::Purge if abilities.purge.is_none() => Some("the store has no PurgeExpired"),
        _ => None,
    }
}

impl Once {
    fn new<F, T>(open: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output: Into<Opened>> + Send + 'static,
    {
        Self {
            open: Arc::new(move || open().map(Into::into).boxed()),
            opened: OnceCell::new(),
        }
    }

    /// What the opener gives. One that failed is not called again, so that the rest of the suite does
    /// not wait for it over and over.
    async fn get(&self) -> Result<&Opened, String> {
        let open = || async {
            let opening = AssertUnwindSafe(async { (self.open)().await }).catch_unwind();
            opening
                .await
                .map_err(|panic| format!("the store did not open: {}", message(&*panic)))
        };
        self.opened
            .get_or_init(open)
            .await
            .as_ref()
            .map_err(Clone::clone)
    }
}

impl Drop for Suite {
    fn drop(&mut self) {
        // A guard may need the runtime to end what it holds.
        let _entered = self.runtime.get().map(Runtime::enter);
        self.open.opened.take();
        if let Some(neighbour) = &mut self.neighbour {
            neighbour.opened.take();
        }
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite")
            .field("consistency", &self.consistency)
            .field("clock", &self.clock)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

fn all_cases() -> Vec<Case> {
    cases::all()
}

fn seed() -> u64 {
    let given = std::env::var("SESSION_CONFORMANCE_SEED").ok();
    given
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| Revision::random().to_u64())
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked without a message")
        .to_owned()
}
