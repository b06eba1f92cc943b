//! The replica: all that one node holds and knows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use session_core::{SessionId, Shard, Subject, Timestamp};

use super::asks::Asks;
use super::cells::{Cells, Usage};
use super::clock::{HybridClock, Incarnation, Now};
use super::effect::{Effect, Effects};
use super::fence::Fence;
use super::link::Link;
use super::log::Logs;
use super::member::{Member, Presence, Reports, Stability};
use super::options::ReplicaOptions;
use super::ring::Ring;
use super::tries::Tries;
use crate::wire::{Message, Vector};

/// One node's sessions, and what it knows of the others.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) options: ReplicaOptions,
    pub(crate) clock: HybridClock,
    pub(crate) cells: Cells,
    pub(crate) fences: BTreeMap<Subject, Fence>,
    pub(crate) tries: Tries,
    /// Sessions touched since touches were last told.
    pub(crate) touched: BTreeMap<SessionId, Timestamp>,
    /// Per origin, up to which of its operations all are applied. No operation before it is missing.
    pub(crate) known: Vector,
    pub(crate) logs: Logs,
    pub(crate) ring: Ring,
    pub(crate) members: BTreeMap<Incarnation, Member>,
    /// Those that never come back.
    pub(crate) gone: BTreeSet<Incarnation>,
    pub(crate) own_reports: Reports,
    pub(crate) stability: Stability,
    pub(crate) asks: Asks,
    pub(crate) is_ready: bool,
    pub(crate) timers: Timers,
    #[cfg(test)]
    pub(crate) planted: Option<super::planted::Fault>,
    #[cfg(test)]
    pub(crate) halves: Vec<crate::wire::Item>,
}

/// When what was last done.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    pub(crate) gossip: Duration,
    pub(crate) touches: Duration,
    pub(crate) audit: Duration,
    /// Whose turn in gossip and audit it was.
    pub(crate) turn: Option<Incarnation>,
    /// The bucket that the next audit begins with.
    pub(crate) bucket: u16,
    /// Up to where the sweep came.
    pub(crate) swept: Option<SessionId>,
    /// Before this instant nothing expires, as far as the last full sweep saw and what came since.
    pub(crate) first_expiry: Timestamp,
}

/// A peer that sent nothing of what was wanted for so long is asked again, or another one is.
const WANT_LIMIT: Duration = Duration::from_secs(10);

impl Replica {
    pub(crate) fn new(options: ReplicaOptions) -> Self {
        Self {
            clock: HybridClock::new(options.incarnation),
            cells: Cells::default(),
            fences: BTreeMap::new(),
            tries: Tries::default(),
            touched: BTreeMap::new(),
            known: Vector::new(),
            logs: Logs::default(),
            ring: Ring::new(options.ring_bytes),
            members: BTreeMap::new(),
            gone: BTreeSet::new(),
            own_reports: Reports::default(),
            stability: Stability::default(),
            asks: Asks::new(options.asks_per_second),
            is_ready: false,
            timers: Timers::default(),
            options,
            #[cfg(test)]
            planted: None,
            #[cfg(test)]
            halves: Vec::new(),
        }
    }

    pub(crate) const fn is_ready(&self) -> bool {
        self.is_ready
    }

    pub(crate) const fn usage(&self) -> Usage {
        self.cells.usage()
    }

    /// Whether a peer must be turned away at the handshake, for ever.
    pub(crate) fn refuses(&self, peer: Incarnation) -> bool {
        peer == self.me() || self.gone.contains(&peer)
    }

    /// Nobody else holds anything: there is nobody to learn from.
    pub(crate) fn cold_start(&mut self, effects: &mut Effects) {
        self.become_ready(effects);
    }

    pub(crate) fn become_ready(&mut self, effects: &mut Effects) {
        if !self.is_ready {
            self.is_ready = true;
            effects.push(Effect::Ready);
            self.say_status(effects);
        }
    }

    /// A link to a peer stands.
    pub(crate) fn linked(&mut self, _: Now, peer: Incarnation, version: u8, effects: &mut Effects) {
        if self.refuses(peer) {
            return;
        }
        let member = self.members.entry(peer).or_insert_with(Member::new);
        member.presence = Presence::Up;
        member.link = Some(Link::new(version));
        effects.push(Effect::Wake(peer));
    }

    /// A link is gone, and with it what was under way on it.
    pub(crate) fn unlinked(&mut self, _: Now, peer: Incarnation, effects: &mut Effects) {
        if let Some(member) = self.members.get_mut(&peer) {
            member.link = None;
        }
        self.asks.lost(peer, effects);
    }

    /// Membership says this of a peer.
    pub(crate) fn member(
        &mut self,
        now: Now,
        peer: Incarnation,
        presence: Presence,
        effects: &mut Effects,
    ) {
        if peer == self.me() || self.gone.contains(&peer) {
            return;
        }
        if presence == Presence::Gone {
            self.unlinked(now, peer, effects);
            self.members.remove(&peer);
            self.gone.insert(peer);
            return;
        }
        let member = self.members.entry(peer).or_insert_with(Member::new);
        member.presence = presence;
    }

    /// What is to be done from time to time: call it about every 50 ms.
    pub(crate) fn tick(&mut self, now: Now, effects: &mut Effects) {
        #[cfg(test)]
        for half in std::mem::take(&mut self.halves) {
            self.integrate(now, None, half, effects);
        }
        self.asks.tick(now, self.options.ask_limit, effects);
        self.sweep(now, effects);
        if now.uptime >= self.timers.touches + self.options.touches_every {
            self.timers.touches = now.uptime;
            self.tell_touches(now, effects);
        }
        if now.uptime >= self.timers.gossip + self.options.gossip_every {
            self.timers.gossip = now.uptime;
            self.settle(now);
            self.gossip(now, effects);
        }
        if now.uptime >= self.timers.audit + self.options.audit_every {
            self.timers.audit = now.uptime;
            self.audit(now, effects);
        }
    }

    /// Says to one peer what is known here, and asks it for what is known there alone.
    fn gossip(&mut self, now: Now, effects: &mut Effects) {
        let Some(peer) = self.next_turn() else { return };
        self.timers.turn = Some(peer);
        for (other, member) in &mut self.members {
            if let Some(link) = &mut member.link
                && (*other == peer || link.owes_status)
            {
                link.owes_status = true;
                effects.push(Effect::Wake(*other));
            }
        }
        if !self.is_ready {
            // By turns: a donor from which nothing comes is not asked for ever.
            self.want(now, peer, effects);
            return;
        }
        let peers: Vec<_> = self.members.keys().copied().collect();
        for peer in peers {
            self.want(now, peer, effects);
        }
    }

    /// The next linked peer.
    pub(crate) fn next_turn(&self) -> Option<Incarnation> {
        let linked = || {
            let members = self.members.iter();
            members.filter_map(|(peer, member)| member.link.as_ref().map(|_| *peer))
        };
        linked()
            .find(|peer| self.timers.turn.is_none_or(|last| *peer > last))
            .or_else(|| linked().next())
    }

    /// Asks a peer for what it said that it knows and is not known here. What it does itself it pushes.
    ///
    /// Who is not ready yet lacks everything that anybody knows, and asks one peer at a time for it.
    pub(crate) fn want(&mut self, now: Now, peer: Incarnation, effects: &mut Effects) {
        let (me, is_ready) = (self.me(), self.is_ready);
        let is_owed = |member: &Member| {
            let since = member.link.as_ref().and_then(|link| link.wants_since);
            since.is_some_and(|since| now.uptime < since + WANT_LIMIT)
        };
        if !is_ready && self.members.values().any(is_owed) {
            return;
        }
        let Some(member) = self.members.get_mut(&peer) else {
            return;
        };
        let is_owed = is_owed(member);
        let Some(link) = &mut member.link else { return };
        let leads = member.acked.iter().any(|(origin, seq)| {
            let known = self.known.get(origin).copied().unwrap_or_default();
            *origin != me && *origin != peer && known < *seq
        });
        let is_donor = !is_ready && member.is_ready;
        if !is_owed && (leads || is_donor) {
            link.wants_since = Some(now.uptime);
            link.say(Message::Want {
                known: self.known.clone(),
            });
            effects.push(Effect::Wake(peer));
        }
    }

    /// Finds up to which stamp everything is everywhere, and lets go of what nobody needs.
    fn settle(&mut self, now: Now) {
        let me = self.me();
        let own = self.known.get(&me).copied().unwrap_or_default();
        self.own_reports.add(own, self.clock.read(now.wall));
        let floor = |origin: &Incarnation| {
            let acked = self.members.iter().filter(|(peer, _)| *peer != origin);
            acked
                .map(|(_, member)| member.acked.get(origin).copied().unwrap_or_default())
                .chain(self.known.get(origin).copied())
                .min()
                .unwrap_or_default()
        };
        let floors: Vec<_> = self
            .known
            .keys()
            .map(|origin| (*origin, floor(origin)))
            .collect();
        let mut stable = u64::MAX;
        let mut is_spread = true;
        for (origin, seq) in &floors {
            self.logs.drop_until(*origin, *seq);
            if *origin == me {
                self.ring.drop_until(*seq);
            } else if !self.members.contains_key(origin) {
                // What one that is gone did must be everywhere, or it counts as under way.
                is_spread &= self.known.get(origin) == Some(seq);
            }
        }
        let floor_of = |origin: &Incarnation| {
            let found = floors.iter().find(|(other, _)| other == origin);
            found.map_or(0, |(_, seq)| *seq)
        };
        self.own_reports.settle(floor_of(&me));
        stable = stable.min(self.own_reports.stable);
        for (peer, member) in &mut self.members {
            member.reports.settle(floor_of(peer));
            stable = stable.min(member.reports.stable);
        }
        self.logs.bound(self.options.log_len);
        if is_spread && self.is_ready {
            let delay = self.options.settle;
            self.stability.reach(now.uptime, stable, delay);
        }
    }

    /// Makes all links say what is known here.
    pub(crate) fn say_status(&mut self, effects: &mut Effects) {
        for (peer, member) in &mut self.members {
            if let Some(link) = &mut member.link {
                link.owes_status = true;
                effects.push(Effect::Wake(*peer));
            }
        }
    }

    pub(crate) fn wake_all(&self, effects: &mut Effects) {
        let linked = self
            .members
            .iter()
            .filter(|(_, member)| member.link.is_some());
        effects.extend(linked.map(|(peer, _)| Effect::Wake(*peer)));
    }

    pub(crate) const fn me(&self) -> Incarnation {
        self.options.incarnation
    }

    pub(crate) fn shard_of(&self, subject: &Subject) -> Shard {
        self.options.sharding.shard_of(subject)
    }
}
