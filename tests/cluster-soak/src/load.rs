//! Operations on all nodes, so many a second, whatever becomes of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use session_core::{SessionId, Shard, Sharding, Subject};
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::account::{SAVED, entry};
use crate::cluster::{Cluster, NODES};
use crate::figures::{Figures, Sort};
use crate::ledger::{Call, LIMIT, Ledger, Reply};
use crate::moment::now;
use crate::order::{Answer, Order};
use crate::process::{Failed, Process};

/// How many operations are under way at most.
const OPERATIONS: u32 = 4096;
/// How many calls to one node are under way at most: where the machine is too busy for the rate, so much less is
/// asked that nodes still get to speak with each other.
const CALLS: usize = 128;
/// How often an operation is drawn anew for which there is nothing to do: a revoke, say, where nobody signed in.
const TRIES: u32 = 8;
const BEAT: Duration = Duration::from_millis(5);
/// How many subjects sign in at a time.
const SUBJECTS: usize = 200;
/// One subject of so many has a limit.
const LIMITED: u64 = 10;

/// What keeps operations going, and notes what came of them.
#[derive(Debug)]
pub(crate) struct Load {
    cluster: Arc<Cluster>,
    /// Operations a second.
    rate: u32,
    /// What is known of the sessions.
    pub(crate) ledger: Mutex<Ledger>,
    /// What is measured.
    pub(crate) figures: Mutex<Figures>,
    dice: Mutex<Dice>,
    room: Arc<Semaphore>,
    /// For calls to each node.
    rooms: [Semaphore; NODES],
    is_on: watch::Sender<bool>,
}

#[derive(Debug)]
struct Dice {
    rng: StdRng,
    subjects: VecDeque<u64>,
    next_subject: u64,
    next_number: u64,
}

impl Load {
    /// So many operations a second, once it is turned on.
    #[must_use]
    pub(crate) fn new(cluster: Arc<Cluster>, rate: u32, seed: u64) -> Self {
        Self {
            cluster,
            rate,
            ledger: Mutex::default(),
            figures: Mutex::default(),
            dice: Mutex::new(Dice {
                rng: StdRng::seed_from_u64(seed),
                subjects: VecDeque::new(),
                next_subject: 0,
                next_number: 0,
            }),
            room: Arc::new(Semaphore::new(OPERATIONS as usize)),
            rooms: [const { Semaphore::const_new(CALLS) }; NODES],
            is_on: watch::Sender::new(false),
        }
    }

    /// Begins calls for as long as it is turned on, until it is dropped.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut is_on = self.is_on.subscribe();
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let millis = u32::try_from(BEAT.as_millis()).unwrap_or(1);
        // Thousandths of an operation that are due.
        let mut due = 0;
        loop {
            if is_on.wait_for(|is_on| *is_on).await.is_err() {
                return;
            }
            // At once for every beat that was missed while it was turned off.
            beats.tick().await;
            due += self.rate * millis;
            // What could not be asked when it was due is made up for, a fifth above the rate at most.
            let owed = self.figures.lock().make_up(due / 5000);
            for _ in 0..due / 1000 + owed {
                match Arc::clone(&self.room).try_acquire_owned() {
                    Ok(place) => {
                        let load = Arc::clone(&self);
                        tokio::spawn(async move {
                            for _ in 0..TRIES {
                                if load.operate().await.is_some() {
                                    break;
                                }
                            }
                            drop(place);
                        });
                    }
                    Err(_) => self.figures.lock().left_out += 1,
                }
            }
            due %= 1000;
        }
    }

    /// Begins to make calls.
    pub(crate) fn turn_on(&self) {
        self.figures.lock().go_on();
        self.is_on.send_replace(true);
    }

    /// Makes no more calls, and waits for those under way.
    pub(crate) async fn turn_off(&self) {
        self.is_on.send_replace(false);
        // Every call ends in time.
        drop(self.room.acquire_many(OPERATIONS).await);
    }

    /// The operations, as often as an application makes them: a quarter makes sessions, a third changes one
    /// entry. `None` if there was nothing to do.
    async fn operate(&self) -> Option<()> {
        let turn = self.dice.lock().rng.random_range(0..1000);
        match turn {
            0..250 => self.make().await,
            250..600 => self.write(false).await,
            600..700 => self.write(true).await,
            700..750 => self.end().await,
            750..770 => self.renew().await,
            770..775 => self.revoke().await,
            775..950 => self.look(false).await,
            _ => self.look(true).await,
        }
    }

    async fn make(&self) -> Option<()> {
        let (id, node, subject, secret, life) = {
            let dice = &mut *self.dice.lock();
            let subject = dice.rng.random::<bool>().then(|| dice.subject());
            let shard = match subject {
                Some(subject) => Sharding::default().shard_of(&whose(subject)),
                None => Shard::random(),
            };
            // A quarter lives longer than any run.
            let seconds = match dice.rng.random_range(0..4) {
                0 => 48 * 3600,
                _ => dice.rng.random_range(60..240),
            };
            let id = SessionId::generate(shard);
            let node = self.node(dice, id);
            let life = Duration::from_secs(seconds);
            (id, node, subject, dice.rng.random::<u64>(), life)
        };
        let is_limited = subject.is_some_and(|subject| subject % LIMITED == 0);
        let is_new = {
            let mut ledger = self.ledger.lock();
            ledger.make((id, node), subject, is_limited, secret, life)
        };
        if !is_new {
            return None;
        }
        let text = id.to_string();
        let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        let order = match subject {
            None => Order::Create {
                id: text,
                secret,
                life,
            },
            Some(subject) => Order::SignIn {
                id: text,
                subject: name(subject),
                secret,
                life,
                limit: is_limited.then_some(LIMIT),
            },
        };
        let (call, reply) = self.call(Sort::Write, id, node, order).await;
        self.ledger.lock().made(call, &reply);
        Some(())
    }

    async fn write(&self, is_save: bool) -> Option<()> {
        let (id, node, number, padding) = self.picked(|dice| {
            dice.next_number += 1;
            let padding = match dice.rng.random_range(0..100) {
                0 => 4096,
                _ => 40,
            };
            (dice.next_number, padding)
        })?;
        let entries = match is_save {
            true => SAVED.map(|name| (name.to_owned(), number)).to_vec(),
            false => vec![(entry(node), number)],
        };
        let order = Order::Write {
            id: id.to_string(),
            entries,
            padding,
        };
        let (call, reply) = self.call(Sort::Write, id, node, order).await;
        let mut ledger = self.ledger.lock();
        ledger.wrote(call, number, is_save, &reply);
        ledger.is_free(id);
        Some(())
    }

    async fn renew(&self) -> Option<()> {
        let (id, node, issue, ()) = self.picked(|dice| (dice.rng.random::<u64>(), ()))?;
        let replaces = self.ledger.lock().secret_of(id);
        let order = Order::Renew {
            id: id.to_string(),
            issue,
            replaces,
        };
        let (call, reply) = self.call(Sort::Write, id, node, order).await;
        let mut ledger = self.ledger.lock();
        ledger.renewed(call, issue, &reply);
        ledger.is_free(id);
        Some(())
    }

    /// Looks at a session, or touches it; one of eight times at one that is over.
    async fn look(&self, touches: bool) -> Option<()> {
        let over = {
            let dice = &mut *self.dice.lock();
            let id = match dice.rng.random_range(0..8) {
                0 => self.ledger.lock().any_over(&mut dice.rng),
                _ => None,
            };
            id.map(|id| (id, self.any_node(dice)))
        };
        let picked = || {
            let (id, node, (), ()) = self.picked(|_| ((), ()))?;
            Some((id, node))
        };
        let is_over = over.is_some();
        let (id, node) = over.or_else(picked)?;
        let text = id.to_string();
        let (sort, order) = match touches {
            true => (Sort::Touch, Order::Touch { id: text }),
            false => (Sort::Read, Order::Load { id: text }),
        };
        let (call, reply) = self.call(sort, id, node, order).await;
        let mut ledger = self.ledger.lock();
        ledger.looked(call, &reply);
        if !is_over {
            ledger.is_free(id);
        }
        Some(())
    }

    /// Ends a session, maybe while somebody else writes to it.
    async fn end(&self) -> Option<()> {
        let (id, node) = {
            let dice = &mut *self.dice.lock();
            let mut ledger = self.ledger.lock();
            let id = ledger.any(&mut dice.rng)?;
            ledger.end(id);
            (id, self.any_node(dice))
        };
        let order = Order::Delete { id: id.to_string() };
        let (call, reply) = self.call(Sort::End, id, node, order).await;
        self.ledger.lock().ended(call, &reply);
        Some(())
    }

    /// Ends the sessions of somebody, or all but one.
    async fn revoke(&self) -> Option<()> {
        let (id, node, subject, except) = {
            let dice = &mut *self.dice.lock();
            let mut ledger = self.ledger.lock();
            let id = ledger.any(&mut dice.rng)?;
            let subject = ledger.subject_of(id)?;
            let except = dice.rng.random::<bool>().then_some(id);
            ledger.revoke(subject, except);
            (id, self.any_node(dice), subject, except)
        };
        let order = Order::Revoke {
            subject: name(subject),
            except: except.as_ref().map(ToString::to_string),
        };
        let (call, reply) = self.call(Sort::End, id, node, order).await;
        self.ledger.lock().revoked(call, subject, except, &reply);
        Some(())
    }

    /// A session that nobody else writes to, and the node that is asked.
    fn picked<A, B>(
        &self,
        more: impl FnOnce(&mut Dice) -> (A, B),
    ) -> Option<(SessionId, usize, A, B)> {
        let dice = &mut *self.dice.lock();
        let id = self.ledger.lock().pick(&mut dice.rng)?;
        let node = self.node(dice, id);
        let (one, other) = more(dice);
        Some((id, node, one, other))
    }

    /// Four of five times the node that a session is bound to, if that one takes calls.
    fn node(&self, dice: &mut Dice, id: SessionId) -> usize {
        let bound = usize::from(id.as_bytes()[15]) % NODES;
        if dice.rng.random_range(0..5) != 0 && self.takes_calls(bound) {
            return bound;
        }
        self.any_node(dice)
    }

    /// Any of the nodes that take calls, as a balancer chooses among those that answer its health checks.
    fn any_node(&self, dice: &mut Dice) -> usize {
        let any = dice.rng.random_range(0..NODES);
        let mut nodes = (any..NODES).chain(0..any);
        nodes.find(|node| self.takes_calls(*node)).unwrap_or(any)
    }

    fn takes_calls(&self, node: usize) -> bool {
        self.cluster.serving(node).is_some() && self.rooms[node].available_permits() > 0
    }

    async fn call(&self, sort: Sort, id: SessionId, node: usize, order: Order) -> (Call, Reply) {
        let process = self.cluster.serving(node);
        let call = Call {
            id,
            node,
            life: process.as_ref().map_or(0, |process| process.life),
            begun: now(),
        };
        let Ok(_place) = self.rooms[node].try_acquire() else {
            self.figures.lock().left_out += 1;
            return (call, Err(Failed::Unsent));
        };
        let reply = match process {
            Some(process) => process.call(order).await,
            None => Err(Failed::Unsent),
        };
        self.figures.lock().called(sort, call.begun, reply.as_ref());
        (call, reply)
    }

    /// Looks at every session on every node, once nothing else is asked.
    pub(crate) async fn settle(self: &Arc<Self>) -> Result<(), String> {
        let ids = self.ledger.lock().ids();
        for some in ids.chunks(256) {
            let begun = now();
            let looks = some.iter().map(|id| self.look_everywhere(*id));
            for (id, sights) in some.iter().zip(futures_util::future::join_all(looks).await) {
                self.ledger.lock().settle(*id, begun, &sights?);
            }
        }
        Ok(())
    }

    async fn look_everywhere(
        &self,
        id: SessionId,
    ) -> Result<Vec<Option<crate::order::Sight>>, String> {
        let mut sights = Vec::new();
        for node in 0..NODES {
            sights.push(self.look_at(id, node).await?);
        }
        Ok(sights)
    }

    async fn look_at(
        &self,
        id: SessionId,
        node: usize,
    ) -> Result<Option<crate::order::Sight>, String> {
        let process: Arc<Process> = self.cluster.process(node).ok_or("a node is missing")?;
        let mut last = None;
        // The machine may be busy with other things, and so may a node be: every "no" is asked of all.
        for _ in 0..60 {
            let order = Order::Load { id: id.to_string() };
            match process.call(order).await {
                Ok(Answer::Live(sight)) => return Ok(Some(sight)),
                Ok(Answer::Gone) => return Ok(None),
                other => last = Some(other),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(format!("node {node} does not answer in the end: {last:?}"))
    }
}

impl Dice {
    /// Who signs in. Each does so about six times.
    fn subject(&mut self) -> u64 {
        if self.subjects.is_empty() || self.rng.random_range(0..6) == 0 {
            self.next_subject += 1;
            self.subjects.push_back(self.next_subject);
            if self.subjects.len() > SUBJECTS {
                self.subjects.pop_front();
            }
        }
        let at = self.rng.random_range(0..self.subjects.len());
        self.subjects[at]
    }
}

fn name(subject: u64) -> String {
    format!("subject-{subject}")
}

fn whose(subject: u64) -> Subject {
    Subject::new(name(subject)).expect("a subject")
}
