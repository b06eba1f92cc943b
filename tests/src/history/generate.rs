//! The generator: calls that follow from a seed and from what the oracle knows, so that every answer
//! comes up often. (Calls drawn blindly find dead sessions nearly always.)

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use session_core::{
    Freshness, LimitPolicy, Record, SessionId, SignInLimit, Subject, Ticket, Timeouts,
};

use super::answer::Answer;
use super::call::{Call, Draft, Edit};
use super::oracle::Oracle;
use super::world::{World, place};

/// What a call is after. Which answer comes is for the oracle to say.
#[derive(Clone, Copy, Debug)]
enum Goal {
    Create,
    CreateTaken,
    CreateTooLarge,
    LoadLive,
    LoadEnded,
    LoadAbsent,
    Apply,
    ApplyAbsent,
    ApplyConflict,
    ApplyTooLarge,
    EndLive,
    EndDead,
    Ticket,
    SignIn,
    SignInAsOne,
    SignInEnding,
    SignInAgain,
    SignInRevoked,
    SignInTaken,
    SignInAtLimit,
    SignInTooLarge,
    SignInWrongShard,
    ListSome,
    ListNone,
    RevokeSome,
    RevokeNone,
    MoveClock,
}

/// How often each goal is tried, in parts of their sum.
const GOALS: [(Goal, usize); 27] = [
    (Goal::Create, 40),
    (Goal::CreateTaken, 26),
    (Goal::CreateTooLarge, 22),
    (Goal::LoadLive, 60),
    (Goal::LoadEnded, 44),
    (Goal::LoadAbsent, 22),
    (Goal::Apply, 300),
    (Goal::ApplyAbsent, 36),
    (Goal::ApplyConflict, 40),
    (Goal::ApplyTooLarge, 28),
    (Goal::EndLive, 32),
    (Goal::EndDead, 26),
    (Goal::Ticket, 20),
    (Goal::SignIn, 50),
    (Goal::SignInAsOne, 14),
    (Goal::SignInEnding, 32),
    (Goal::SignInAgain, 24),
    (Goal::SignInRevoked, 36),
    (Goal::SignInTaken, 46),
    (Goal::SignInAtLimit, 54),
    (Goal::SignInTooLarge, 28),
    (Goal::SignInWrongShard, 27),
    (Goal::ListSome, 44),
    (Goal::ListNone, 24),
    (Goal::RevokeSome, 58),
    (Goal::RevokeNone, 20),
    (Goal::MoveClock, 110),
];

/// More live sessions than this are too many to meet again.
const LIVE: usize = 7;

/// A source of calls.
#[derive(Debug)]
pub(super) struct Generator {
    pub(super) world: World,
    pub(super) moves_clock: bool,
    last: Option<SessionId>,
    tickets: Vec<Ticket>,
    /// Records that the store gave, by which a change may start.
    pub(super) copies: BTreeMap<SessionId, Vec<Record>>,
}

impl Generator {
    pub(super) fn new(world: World, moves_clock: bool) -> Self {
        Self {
            world,
            moves_clock,
            last: None,
            tickets: Vec::new(),
            copies: BTreeMap::new(),
        }
    }

    /// The next call.
    pub(super) fn call(&mut self, oracle: &Oracle) -> Call {
        loop {
            let goal = self.goal();
            if let Some(call) = self.toward(goal, oracle) {
                self.last = call.id().or(self.last);
                return call;
            }
        }
    }

    /// Takes note of what the store answered.
    pub(super) fn hear(&mut self, call: &Call, answer: &Answer<Record>) {
        if let Answer::Ticket(ticket) = answer {
            self.tickets.push(ticket.clone());
        }
        let record = match answer {
            Answer::Created(record)
            | Answer::Live(record)
            | Answer::Applied { record, .. }
            | Answer::Admitted { record, .. } => record,
            _ => return,
        };
        if let Some(id) = call.id() {
            self.copies.entry(id).or_default().push(record.clone());
        }
    }

    /// Whether the store ever gave this record of this session.
    pub(super) fn heard(&self, id: SessionId, record: &Record) -> bool {
        self.copies
            .get(&id)
            .is_some_and(|copies| copies.contains(record))
    }

    fn goal(&mut self) -> Goal {
        let mut at = self
            .world
            .rng
            .below(GOALS.iter().map(|(_, weight)| weight).sum());
        for (goal, weight) in GOALS {
            match at.checked_sub(weight) {
                Some(rest) => at = rest,
                None => return goal,
            }
        }
        Goal::Apply
    }

    fn toward(&mut self, goal: Goal, oracle: &Oracle) -> Option<Call> {
        match goal {
            Goal::Create => {
                if oracle.live_ids().len() >= LIVE {
                    return self.toward(Goal::EndLive, oracle);
                }
                let id = self.world.id(None);
                let draft = self.world.draft(None);
                Some(Call::Create { id, draft })
            }
            Goal::CreateTaken => {
                let taken = [oracle.live_ids(), oracle.ended_ids()].concat();
                let id = self.among(&taken)?;
                let draft = self.world.draft(None);
                Some(Call::Create { id, draft })
            }
            Goal::CreateTooLarge => {
                let id = self.world.id(None);
                let draft = self.too_large()?;
                Some(Call::Create { id, draft })
            }
            Goal::LoadLive => self.load(&oracle.live_ids()),
            Goal::LoadEnded => self.load(&oracle.ended_ids()),
            Goal::LoadAbsent => {
                let id = self.absent(oracle);
                self.load(&[id])
            }
            Goal::Apply => {
                let id = self.among(&oracle.live_ids())?;
                let plan = self.plan(oracle.state.live(id)?, oracle.state.now);
                Some(self.apply(id, plan))
            }
            Goal::ApplyAbsent => {
                let ended = oracle.ended_ids();
                let id = match self.among(&ended) {
                    Some(id) if !self.world.rng.one_in(3) => id,
                    _ => self.absent(oracle),
                };
                let mut plan = self.some_plan();
                plan.guard = self.copy(id, true).map(|copy| copy.revision());
                Some(self.apply(id, plan.built()))
            }
            Goal::ApplyConflict => {
                let id = self.among(&oracle.live_ids())?;
                let plan = self.conflicting(id, oracle.state.live(id)?);
                Some(self.apply(id, plan))
            }
            Goal::ApplyTooLarge => {
                let id = self.among(&oracle.live_ids())?;
                let mut plan = self.some_plan();
                let sets = self.world.too_many()?.into_iter();
                plan.edits
                    .extend(sets.map(|(name, value)| Edit::Set(name, value)));
                Some(self.apply(id, plan.built()))
            }
            Goal::EndLive => {
                let id = self.among(&oracle.live_ids())?;
                Some(Call::Delete { id })
            }
            Goal::EndDead => {
                let id = match self.among(&oracle.ended_ids()) {
                    Some(id) if !self.world.rng.one_in(3) => id,
                    _ => self.absent(oracle),
                };
                Some(Call::Delete { id })
            }
            Goal::Ticket => {
                let subject = self.world.subject();
                Some(Call::Ticket { subject })
            }
            Goal::SignIn => {
                if oracle.live_ids().len() >= LIVE {
                    return self.toward(Goal::EndLive, oracle);
                }
                let max = LIVE + 1 + self.world.rng.below(3);
                let limit = self.limit(max).filter(|_| self.world.rng.one_in(2));
                self.sign_in(oracle, limit, None)
            }
            Goal::SignInAsOne => {
                let ticket = self.good_ticket(oracle)?;
                let live = oracle.live_ids_of(ticket.subject());
                let predecessor = self.among(&live)?;
                let limit = self.limit(live.len());
                self.sign_in_under(ticket, limit, Some(predecessor))
            }
            Goal::SignInEnding => {
                let ticket = self.good_ticket(oracle)?;
                let live = oracle.live_ids_of(ticket.subject()).len();
                let policy = LimitPolicy::EndOldest;
                let max = NonZeroUsize::new(1 + self.world.rng.below(live.max(1)))?;
                self.sign_in_under(ticket, Some(SignInLimit { max, policy }), None)
            }
            Goal::SignInAgain => {
                let used = |ticket: &&Ticket| oracle.is_good(ticket) && oracle.was_used(ticket);
                let used: Vec<_> = self.tickets.iter().filter(used).cloned().collect();
                let next = self.world.any_of(&used)?.next_attempt();
                self.tickets.push(next.clone());
                let limit = self.limit(LIVE).filter(|_| self.world.rng.one_in(3));
                self.sign_in_under(next, limit, None)
            }
            Goal::SignInRevoked => {
                let bad = |ticket: &&Ticket| !oracle.is_good(ticket);
                let bad: Vec<_> = self.tickets.iter().filter(bad).cloned().collect();
                let ticket = self.world.any_of(&bad)?;
                self.sign_in_under(ticket, None, None)
            }
            Goal::SignInTaken => {
                let ticket = self.good_ticket(oracle)?;
                let subject = ticket.subject();
                let ended = oracle.ended_ids_of(subject, &self.world);
                let taken = [oracle.live_ids_of(subject), ended].concat();
                let id = self.among(&taken)?;
                let draft = self.world.draft(None);
                Some(Call::SignIn {
                    ticket,
                    id,
                    draft,
                    limit: None,
                })
            }
            Goal::SignInAtLimit => {
                let ticket = self.good_ticket(oracle)?;
                let live = oracle.live_ids_of(ticket.subject()).len();
                let policy = LimitPolicy::Refuse;
                let max = NonZeroUsize::new(1 + self.world.rng.below(live.max(1)))?;
                self.sign_in_under(ticket, Some(SignInLimit { max, policy }), None)
            }
            Goal::SignInTooLarge => {
                let ticket = self.good_ticket(oracle)?;
                let id = self.world.id(Some(ticket.subject()));
                let draft = self.too_large()?;
                Some(Call::SignIn {
                    ticket,
                    id,
                    draft,
                    limit: None,
                })
            }
            Goal::SignInWrongShard => {
                let ticket = self.good_ticket(oracle)?;
                let mut bytes = *self.world.id(Some(ticket.subject())).as_bytes();
                bytes[self.world.rng.below(2)] ^= 1 << self.world.rng.below(8);
                let draft = self.world.draft(None);
                Some(Call::SignIn {
                    ticket,
                    id: SessionId::from_bytes(bytes),
                    draft,
                    limit: None,
                })
            }
            Goal::ListSome => {
                let id = self.among(&oracle.owned_ids())?;
                let subject = oracle.owner_of(id)?;
                Some(Call::SessionsOf { subject })
            }
            Goal::ListNone => {
                let subject = self.lonely(oracle)?;
                Some(Call::SessionsOf { subject })
            }
            Goal::RevokeSome => {
                let id = self.among(&oracle.owned_ids())?;
                let subject = oracle.owner_of(id)?;
                let except = match self.world.rng.below(4) {
                    0 | 1 => None,
                    2 => self.among(&oracle.live_ids_of(&subject)),
                    _ => self.among(&oracle.live_ids()),
                };
                Some(Call::Revoke { subject, except })
            }
            Goal::RevokeNone => {
                let subject = self.lonely(oracle)?;
                let except = self.among(&oracle.ended_ids());
                Some(Call::Revoke { subject, except })
            }
            Goal::MoveClock => self.moves_clock.then(|| self.advance(oracle)),
        }
    }

    /// One of `ids`; often the one that the call before was about.
    fn among(&mut self, ids: &[SessionId]) -> Option<SessionId> {
        let again = self.last.filter(|id| ids.contains(id));
        if again.is_some() && !self.world.rng.one_in(3) {
            return again;
        }
        // In an order that follows from the seed, as their shards do not.
        let mut ids = ids.to_vec();
        ids.sort_by_key(place);
        self.world.any_of(&ids)
    }

    /// An id that is not there, and was not ended of late.
    fn absent(&mut self, oracle: &Oracle) -> SessionId {
        match self.among(&oracle.gone_ids()) {
            Some(id) if !self.world.rng.one_in(4) => id,
            _ => self.world.id(None),
        }
    }

    /// A subject without a live session.
    fn lonely(&mut self, oracle: &Oracle) -> Option<Subject> {
        let subjects = self.world.subjects.clone();
        let lonely = |subject: &&Subject| oracle.live_ids_of(subject).is_empty();
        let lonely: Vec<_> = subjects.iter().filter(lonely).cloned().collect();
        self.world.any_of(&lonely)
    }

    fn load(&mut self, ids: &[SessionId]) -> Option<Call> {
        let id = self.among(ids)?;
        let freshness = self
            .world
            .one_of(&[Freshness::Source, Freshness::Source, Freshness::Any]);
        Some(Call::Load { id, freshness })
    }

    fn good_ticket(&mut self, oracle: &Oracle) -> Option<Ticket> {
        let good = |ticket: &&Ticket| oracle.is_good(ticket);
        let good: Vec<_> = self.tickets.iter().filter(good).cloned().collect();
        self.world.any_of(&good)
    }

    fn sign_in(
        &mut self,
        oracle: &Oracle,
        limit: Option<SignInLimit>,
        predecessor: Option<SessionId>,
    ) -> Option<Call> {
        let Some(ticket) = self.good_ticket(oracle) else {
            return self.toward(Goal::Ticket, oracle);
        };
        let any = [oracle.live_ids(), oracle.ended_ids()].concat();
        let other = self.among(&any).filter(|_| self.world.rng.one_in(3));
        self.sign_in_under(ticket, limit, predecessor.or(other))
    }

    fn sign_in_under(
        &mut self,
        ticket: Ticket,
        limit: Option<SignInLimit>,
        predecessor: Option<SessionId>,
    ) -> Option<Call> {
        let id = self.world.id(Some(ticket.subject()));
        let draft = self.world.draft(predecessor);
        Some(Call::SignIn {
            ticket,
            id,
            draft,
            limit,
        })
    }

    fn limit(&mut self, max: usize) -> Option<SignInLimit> {
        let policy = self
            .world
            .one_of(&[LimitPolicy::EndOldest, LimitPolicy::Refuse]);
        let max = NonZeroUsize::new(max)?;
        Some(SignInLimit { max, policy })
    }

    fn too_large(&mut self) -> Option<Draft> {
        let entries = self.world.too_many()?;
        let secret = self.world.secret();
        Some(Draft::new(secret, Timeouts::default(), entries, None))
    }

    /// Moves the clock: a little, or to just where something changes.
    fn advance(&mut self, oracle: &Oracle) -> Call {
        let now = oracle.state.now;
        let millis = match self.world.rng.below(20) {
            0..8 => self.world.rng.below(4_000),
            8 => self.world.rng.below(90_000),
            _ => {
                let mut turns = oracle.turns();
                turns.retain(|turn| now < *turn && *turn - now < 660_000);
                let far = self.world.rng.one_in(5);
                turns.retain(|turn| far || *turn - now < 65_000);
                turns.sort_unstable();
                let turn = self.world.any_of(&turns).unwrap_or(now);
                let side = self.world.rng.below(3);
                usize::try_from((turn - now).saturating_sub(1)).unwrap_or_default() + side
            }
        };
        Call::Advance(Duration::from_millis(
            u64::try_from(millis).unwrap_or_default(),
        ))
    }
}
