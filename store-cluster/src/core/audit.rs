//! Comparing all sessions of two nodes that know the same: not to repair anything, but to find bugs.

use session_core::Timestamp;

use super::clock::{Incarnation, Now};
use super::digest::Digest;
use super::effect::{Alarm, Effect, Effects};
use super::replica::Replica;
use super::state::State;
use crate::wire::{Message, Vector};

/// Sessions are summed up by the upper bits of their shard.
const BUCKETS: usize = 256;

impl Replica {
    /// Sends the sums of all live sessions to the next peer.
    pub(crate) fn audit(&mut self, now: Now, effects: &mut Effects) {
        self.tell_touches(now, effects);
        let Some(peer) = self.next_turn() else { return };
        // What expires before this instant may be gone on one of two clocks.
        let after = now.wall + self.options.max_skew * 2;
        let message = Message::Audit {
            known: self.known.clone(),
            after,
            sums: self.sums(after),
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
        sums: &[u64],
        effects: &mut Effects,
    ) {
        if !self.touched.is_empty() || *known != self.known {
            return;
        }
        let differing: Vec<_> = (0..)
            .zip(self.sums(after).iter().zip(sums))
            .filter_map(|(bucket, (ours, theirs))| (ours != theirs).then_some(bucket))
            .collect();
        let Some(member) = self.members.get_mut(&peer) else {
            return;
        };
        // A whole state may be ahead of what is known: that is over by the next time.
        let differed = std::mem::replace(&mut member.differed, differing);
        if differed.iter().any(|it| member.differed.contains(it)) {
            effects.push(Effect::Alarm(Alarm::Diverged { peer }));
        }
    }

    /// One number for all sessions that expire later than `after`.
    pub(crate) fn digest(&self, after: Timestamp) -> u64 {
        let sums = self.sums(after);
        let digest = |digest: Digest, sum: u64| digest.number(sum);
        sums.into_iter().fold(Digest::new(), digest).finish()
    }

    /// Sums of the digests of all sessions that expire later than `after`.
    fn sums(&self, after: Timestamp) -> Vec<u64> {
        let mut sums = vec![0_u64; BUCKETS];
        for (id, cell) in self.cells.after(None) {
            let lives = cell.record().is_some_and(|record| record.is_live(after));
            let bucket = usize::from(id.shard().number() >> 8);
            if lives
                && let State::Live(live) = cell.state()
                && let Some(sum) = sums.get_mut(bucket)
            {
                let digest = Digest::new().bytes(id.as_bytes()).number(live.digest());
                *sum = sum.wrapping_add(digest.finish());
            }
        }
        sums
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
