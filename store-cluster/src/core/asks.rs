//! Questions to the peers about sessions that are not known here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use session_core::SessionId;

use super::cell::Cell;
use super::clock::{Incarnation, Now};
use super::effect::{AskId, Effect, Effects, Refused};
use super::planted::Fault;
use super::replica::Replica;
use super::state::State;
use crate::wire::{Item, Message};

/// Questions under way, and a bucket that bounds how many there are.
#[derive(Debug)]
pub(crate) struct Asks {
    last: u64,
    pending: BTreeMap<AskId, Pending>,
    per_second: u32,
    /// Milliseconds' worth of questions that may be asked at once: a full bucket holds 1,000.
    bucket: u64,
    filled_at: Duration,
}

#[derive(Debug)]
struct Pending {
    waiting: BTreeSet<Incarnation>,
    since: Duration,
    is_certain: bool,
    /// Of a flush: what must be known here of whom.
    heads: BTreeMap<Incarnation, u64>,
}

const FULL: u64 = 1_000_000;

impl Asks {
    pub(crate) const fn new(per_second: u32) -> Self {
        Self {
            last: 0,
            pending: BTreeMap::new(),
            per_second,
            bucket: FULL,
            filled_at: Duration::ZERO,
        }
    }

    /// Takes one question out of the bucket, if it is not empty.
    fn take(&mut self, now: Now) -> bool {
        let gained = now.uptime.saturating_sub(self.filled_at).as_micros();
        let gained = u64::try_from(gained).unwrap_or(u64::MAX);
        self.bucket = self.bucket.saturating_add(gained).min(FULL);
        self.filled_at = now.uptime;
        let price = FULL / u64::from(self.per_second.max(1));
        match self.bucket.checked_sub(price) {
            Some(left) => {
                self.bucket = left;
                true
            }
            None => false,
        }
    }

    /// A peer that cannot answer any more: nobody is certain.
    pub(crate) fn lost(&mut self, peer: Incarnation, effects: &mut Effects) {
        for pending in self.pending.values_mut() {
            if pending.waiting.remove(&peer) {
                pending.is_certain = false;
            }
        }
        self.finish(effects);
    }

    /// Ends what took too long.
    pub(crate) fn tick(&mut self, now: Now, limit: Duration, effects: &mut Effects) {
        for pending in self.pending.values_mut() {
            if now.uptime >= pending.since + limit {
                pending.waiting.clear();
                pending.heads.clear();
                pending.is_certain = false;
            }
        }
        self.finish(effects);
    }

    fn finish(&mut self, effects: &mut Effects) {
        let done: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.waiting.is_empty() && pending.heads.is_empty())
            .map(|(ask, pending)| (*ask, pending.is_certain))
            .collect();
        for (ask, certain) in done {
            self.pending.remove(&ask);
            effects.push(Effect::Answered { ask, certain });
        }
    }
}

impl Replica {
    /// Whether a "no" about a session can be given now; else why not.
    pub(crate) fn certain(&self, asked: super::effect::Asked) -> Result<(), Refused> {
        if self.has(Fault::AbsentWhileNotReady) {
            return Ok(());
        }
        if !self.is_ready {
            return Err(Refused::Unavailable);
        }
        if self.members.is_empty() || asked == super::effect::Asked::Yes {
            return Ok(());
        }
        Err(Refused::Ask)
    }

    /// Asks all peers about a session, once.
    ///
    /// Refused if one that may hold it cannot be asked, or if too many questions are asked.
    pub(crate) fn ask(
        &mut self,
        now: Now,
        id: SessionId,
        effects: &mut Effects,
    ) -> Result<AskId, Refused> {
        let all_linked = self.members.values().all(|member| member.link.is_some());
        if !self.is_ready || !all_linked || !self.asks.take(now) {
            return Err(Refused::Unavailable);
        }
        Ok(self.ask_all(now, |ask| Message::Ask { ask: ask.0, id }, effects))
    }

    /// Asks all peers how far they have come, and answers once all of that is here: whatever was done
    /// anywhere before the call. Not for certain if one of them cannot be asked, or it takes too long.
    pub(crate) fn flush(&mut self, now: Now, effects: &mut Effects) -> AskId {
        let ask = self.ask_all(now, |ask| Message::Flush { ask: ask.0 }, effects);
        let all_linked = self.members.values().all(|member| member.link.is_some());
        if let Some(pending) = self.asks.pending.get_mut(&ask) {
            pending.is_certain = all_linked && self.is_ready;
        }
        ask
    }

    fn ask_all(
        &mut self,
        now: Now,
        question: impl Fn(AskId) -> Message,
        effects: &mut Effects,
    ) -> AskId {
        self.asks.last += 1;
        let ask = AskId(self.asks.last);
        let mut waiting = BTreeSet::new();
        for (peer, member) in &mut self.members {
            if let Some(link) = &mut member.link {
                link.say(question(ask));
                waiting.insert(*peer);
                effects.push(Effect::Wake(*peer));
            }
        }
        if waiting.is_empty() {
            let certain = self.members.is_empty() && self.is_ready;
            effects.push(Effect::Answered { ask, certain });
            return ask;
        }
        let pending = Pending {
            waiting,
            since: now.uptime,
            is_certain: true,
            heads: BTreeMap::new(),
        };
        self.asks.pending.insert(ask, pending);
        ask
    }

    /// A peer asks how far this replica has come.
    pub(crate) fn flushed(&mut self, peer: Incarnation, ask: u64, effects: &mut Effects) {
        let seq = self.next_seq() - 1;
        if let Some(member) = self.members.get_mut(&peer)
            && let Some(link) = &mut member.link
        {
            link.say(Message::Head { ask, seq });
            effects.push(Effect::Wake(peer));
        }
    }

    /// A peer said how far it has come.
    pub(crate) fn headed(&mut self, peer: Incarnation, ask: u64, seq: u64, effects: &mut Effects) {
        if let Some(pending) = self.asks.pending.get_mut(&AskId(ask))
            && pending.waiting.remove(&peer)
        {
            pending.heads.insert(peer, seq);
        }
        self.reached(effects);
    }

    /// More is known: flushes may be done.
    pub(crate) fn reached(&mut self, effects: &mut Effects) {
        let known = &self.known;
        for pending in self.asks.pending.values_mut() {
            pending
                .heads
                .retain(|origin, seq| known.get(origin).copied().unwrap_or_default() < *seq);
        }
        self.asks.finish(effects);
    }

    /// A peer asks: all that is known here goes back.
    pub(crate) fn answer(
        &mut self,
        peer: Incarnation,
        ask: u64,
        id: SessionId,
        effects: &mut Effects,
    ) {
        let state = self.cells.get(id).map(Cell::state);
        let is_certain = self.is_ready;
        if let Some(member) = self.members.get_mut(&peer)
            && let Some(link) = &mut member.link
        {
            let state = state.map(|state| (id, state));
            link.say(Message::Answer {
                ask,
                state,
                is_certain,
            });
            effects.push(Effect::Wake(peer));
        }
    }

    /// A peer answered.
    pub(crate) fn answered(
        &mut self,
        now: Now,
        peer: Incarnation,
        ask: u64,
        state: Option<(SessionId, State)>,
        is_certain: bool,
        effects: &mut Effects,
    ) {
        if let Some((id, state)) = state {
            let is_end = matches!(state, State::Dead(_));
            if !(is_end && self.has(Fault::EndIsAMiss)) {
                self.learn(now, id, state, is_question(ask), effects);
            }
            let found = self.cells.record(id);
            if found.is_some_and(|record| record.is_live(now.wall)) {
                // The first "yes" is enough.
                if let Some(pending) = self.asks.pending.get_mut(&AskId(ask)) {
                    pending.waiting.clear();
                    pending.is_certain = true;
                }
            }
        }
        if let Some(pending) = self.asks.pending.get_mut(&AskId(ask))
            && pending.waiting.remove(&peer)
        {
            pending.is_certain &= is_certain;
        }
        self.asks.finish(effects);
    }

    /// Joins what a peer answered. What it answered to a question becomes an operation of this replica's
    /// own, so that it reaches everybody even if that peer dies before it has told anybody else.
    fn learn(
        &mut self,
        now: Now,
        id: SessionId,
        state: State,
        is_told: bool,
        effects: &mut Effects,
    ) {
        let before = self.cells.get(id).map(Cell::state);
        self.integrate(now, None, Item::Session(id, state), effects);
        let after = self.cells.get(id).map(Cell::state);
        if is_told
            && after != before
            && let Some(state) = after
        {
            self.commit(now, vec![Item::Session(id, state)], effects);
        }
    }
}

/// Whether somebody waits for the answer. Nobody does where a part came before its session.
const fn is_question(ask: u64) -> bool {
    ask != 0
}
