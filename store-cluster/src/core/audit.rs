//! Comparing the sessions of two nodes that know the same, some at a time: not to repair anything, but to
//! find bugs.

use session_core::Timestamp;

use super::clock::{Incarnation, Now};
use super::digest::Digest;
use super::effect::{Alarm, Effect, Effects};
use super::replica::Replica;
use super::state::State;
use crate::wire::{Message, Vector};

/// Sessions are summed up in so many buckets, by the upper bits of their shard.
pub(crate) const BUCKETS: u16 = 256;

impl Replica {
    /// Sends the sums of the next few buckets to the next peer.
    pub(crate) fn audit(&mut self, now: Now, effects: &mut Effects) {
        self.tell_touches(now, effects);
        let Some(peer) = self.next_turn() else { return };
        // What expires before this instant may be gone on one of two clocks.
        let after = now.wall + self.options.max_skew * 2;
        let first = self.timers.bucket;
        let buckets = first..(first + self.options.audited).min(BUCKETS);
        self.timers.bucket = buckets.end % BUCKETS;
        let [_, first] = first.to_be_bytes();
        let message = Message::Audit {
            known: self.known.clone(),
            after,
            first,
            sums: buckets.map(|bucket| self.sum(bucket, after)).collect(),
        };
        if let Some(member) = self.members.get_mut(&peer)
            && let Some(link) = &mut member.link
        {
            link.say(message);
            effects.push(Effect::Wake(peer));
        }
    }

    /// A peer sent its sums.
    pub(crate) fn audited(
        &mut self,
        peer: Incarnation,
        known: &Vector,
        after: Timestamp,
        first: u8,
        sums: &[u64],
        effects: &mut Effects,
    ) {
        if !self.touched.is_empty() || *known != self.known {
            return;
        }
        let compared: Vec<_> = (u16::from(first)..BUCKETS)
            .zip(sums)
            .map(|(bucket, theirs)| (bucket, self.sum(bucket, after) == *theirs))
            .collect();
        let Some(member) = self.members.get_mut(&peer) else {
            return;
        };
        let mut has_diverged = false;
        for (bucket, is_equal) in compared {
            if is_equal {
                member.differed.remove(&bucket);
            } else {
                // A whole state may be ahead of what is known: that is over by the next time.
                has_diverged |= !member.differed.insert(bucket);
            }
        }
        if has_diverged {
            effects.push(Effect::Alarm(Alarm::Diverged { peer }));
        }
    }

    /// One number for all sessions that expire later than `after`.
    pub(crate) fn digest(&self, after: Timestamp) -> u64 {
        let sums = (0..BUCKETS).map(|bucket| self.sum(bucket, after));
        sums.fold(Digest::new(), Digest::number).finish()
    }

    /// The sum of the digests of all sessions of a bucket that expire later than `after`.
    fn sum(&self, bucket: u16, after: Timestamp) -> u64 {
        let (from, to) = (bucket << 8, bucket << 8 | 0xff);
        let mut sum = 0_u64;
        for (id, cell) in self.cells.in_shards(from, to) {
            let lives = cell.record().is_some_and(|record| record.is_live(after));
            if lives && let State::Live(live) = cell.state() {
                let digest = Digest::new().bytes(id.as_bytes()).number(live.digest());
                sum = sum.wrapping_add(digest.finish());
            }
        }
        sum
    }
}

/// What tests look at from outside.
#[cfg(test)]
impl Replica {
    pub(crate) fn state_of(&self, id: session_core::SessionId) -> Option<State> {
        self.cells.get(id).map(super::cell::Cell::state)
    }

    pub(crate) fn record_of(&self, id: session_core::SessionId) -> Option<&session_core::Record> {
        self.cells.record(id)
    }

    pub(crate) fn all_states(&self) -> impl Iterator<Item = (session_core::SessionId, State)> + '_ {
        self.cells.after(None).map(|(id, cell)| (id, cell.state()))
    }

    pub(crate) fn live_in(
        &self,
        shard: session_core::Shard,
        subject: &session_core::Subject,
        now: Timestamp,
    ) -> usize {
        self.cells
            .of_subject(shard, subject.as_str())
            .filter(|(_, record)| record.is_live(now))
            .count()
    }
}
