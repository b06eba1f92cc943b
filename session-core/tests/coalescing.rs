//! Coalescing: who is sent with whom, who hears what, and that nobody pays for anybody else.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{join_all, poll_immediate};
use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::{prop_assert, prop_assert_eq, proptest};
use session_core::{
    Applied, BatchFailure, Coalescer, Coalescing, Deadline, ErrorKind, SessionId, StoreError,
    Transport,
};
use tokio::sync::Semaphore;

const LIMIT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
struct Operation {
    number: usize,
    session: Option<SessionId>,
    bytes: usize,
    poisoned: bool,
}

fn operation(number: usize) -> Operation {
    Operation {
        number,
        session: None,
        bytes: 1,
        poisoned: false,
    }
}

fn poisoned(number: usize) -> Operation {
    Operation {
        poisoned: true,
        ..operation(number)
    }
}

/// What a server does to a batch that has no poisoned operation in it.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// Applies it, and the answer is lost.
    LosesAnswer,
    /// Refuses all of it, and blames one of them.
    Refuses,
    /// As [`Fault::LosesAnswer`], but says that one of them may be to blame.
    Blames,
    /// Answers all but the last.
    IsShort,
}

/// A server that answers with the number, once the gate lets the batch through.
struct Server {
    gate: Semaphore,
    line_takes: Duration,
    takes: Duration,
    line_fails: bool,
    faults: Mutex<Vec<Fault>>,
    /// Which batches arrived.
    batches: Mutex<Vec<Vec<usize>>>,
    /// How often each operation was applied.
    applied: Mutex<BTreeMap<usize, usize>>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

impl Server {
    fn closed() -> Self {
        Self {
            gate: Semaphore::new(0),
            line_takes: Duration::ZERO,
            takes: Duration::ZERO,
            line_fails: false,
            faults: Mutex::default(),
            batches: Mutex::default(),
            applied: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
        }
    }

    fn open() -> Self {
        let server = Self::closed();
        server.gate.add_permits(1 << 20);
        server
    }

    fn batches(&self) -> Vec<Vec<usize>> {
        self.batches.lock().clone()
    }

    fn applied(&self, number: usize) -> usize {
        self.applied.lock().get(&number).copied().unwrap_or(0)
    }

    fn apply(&self, operations: &[Operation]) {
        let mut applied = self.applied.lock();
        for operation in operations {
            *applied.entry(operation.number).or_default() += 1;
        }
    }
}

/// Counts a batch as under way until it is dropped.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The way to a server that the test looks at as well.
struct To(Arc<Server>);

impl Transport for To {
    type Operation = Operation;
    type Answer = usize;
    type Line = ();

    fn store(&self) -> &'static str {
        "test"
    }

    fn in_doubt(&self) -> Applied {
        Applied::Unknown
    }

    fn bytes(&self, operation: &Operation) -> usize {
        operation.bytes
    }

    fn session(&self, operation: &Operation) -> Option<SessionId> {
        operation.session
    }

    async fn line(&self, _: Deadline) -> Result<(), StoreError> {
        tokio::time::sleep(self.0.line_takes).await;
        if self.0.line_fails {
            return Err(StoreError::new("test", ErrorKind::Unavailable));
        }
        Ok(())
    }

    async fn send(
        &self,
        (): (),
        operations: &[Operation],
    ) -> Result<Vec<Result<usize, StoreError>>, BatchFailure> {
        let server = &*self.0;
        let under_way = server.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        let _under_way = UnderWay(&server.under_way);
        server.most_under_way.fetch_max(under_way, Ordering::SeqCst);
        let numbers = operations.iter().map(|one| one.number).collect();
        server.batches.lock().push(numbers);
        server.gate.acquire().await.unwrap().forget();
        tokio::time::sleep(server.takes).await;
        let failure = StoreError::new("test", ErrorKind::Unavailable);
        if operations.iter().any(|one| one.poisoned) {
            return Err(BatchFailure::OneOfThem(failure));
        }
        let fault = server.faults.lock().pop().unwrap_or(Fault::None);
        if matches!(fault, Fault::Refuses) {
            return Err(BatchFailure::OneOfThem(failure));
        }
        server.apply(operations);
        let mut answers: Vec<_> = operations.iter().map(|one| Ok(one.number)).collect();
        match fault {
            Fault::LosesAnswer => return Err(BatchFailure::All(failure.unknown())),
            Fault::Blames => return Err(BatchFailure::OneOfThem(failure.unknown())),
            Fault::IsShort => {
                answers.pop();
            }
            Fault::None | Fault::Refuses => {}
        }
        Ok(answers)
    }
}

type Calls = Coalescer<To>;

fn over(server: Server, bounds: Coalescing) -> (Arc<Server>, Arc<Calls>) {
    let server = Arc::new(server);
    let calls = Coalescer::new(To(Arc::clone(&server)), bounds);
    (server, Arc::new(calls))
}

async fn call(calls: &Calls, operation: Operation) -> Result<usize, StoreError> {
    calls.call(operation, Deadline::after(LIMIT)).await
}

/// Begins calls in order, each on its own task.
async fn begin(
    calls: &Arc<Calls>,
    operations: impl IntoIterator<Item = Operation>,
) -> Vec<tokio::task::JoinHandle<Result<usize, StoreError>>> {
    let mut begun = Vec::new();
    for operation in operations {
        let calls = Arc::clone(calls);
        begun.push(tokio::spawn(async move { call(&calls, operation).await }));
    }
    settle().await;
    begun
}

/// Lets every task go as far as it can.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_store_sends_at_once_on_the_callers_own_task() {
    let (server, calls) = over(Server::closed(), Coalescing::default());
    for number in 0..3 {
        let mut calling = Box::pin(call(&calls, operation(number)));
        assert!(poll_immediate(&mut calling).await.is_none());
        // No other task has run.
        assert_eq!(server.batches().last().unwrap(), &[number]);
        server.gate.add_permits(1);
        assert_eq!(calling.await.unwrap(), number);
    }
}

#[tokio::test(start_paused = true)]
async fn what_arrives_while_others_are_under_way_is_sent_together() {
    let bounds = Coalescing {
        flights: 1,
        ..Coalescing::default()
    };
    let (server, calls) = over(Server::closed(), bounds);
    let begun = begin(&calls, (0..100).map(operation)).await;
    server.gate.add_permits(3);
    for (number, answer) in begun.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap().unwrap(), number);
    }
    let sizes: Vec<_> = server.batches().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 64, 35]);
}

#[tokio::test(start_paused = true)]
async fn callers_that_come_again_find_one_another_in_the_same_batch() {
    let bounds = Coalescing {
        flights: 1,
        ..Coalescing::default()
    };
    let server = Server {
        takes: Duration::from_millis(1),
        ..Server::open()
    };
    let (server, calls) = over(server, bounds);
    let callers = (0..32).map(|caller| {
        let calls = Arc::clone(&calls);
        tokio::spawn(async move {
            for round in 0..50 {
                call(&calls, operation(caller * 50 + round)).await.unwrap();
            }
        })
    });
    join_all(callers).await;
    let batches = server.batches().len();
    assert!(batches < 60, "{batches} batches for 1600 operations");
}

#[tokio::test(start_paused = true)]
async fn no_more_batches_are_under_way_than_there_are_flights() {
    let bounds = Coalescing {
        flights: 3,
        batch_operations: 2,
        ..Coalescing::default()
    };
    let (server, calls) = over(Server::closed(), bounds);
    let begun = begin(&calls, (0..50).map(operation)).await;
    for _ in 0..50 {
        server.gate.add_permits(1);
        settle().await;
    }
    for answer in begun {
        answer.await.unwrap().unwrap();
    }
    // The one that found the store idle goes besides.
    assert_eq!(server.most_under_way.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_bounded_in_bytes_and_what_is_larger_goes_alone() {
    let bounds = Coalescing {
        flights: 1,
        batch_bytes: 10,
        ..Coalescing::default()
    };
    let (server, calls) = over(Server::closed(), bounds);
    let sized = [1, 4, 4, 4, 99, 1, 1].into_iter().enumerate();
    let operations = sized.map(|(number, bytes)| Operation {
        bytes,
        ..operation(number)
    });
    let begun = begin(&calls, operations).await;
    server.gate.add_permits(9);
    for answer in begun {
        answer.await.unwrap().unwrap();
    }
    let expected: [&[usize]; 5] = [&[0], &[1, 2], &[3], &[4], &[5, 6]];
    assert_eq!(server.batches(), expected);
}

#[tokio::test(start_paused = true)]
async fn operations_on_one_session_never_share_a_batch() {
    let bounds = Coalescing {
        flights: 1,
        ..Coalescing::default()
    };
    let (server, calls) = over(Server::closed(), bounds);
    let on = |number, session: Option<u8>| Operation {
        session: session.map(|byte| SessionId::from_bytes([byte; 16])),
        ..operation(number)
    };
    let operations = [
        on(0, None),
        on(1, Some(7)),
        on(2, Some(7)),
        on(3, Some(8)),
        on(4, None),
        on(5, Some(7)),
    ];
    let begun = begin(&calls, operations).await;
    server.gate.add_permits(9);
    for answer in begun {
        answer.await.unwrap().unwrap();
    }
    let expected: [&[usize]; 4] = [&[0], &[1, 3, 4], &[2], &[5]];
    assert_eq!(server.batches(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_operation_among_64_fails_alone() {
    for guilty in [1, 2, 33, 64] {
        let (server, calls) = over(Server::closed(), Coalescing::default());
        let operations = (0..=64).map(|number| match number == guilty {
            true => poisoned(number),
            false => operation(number),
        });
        let begun = begin(&calls, operations).await;
        server.gate.add_permits(99);
        for (number, answer) in begun.into_iter().enumerate() {
            let answer = answer.await.unwrap();
            assert_eq!(answer.is_err(), number == guilty, "{number}");
            assert_eq!(server.applied(number), usize::from(number != guilty));
            if let Err(error) = answer {
                assert_eq!(error.applied(), Applied::No);
            }
        }
        let batches = server.batches().len();
        assert!(batches <= 2 + 2 * 6, "{batches} batches");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_fate_is_unknown_is_never_sent_again() {
    for fault in [Fault::LosesAnswer, Fault::Blames] {
        let (server, calls) = over(Server::closed(), Coalescing::default());
        server.faults.lock().extend([fault, Fault::None]);
        let begun = begin(&calls, (0..65).map(operation)).await;
        server.gate.add_permits(1);
        settle().await;
        server.gate.add_permits(9);
        for (number, answer) in begun.into_iter().enumerate() {
            match answer.await.unwrap() {
                Ok(_) => assert_eq!(number, 0),
                Err(error) => assert_eq!(error.applied(), Applied::Unknown),
            }
            assert_eq!(server.applied(number), 1);
        }
        assert_eq!(server.batches().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_not_answered_hears_that_it_is_unknown() {
    let (server, calls) = over(Server::closed(), Coalescing::default());
    server.faults.lock().extend([Fault::IsShort, Fault::None]);
    let mut begun = begin(&calls, (0..4).map(operation)).await;
    server.gate.add_permits(1);
    settle().await;
    server.gate.add_permits(9);
    let last = begun.pop().unwrap().await.unwrap().unwrap_err();
    assert_eq!(last.applied(), Applied::Unknown);
    for answer in begun {
        answer.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_line_nothing_was_sent() {
    let server = Server {
        line_fails: true,
        ..Server::open()
    };
    let (server, calls) = over(server, Coalescing::default());
    for answer in begin(&calls, (0..65).map(operation)).await {
        let error = answer.await.unwrap().unwrap_err();
        assert_eq!(error.applied(), Applied::No);
    }
    assert!(server.batches().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_takes_only_what_still_waits() {
    let (server, calls) = over(Server::closed(), Coalescing::default());
    let lone = begin(&calls, [operation(0)]).await;
    let sent = begin(&calls, [operation(1), operation(2), operation(3)]).await;
    let other = begin(&calls, [operation(4)]).await;
    let waiting = begin(&calls, [operation(5), operation(6)]).await;
    assert_eq!(server.batches().len(), 3);
    lone[0].abort();
    sent[1].abort();
    waiting[0].abort();
    settle().await;
    server.gate.add_permits(9);
    for (number, answer) in [lone, sent, other, waiting]
        .into_iter()
        .flatten()
        .enumerate()
    {
        let answer = answer.await.map(Result::unwrap);
        match number {
            0 | 2 | 5 => assert!(answer.unwrap_err().is_cancelled()),
            _ => assert_eq!(answer.unwrap(), number),
        }
    }
    let applied: Vec<_> = (0..7).map(|number| server.applied(number)).collect();
    assert_eq!(applied, [0, 1, 1, 1, 1, 0, 1]);
    // And the next one finds the store idle.
    assert_eq!(call(&calls, operation(9)).await.unwrap(), 9);
    assert_eq!(server.batches().last().unwrap(), &[9]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_not_polled_holds_nobody_up() {
    let (server, calls) = over(Server::closed(), Coalescing::default());
    let mut idle = Box::pin(call(&calls, operation(0)));
    assert!(poll_immediate(&mut idle).await.is_none());
    server.gate.add_permits(9);
    for number in 1..5 {
        assert_eq!(call(&calls, operation(number)).await.unwrap(), number);
    }
    assert_eq!(idle.await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn beyond_what_may_wait_a_call_is_refused_at_once() {
    let few = Coalescing {
        flights: 1,
        waiting_operations: 10,
        ..Coalescing::default()
    };
    let small = Coalescing {
        flights: 1,
        waiting_bytes: 10,
        ..Coalescing::default()
    };
    for bounds in [few, small] {
        let (server, calls) = over(Server::closed(), bounds);
        let under_way = begin(&calls, (0..2).map(operation)).await;
        let waiting = begin(&calls, (2..12).map(operation)).await;
        let refused = poll_immediate(call(&calls, operation(12))).await;
        let error = refused.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.applied(), Applied::No);
        assert_eq!(server.applied(12), 0);
        // Who goes away makes room.
        waiting[3].abort();
        settle().await;
        let after = begin(&calls, [operation(13)]).await;
        server.gate.add_permits(9);
        for (number, answer) in under_way
            .into_iter()
            .chain(waiting)
            .chain(after)
            .enumerate()
        {
            assert_eq!(answer.await.is_ok_and(|answer| answer.is_ok()), number != 5);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_caller_has_its_own_deadline() {
    let bounds = Coalescing {
        flights: 1,
        ..Coalescing::default()
    };
    let (server, calls) = over(Server::closed(), bounds);
    let mut begun = begin(&calls, [operation(0)]).await;
    let spawn = |number, limit| {
        let calls = Arc::clone(&calls);
        let deadline = Deadline::after(Duration::from_secs(limit));
        tokio::spawn(async move { calls.call(operation(number), deadline).await })
    };
    let sent = [spawn(1, 1), spawn(2, 4)];
    settle().await;
    let waiting = [spawn(3, 1), spawn(4, 4)];
    settle().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    server.gate.add_permits(9);
    let [short, long] = sent;
    assert_eq!(
        short.await.unwrap().unwrap_err().applied(),
        Applied::Unknown
    );
    assert_eq!(long.await.unwrap().unwrap(), 2);
    let [short, long] = waiting;
    assert_eq!(short.await.unwrap().unwrap_err().applied(), Applied::No);
    assert_eq!(long.await.unwrap().unwrap(), 4);
    begun.pop().unwrap().await.unwrap().unwrap();
    let expected: [&[usize]; 3] = [&[0], &[1, 2], &[4]];
    assert_eq!(server.batches(), expected);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_is_not_sent_again() {
    let server = Server {
        takes: Duration::from_secs(2),
        ..Server::open()
    };
    let (server, calls) = over(server, Coalescing::default());
    let lone = begin(&calls, [operation(0)]).await;
    let spawn = |operation, limit| {
        let calls = Arc::clone(&calls);
        let deadline = Deadline::after(Duration::from_secs(limit));
        tokio::spawn(async move { calls.call(operation, deadline).await })
    };
    let short = spawn(operation(1), 1);
    let gone = spawn(operation(2), 9);
    let guilty = spawn(poisoned(3), 9);
    let long = spawn(operation(4), 9);
    settle().await;
    gone.abort();
    assert!(short.await.unwrap().is_err());
    assert!(guilty.await.unwrap().is_err());
    assert_eq!(long.await.unwrap().unwrap(), 4);
    assert!(lone.into_iter().all(|lone| lone.is_finished()));
    let expected: [&[usize]; 4] = [&[0], &[1, 2, 3, 4], &[3, 4], &[3]];
    assert_eq!(server.batches()[..4], expected);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_comes_at_the_deadline_comes_too_late() {
    let server = Server {
        line_takes: LIMIT,
        ..Server::open()
    };
    let (server, calls) = over(server, Coalescing::default());
    for answer in begin(&calls, (0..9).map(operation)).await {
        let error = answer.await.unwrap().unwrap_err();
        assert_eq!(error.applied(), Applied::No);
    }
    assert!(server.batches().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_given_up_at_the_latest_deadline() {
    let (server, calls) = over(Server::closed(), Coalescing::default());
    let begun = begin(&calls, (0..200).map(operation)).await;
    for (number, answer) in begun.into_iter().enumerate() {
        let error = answer.await.unwrap().unwrap_err();
        let expected = match server.batches().concat().contains(&number) {
            true => Applied::Unknown,
            false => Applied::No,
        };
        assert_eq!(error.applied(), expected, "{number}");
    }
    settle().await;
    // What hung is gone, and with it its flights.
    assert_eq!(server.under_way.load(Ordering::SeqCst), 0);
    server.gate.add_permits(9);
    assert_eq!(call(&calls, operation(999)).await.unwrap(), 999);
}

#[test]
fn a_runtime_that_ends_takes_what_is_under_way_with_it() {
    let (server, calls) = over(Server::closed(), Coalescing::default());
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    };
    let first = runtime();
    first.block_on(async { begin(&calls, (0..300).map(operation)).await });
    drop(first);
    server.gate.add_permits(9);
    let answer = runtime().block_on(call(&calls, operation(999)));
    assert_eq!(answer.unwrap(), 999);
}

#[derive(Clone, Copy, Debug)]
struct Step {
    pause: u64,
    limit: u64,
    leaves_after: Option<u64>,
    poisoned: bool,
    session: Option<u8>,
    bytes: usize,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        0..3_u64,
        1..60_u64,
        proptest::option::weighted(0.2, 0..40_u64),
        proptest::bool::weighted(0.1),
        proptest::option::of(0..4_u8),
        0..40_usize,
    );
    let step = step.prop_map(
        |(pause, limit, leaves_after, poisoned, session, bytes)| Step {
            pause,
            limit,
            leaves_after,
            poisoned,
            session,
            bytes,
        },
    );
    vec(step, 1..120)
}

fn fault() -> impl Strategy<Value = Fault> {
    any::<u8>().prop_map(|byte| match byte {
        0..140 => Fault::None,
        140..180 => Fault::LosesAnswer,
        180..210 => Fault::Refuses,
        210..230 => Fault::Blames,
        _ => Fault::IsShort,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_applied_twice_and_every_answer_is_true(
        steps in steps(),
        faults in vec(fault(), 0..40),
        flights in 1..4_usize,
        batch_operations in 1..10_usize,
        waiting_operations in 1..40_usize,
    ) {
        let bounds = Coalescing {
            flights,
            batch_operations,
            batch_bytes: 100,
            waiting_operations,
            waiting_bytes: 400,
        };
        let (server, calls) = over(Server::closed(), bounds);
        *server.faults.lock() = faults;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let outcomes = runtime.block_on(run(&server, &calls, &steps));
        for (number, outcome) in outcomes.into_iter().enumerate() {
            let applied = server.applied(number);
            prop_assert!(applied <= 1, "{number} was applied {applied} times");
            match outcome {
                Some(Ok(answer)) => {
                    prop_assert_eq!(answer, number);
                    prop_assert_eq!(applied, 1);
                }
                Some(Err(Applied::No)) => prop_assert_eq!(applied, 0),
                Some(Err(Applied::Unknown)) | None => {}
            }
            prop_assert!(!steps[number].poisoned || applied == 0);
        }
        for batch in server.batches() {
            prop_assert!(batch.len() <= batch_operations);
            let mut sessions: Vec<_> =
                batch.iter().filter_map(|number| steps[*number].session).collect();
            sessions.sort_unstable();
            let all = sessions.len();
            sessions.dedup();
            prop_assert_eq!(sessions.len(), all, "one session twice in a batch");
        }
        let most = server.most_under_way.load(Ordering::SeqCst);
        prop_assert!(most <= flights + 1);
    }
}

/// What each step's caller heard; nothing if it went away.
async fn run(
    server: &Arc<Server>,
    calls: &Arc<Calls>,
    steps: &[Step],
) -> Vec<Option<Result<usize, Applied>>> {
    // A server that lets one batch through each few milliseconds.
    let serving = Arc::clone(server);
    let serving = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(4)).await;
            serving.gate.add_permits(1);
        }
    });
    let mut begun = Vec::new();
    for (number, step) in steps.iter().copied().enumerate() {
        tokio::time::sleep(Duration::from_millis(step.pause)).await;
        let calls = Arc::clone(calls);
        begun.push(tokio::spawn(async move {
            let operation = Operation {
                number,
                session: step.session.map(|byte| SessionId::from_bytes([byte; 16])),
                bytes: step.bytes,
                poisoned: step.poisoned,
            };
            let calling = calls.call(
                operation,
                Deadline::after(Duration::from_millis(step.limit)),
            );
            let stays = step.leaves_after.map_or(LIMIT, Duration::from_millis);
            let outcome = tokio::time::timeout(stays, calling).await.ok();
            outcome.map(|outcome| outcome.map_err(|error| error.applied()))
        }));
    }
    let mut outcomes = Vec::new();
    for outcome in begun {
        outcomes.push(outcome.await.unwrap());
    }
    // Whatever is still under way comes to its end.
    tokio::time::sleep(Duration::from_millis(200)).await;
    serving.abort();
    outcomes
}
