//! Comparing all sessions of two nodes that know the same: not to repair anything, but to find bugs.

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
        let message = Message::Audit {
            known: self.known.clone(),
            sums: self.sums(now),
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
        now: Now,
        peer: Incarnation,
        known: &Vector,
        sums: &[u64],
        effects: &mut Effects,
    ) {
        let is_comparable = self.touched.is_empty() && *known == self.known;
        if is_comparable && self.sums(now) != sums {
            effects.push(Effect::Alarm(Alarm::Diverged { peer }));
        }
    }

    /// Sums of the digests of all sessions that live on every clock.
    pub(crate) fn sums(&self, now: Now) -> Vec<u64> {
        let mut sums = vec![0_u64; BUCKETS];
        for (id, cell) in self.cells.after(None) {
            let lives = cell.record().is_some_and(|record| {
                record.is_live(now.wall + self.options.max_skew + self.options.max_skew)
            });
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
