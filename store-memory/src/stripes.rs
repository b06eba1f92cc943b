//! All parts of the store, and the clock that each step reads under its lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use session_core::{Clock, Record, SessionId, Shard, Timestamp};

use crate::capacity::Usage;
use crate::stripe::{Refused, Stripe, Terms};

/// How many stripes there are. Few wait for each other, many cost memory in an empty store.
const STRIPES: usize = 1 << STRIPE_BITS;
const STRIPE_BITS: u32 = 9;
/// How often each step looks at what may be due in its own stripe, and in one other.
const OWN_LOOKS: usize = 4;
const OTHER_LOOKS: usize = 16;
/// How often it is looked under one lock by who has nothing else to do there.
const LOOKS_PER_LOCK: usize = 64;

/// The stripes, in the order of the shards that they hold: so ids are in the order of their stripes.
#[derive(Debug)]
pub(crate) struct Stripes {
    clock: Arc<dyn Clock>,
    terms: Terms,
    stripes: Box<[RwLock<Stripe>]>,
    /// Per stripe, the millisecond before which nothing in it is due. Apart from the stripes, so that
    /// finding one where something is due is a walk over neighbouring numbers and takes no lock.
    due: Box<[AtomicU64]>,
}

impl Stripes {
    pub(crate) fn new(clock: Arc<dyn Clock>, terms: Terms) -> Self {
        Self {
            clock,
            terms,
            stripes: (0..STRIPES).map(|_| RwLock::default()).collect(),
            due: (0..STRIPES)
                .map(|_| AtomicU64::new(Timestamp::MAX.as_millis()))
                .collect(),
        }
    }

    pub(crate) const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Reads in the stripe of `shard`.
    pub(crate) fn read<R>(&self, shard: Shard, read: impl FnOnce(&Stripe, Timestamp) -> R) -> R {
        let stripe = self.stripe(index(shard)).read();
        read(&stripe, self.clock.now())
    }

    /// Takes a step in the stripe of `shard`, and a few looks at what is due there and elsewhere.
    pub(crate) fn step<R>(
        &self,
        shard: Shard,
        step: impl FnOnce(&mut Stripe, &Terms, Timestamp) -> R,
    ) -> R {
        let at = index(shard);
        let mut stripe = self.stripe(at).write();
        let now = self.clock.now();
        stripe.collect(&self.terms, now, OWN_LOOKS);
        let answer = step(&mut stripe, &self.terms, now);
        let other = (at + stripe.count_step()) % STRIPES;
        self.note(at, &stripe);
        drop(stripe);
        self.look_after(other, now);
        answer
    }

    /// As [`Stripes::step`], and where there is no room, makes room by removing what expired.
    pub(crate) fn step_with_room<R>(
        &self,
        shard: Shard,
        step: impl Fn(&mut Stripe, &Terms, Timestamp) -> Result<R, Refused>,
    ) -> Result<R, Refused> {
        loop {
            let givings = self.terms.capacity.givings();
            let answer = self.step(shard, &step);
            if !matches!(answer, Err(Refused::NoRoom)) {
                return answer;
            }
            // Not only what this call removed: another may have removed the last of it just now.
            self.make_room();
            if self.terms.capacity.givings() == givings {
                return answer;
            }
        }
    }

    /// Removes at most `batch` expired sessions, and what is due besides. Returns how many went.
    pub(crate) fn purge(&self, batch: usize) -> usize {
        let mut removed = 0;
        for at in self.all_due() {
            while removed < batch {
                let collected = self.collect(at, LOOKS_PER_LOCK.min(batch - removed));
                removed += collected.freed.sessions;
                if !collected.is_more_due {
                    break;
                }
            }
        }
        removed
    }

    /// At most `limit` live sessions after `after`, in the order of their ids.
    pub(crate) fn scan(&self, after: Option<SessionId>, limit: usize) -> Vec<(SessionId, Record)> {
        let mut found = Vec::new();
        let first = after.map_or(0, |after| index(after.shard()));
        for stripe in self.stripes.iter().skip(first) {
            let stripe = stripe.read();
            let now = self.clock.now();
            let mut here: Vec<_> = stripe
                .live(now)
                .filter(|(id, _)| after.is_none_or(|after| *id > after))
                .collect();
            let wanted = limit - found.len();
            if wanted < here.len() {
                here.select_nth_unstable_by_key(wanted, |(id, _)| *id);
                here.truncate(wanted);
            }
            here.sort_unstable_by_key(|(id, _)| *id);
            found.extend(here.into_iter().map(|(id, record)| (id, record.clone())));
            if found.len() == limit {
                break;
            }
        }
        found
    }

    pub(crate) fn used(&self) -> Usage {
        self.stripes
            .iter()
            .map(|stripe| stripe.read().used())
            .fold(Usage::default(), Usage::plus)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "a stripe's index is a shard shifted to the number of stripes, or a remainder by it"
    )]
    fn stripe(&self, at: usize) -> &RwLock<Stripe> {
        &self.stripes[at]
    }

    /// Writes down when something in a stripe is due, while its lock is held.
    fn note(&self, at: usize, stripe: &Stripe) {
        let due = stripe.first_due(&self.terms).as_millis();
        if let Some(noted) = self.due.get(at)
            && noted.load(Ordering::Relaxed) != due
        {
            noted.store(due, Ordering::Release);
        }
    }

    fn is_due(&self, at: usize, now: Timestamp) -> bool {
        self.due
            .get(at)
            .is_some_and(|due| due.load(Ordering::Acquire) <= now.as_millis())
    }

    fn all_due(&self) -> impl Iterator<Item = usize> {
        let now = self.clock.now();
        (0..STRIPES).filter(move |at| self.is_due(*at, now))
    }

    /// Looks at what is due in a stripe, unless somebody else is there.
    fn look_after(&self, at: usize, now: Timestamp) {
        if self.is_due(at, now)
            && let Some(mut stripe) = self.stripe(at).try_write()
        {
            stripe.collect(&self.terms, self.clock.now(), OTHER_LOOKS);
            self.note(at, &stripe);
        }
    }

    /// Removes something that expired, if there is anything.
    fn make_room(&self) {
        for at in self.all_due() {
            loop {
                let collected = self.collect(at, LOOKS_PER_LOCK);
                if collected.freed != Usage::default() {
                    return;
                }
                if !collected.is_more_due {
                    break;
                }
            }
        }
    }

    fn collect(&self, at: usize, looks: usize) -> Collected {
        let mut stripe = self.stripe(at).write();
        let now = self.clock.now();
        let freed = stripe.collect(&self.terms, now, looks);
        self.note(at, &stripe);
        Collected {
            freed,
            is_more_due: stripe.first_due(&self.terms) <= now,
        }
    }
}

struct Collected {
    freed: Usage,
    is_more_due: bool,
}

fn index(shard: Shard) -> usize {
    usize::from(shard.number() >> (u16::BITS - STRIPE_BITS))
}
