//! Frames in and frames out.

use super::clock::{Incarnation, Now};
use super::effect::{Alarm, Effect, Effects};
use super::link::Link;
use super::log::Key;
use super::planted::Fault;
use super::replica::Replica;
use crate::wire::{Item, Message, Vector, WireError, append_push};

/// Operations pushed in one frame take about so many bytes at most.
const PUSH_BYTES: usize = 64 << 10;
/// Of more sessions in one scan it is not noted which they were.
const NOTED: usize = 1 << 16;

/// Why a frame is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// It is not what its kind says.
    #[error(transparent)]
    Malformed(#[from] WireError),
    /// It, or one that the peer wrote later, came before.
    #[error("a frame comes a second time")]
    Repeated,
}

impl Replica {
    /// Takes a frame that came over the link to `peer`.
    ///
    /// # Errors
    ///
    /// If it is not what its kind says, or came before: nothing of it was taken in, and the link should be
    /// closed.
    pub(crate) fn received(
        &mut self,
        now: Now,
        peer: Incarnation,
        kind: u8,
        version: u8,
        body: &[u8],
        effects: &mut Effects,
    ) -> Result<(), FrameError> {
        let Some((number, message)) = Message::read(kind, version, body)? else {
            return Ok(());
        };
        let Some(member) = self.members.get_mut(&peer) else {
            return Ok(());
        };
        let Some(link) = &member.link else {
            return Ok(());
        };
        // Else a frame could go by an older version, which has no numbers.
        if version != link.version {
            return Err(WireError::Invalid("a version that was not agreed on").into());
        }
        if let Some(number) = number {
            if number <= member.taken {
                return Err(FrameError::Repeated);
            }
            member.taken = number;
        }
        match message {
            Message::Push { first, ops } => self.pushed(now, peer, first, ops, effects),
            Message::Status {
                known,
                time,
                is_ready,
            } => self.told(now, peer, known, time, is_ready, effects),
            Message::Want { known } => self.wanted(peer, known, effects),
            Message::States { items } => {
                if let Some(link) = &mut member.link
                    && link.wants_since.is_some()
                {
                    link.wants_since = Some(now.uptime);
                }
                for item in items {
                    self.note_scanned(peer, &item);
                    self.integrate(now, Some(peer), item, effects);
                }
            }
            Message::Caught { known } => self.caught(peer, &known, effects),
            Message::Flush { ask } => self.flushed(peer, ask, effects),
            Message::Head { ask, seq } => self.headed(peer, ask, seq, effects),
            Message::Ask { ask, id } => self.answer(peer, ask, id, effects),
            Message::Answer {
                ask,
                state,
                is_certain,
            } => self.answered(now, peer, ask, state, is_certain, effects),
            Message::Audit {
                known,
                after,
                first,
                sums,
            } => self.audited(peer, &known, after, first, &sums, effects),
        }
        Ok(())
    }

    /// A peer's own operations. They are applied in their order and without a gap, so what is known of a
    /// peer is always all up to one number.
    fn pushed(
        &mut self,
        now: Now,
        peer: Incarnation,
        first: u64,
        ops: Vec<Vec<Item>>,
        effects: &mut Effects,
    ) {
        let known = self.known.get(&peer).copied().unwrap_or_default();
        if first > known + 1 && !self.has(Fault::GapIgnored) {
            return;
        }
        for (seq, op) in (first..).zip(ops) {
            if seq <= known {
                continue;
            }
            for item in &op {
                self.logs.note(peer, seq, Key::of(item));
            }
            self.apply_op(now, peer, op, effects);
            self.known.insert(peer, seq);
        }
        self.reached(effects);
        self.owe_status(peer, effects);
    }

    fn apply_op(&mut self, now: Now, peer: Incarnation, op: Vec<Item>, effects: &mut Effects) {
        #[cfg(test)]
        if self.has(Fault::AckBeforeApply) {
            self.halves.extend(op);
            return;
        }
        for item in op {
            #[cfg(test)]
            let item = if self.has(Fault::HalfApplied) {
                let (now_half, later_half) = super::planted::halves(item);
                self.halves.extend(later_half);
                now_half
            } else {
                item
            };
            self.integrate(now, Some(peer), item, effects);
        }
    }

    /// What a peer says of itself.
    fn told(
        &mut self,
        now: Now,
        peer: Incarnation,
        known: Vector,
        time: u64,
        is_ready: bool,
        effects: &mut Effects,
    ) {
        let me = self.me();
        let own = self.known.get(&me).copied().unwrap_or_default();
        let acked = known.get(&me).copied().unwrap_or_default();
        if acked > own {
            effects.push(Effect::Alarm(Alarm::Impostor { peer }));
        }
        let acked = acked.min(own);
        if !self.has(Fault::ClockNotAdvanced) {
            self.clock.see(super::clock::Stamp { time, writer: 0 });
        }
        if self.has(Fault::SecondHandStability) {
            for (other, member) in &mut self.members {
                if *other != peer {
                    for (origin, seq) in &known {
                        let entry = member.acked.entry(*origin).or_default();
                        *entry = (*entry).max(*seq);
                    }
                    member.reports.stable = member.reports.stable.max(time);
                }
            }
        }
        let Some(member) = self.members.get_mut(&peer) else {
            return;
        };
        let its_own = known.get(&peer).copied().unwrap_or_default();
        member.reports.add(its_own, time);
        let before = member.acked.insert(me, acked).unwrap_or_default();
        for (origin, seq) in known {
            let entry = member.acked.entry(origin).or_default();
            if origin != me {
                *entry = (*entry).max(seq);
            }
        }
        let was_ready = std::mem::replace(&mut member.is_ready, is_ready);
        if let Some(link) = &mut member.link {
            if link.cursor.is_none() || is_ready != was_ready {
                effects.push(Effect::Wake(peer));
            }
            // What it has from others need not be pushed.
            link.cursor = link.cursor.max(Some(acked + 1));
        }
        if acked > before {
            effects.push(Effect::Acknowledged { peer, seq: acked });
        }
        if is_ready && !was_ready && !self.is_ready {
            self.want(now, peer, effects);
        }
    }

    fn wanted(&mut self, peer: Incarnation, known: Vector, effects: &mut Effects) {
        let scan = self.scan_since(&known);
        let Some(link) = self.members.get_mut(&peer).and_then(|it| it.link.as_mut()) else {
            return;
        };
        if link.scan.is_some() {
            link.wanted = Some(known);
        } else {
            match scan {
                Some(scan) => link.scan = Some(scan),
                None => link.say(Message::Caught {
                    known: Vector::new(),
                }),
            }
        }
        effects.push(Effect::Wake(peer));
    }

    /// Keeps in mind what a scan brought, to be able to pass it on.
    fn note_scanned(&mut self, peer: Incarnation, item: &Item) {
        if let Some(member) = self.members.get_mut(&peer)
            && let Some(link) = &mut member.link
            && link.scanned.len() <= NOTED
        {
            link.scanned.push(Key::of(item));
        }
    }

    /// A peer has sent everything up to `claimed`.
    fn caught(&mut self, peer: Incarnation, claimed: &Vector, effects: &mut Effects) {
        let me = self.me();
        let Some(member) = self.members.get_mut(&peer) else {
            return;
        };
        let donor_is_ready = member.is_ready;
        let Some(link) = &mut member.link else { return };
        let was_wanted = link.wants_since.take().is_some();
        let scanned = std::mem::take(&mut link.scanned);
        for (origin, seq) in claimed {
            let known = self.known.get(origin).copied().unwrap_or_default();
            if *origin == me || *seq <= known {
                continue;
            }
            if scanned.len() > NOTED {
                self.logs.drop_until(*origin, *seq);
            } else {
                for key in &scanned {
                    self.logs.note(*origin, *seq, key.clone());
                }
            }
            self.known.insert(*origin, *seq);
        }
        self.reached(effects);
        if was_wanted && donor_is_ready {
            self.become_ready(effects);
        }
        self.owe_status(peer, effects);
    }

    fn owe_status(&mut self, peer: Incarnation, effects: &mut Effects) {
        if let Some(member) = self.members.get_mut(&peer)
            && let Some(link) = &mut member.link
        {
            link.owes_status = true;
            effects.push(Effect::Wake(peer));
        }
    }

    /// Appends frames for `peer` until `out` is about `budget` long; whether more wait.
    ///
    /// All of them must travel over one connection, in their order.
    pub(crate) fn next_frames(
        &mut self,
        now: Now,
        peer: Incarnation,
        out: &mut Vec<u8>,
        budget: usize,
    ) -> bool {
        let Some(member) = self.members.get_mut(&peer) else {
            return false;
        };
        let (mut number, is_ready) = (member.sent, member.is_ready);
        let Some(mut link) = member.link.take() else {
            return false;
        };
        let mut waits = true;
        while out.len() < budget && waits {
            number += 1;
            waits = self.next_frame(now, &mut link, is_ready, number, out);
        }
        if let Some(member) = self.members.get_mut(&peer) {
            member.sent = number;
            member.link = Some(link);
        }
        waits
    }

    /// Appends the next frame for a peer that is ready or not, under this number; whether there was one.
    fn next_frame(
        &mut self,
        now: Now,
        link: &mut Link,
        is_ready: bool,
        number: u64,
        out: &mut Vec<u8>,
    ) -> bool {
        if let Some(message) = link.waiting.pop_front() {
            message.write(link.version, number, out);
            return true;
        }
        if std::mem::take(&mut link.owes_status) {
            self.status(now).write(link.version, number, out);
            return true;
        }
        let own = self.known.get(&self.me()).copied().unwrap_or_default();
        if let Some(cursor) = link.cursor.filter(|cursor| *cursor <= own) {
            if let Some(ops) = self.ring.from(cursor) {
                let mut bytes = 0;
                let chunk: Vec<_> = ops
                    .take_while(|op| {
                        let fits = bytes < PUSH_BYTES;
                        bytes += op.len();
                        fits
                    })
                    .map(|op| &**op)
                    .collect();
                append_push(cursor, &chunk, link.version, number, out);
                link.cursor = Some(cursor + chunk.len() as u64);
                return true;
            }
            if self.has(Fault::GapIgnored) {
                link.cursor = Some(self.ring.first());
                return true;
            }
            // It fell off the ring: what it misses goes as whole states. One that is not ready yet asks for
            // them, and asks one peer alone.
            if link.scan.is_none() && is_ready {
                let mut known = self.known.clone();
                known.insert(self.me(), cursor - 1);
                link.scan = self.scan_since(&known);
            }
        }
        if let Some(mut scan) = link.scan.take() {
            let message = self.scan_step(&mut scan);
            if let Message::Caught { known } = &message {
                if let Some(claimed) = known.get(&self.me()) {
                    link.cursor = link.cursor.map(|cursor| cursor.max(claimed + 1));
                }
                link.scan = link.wanted.take().and_then(|known| self.scan_since(&known));
            } else {
                link.scan = Some(scan);
            }
            message.write(link.version, number, out);
            return true;
        }
        false
    }

    fn status(&mut self, now: Now) -> Message {
        Message::Status {
            known: self.known.clone(),
            time: self.clock.read(now.wall),
            is_ready: self.is_ready,
        }
    }
}
