//! What was changed by which operation: where a peer that is behind goes on from.

use std::collections::{BTreeMap, VecDeque};

use session_core::{SessionId, Subject};

use super::clock::Incarnation;
use crate::wire::Item;

/// What an operation changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Session(SessionId),
    Fence(Subject),
}

impl Key {
    pub(crate) fn of(item: &Item) -> Self {
        match item {
            Item::Session(id, _) => Self::Session(*id),
            Item::Fence(subject, _) => Self::Fence(subject.clone()),
        }
    }
}

/// Per origin, what its operations changed, in the order of their numbers, from a floor on.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    logs: BTreeMap<Incarnation, Log>,
    len: usize,
}

#[derive(Debug, Default)]
struct Log {
    /// What operations up to this one changed is no longer known.
    floor: u64,
    entries: VecDeque<(u64, Key)>,
}

impl Logs {
    /// Notes what an operation changed. Numbers never fall.
    pub(crate) fn note(&mut self, origin: Incarnation, seq: u64, key: Key) {
        let log = self.logs.entry(origin).or_default();
        if seq > log.floor {
            log.entries.push_back((seq, key));
            self.len += 1;
        }
    }

    /// Lets go of what operations up to `seq` changed.
    pub(crate) fn drop_until(&mut self, origin: Incarnation, seq: u64) {
        let log = self.logs.entry(origin).or_default();
        log.floor = log.floor.max(seq);
        while log.entries.front().is_some_and(|(first, _)| *first <= seq) {
            log.entries.pop_front();
            self.len -= 1;
        }
    }

    /// Lets go of the oldest, in the longest log, until at most `max` are left.
    pub(crate) fn bound(&mut self, max: usize) {
        while self.len > max {
            let longest = self.logs.iter().max_by_key(|(_, log)| log.entries.len());
            let Some((origin, seq)) = longest.and_then(|(origin, log)| {
                let at = (self.len - max).min(log.entries.len()).checked_sub(1)?;
                Some((*origin, log.entries.get(at)?.0))
            }) else {
                return;
            };
            self.drop_until(origin, seq);
        }
    }

    /// Whether all that followed what `known` says is known here.
    pub(crate) fn covers(&self, origin: Incarnation, seq: u64) -> bool {
        self.logs.get(&origin).map_or(0, |log| log.floor) <= seq
    }

    /// Of what operations after `seq` changed, the one at `nth`, in their order.
    pub(crate) fn after(&self, origin: Incarnation, seq: u64, nth: usize) -> Option<&(u64, Key)> {
        let entries = &self.logs.get(&origin)?.entries;
        entries.get(entries.partition_point(|(at, _)| *at <= seq) + nth)
    }
}
