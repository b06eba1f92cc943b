//! The changes that a history asks for: likely to be applied, or likely to be refused.

use std::time::Duration;

use session_core::{Record, Renewal, Revision, SecretHash, SessionId};

use super::call::{Call, Plan};
use super::generate::Generator;
use super::plain::{Session, Stands};

impl Generator {
    pub(super) fn apply(&mut self, id: SessionId, plan: Plan) -> Call {
        let seen = match self.world.rng.below(4) {
            0 => None,
            1 => self.copy(id, false),
            _ => self.copy(id, true),
        };
        Call::Apply { id, plan, seen }
    }

    /// A copy of a record that the store gave: the latest; or any, or the first of the latest revision.
    pub(super) fn copy(&mut self, id: SessionId, latest: bool) -> Option<Record> {
        let copies = self.copies.get(&id)?;
        let (earlier, same) = (self.world.rng.below(copies.len()), self.world.rng.one_in(2));
        let last = copies.last()?;
        if latest {
            Some(last.clone())
        } else if same {
            copies
                .iter()
                .find(|copy| copy.revision() == last.revision())
                .cloned()
        } else {
            copies.get(earlier).cloned()
        }
    }

    /// A change that is likely to be applied.
    pub(super) fn plan(&mut self, session: &Session, now: u64) -> Plan {
        if self.world.rng.one_in(8) {
            let touch = !self.world.rng.one_in(8);
            return Plan {
                touch,
                ..Plan::new()
            }
            .built();
        }
        let mut plan = self.some_plan();
        if self.world.rng.one_in(5) {
            plan.guard = Some(Revision::from_u64(session.revision));
        }
        if self.world.rng.one_in(3) {
            let waits = session.secrets.iter().filter(|secret| {
                secret.standing == Stands::Unpresented && now < secret.accepted_until
            });
            let any = session.secrets.iter();
            let chosen: Vec<_> = match self.world.rng.below(4) {
                0 => any.collect(),
                _ => waits.collect(),
            };
            plan.promote = self
                .world
                .any_of(&chosen)
                .map(|secret| SecretHash::from_bytes(secret.hash));
        }
        if self.world.rng.one_in(3) {
            let soft = self.world.rng.one_in(3);
            let accepted = session.secrets.iter().filter(|secret| {
                soft || secret.standing != Stands::Former && now < secret.accepted_until
            });
            let replaces = self.world.any_of(&accepted.collect::<Vec<_>>());
            plan.renew = replaces.map(|secret| Renewal {
                issue: self.world.secret(),
                replaces: SecretHash::from_bytes(secret.hash),
                soft,
            });
        }
        plan.settle = self
            .world
            .rng
            .one_in(if session.predecessor.is_some() { 4 } else { 20 });
        plan.built()
    }

    /// A change without any part that may be refused.
    pub(super) fn some_plan(&mut self) -> Plan {
        let mut plan = Plan::new();
        if !self.world.rng.one_in(4) {
            plan.edits = self.world.edits();
        }
        plan.touch = self.world.rng.one_in(2);
        if self.world.rng.one_in(16) {
            let lives = [3_600_000, 3_600_000, 43_200_000, u64::MAX];
            let short = [0, 1, 20_000];
            let life = match self.moves_clock && self.world.rng.one_in(4) {
                true => self.world.one_of(&short),
                false => self.world.one_of(&lives),
            };
            plan.shorten = Some(Duration::from_millis(life));
        }
        plan.built()
    }

    /// A change that is likely to be refused.
    pub(super) fn conflicting(&mut self, id: SessionId, session: &Session) -> Plan {
        let mut plan = self.some_plan();
        let old = self.copy(id, false).map(|copy| copy.revision());
        let former = session
            .secrets
            .iter()
            .find(|secret| secret.standing == Stands::Former);
        match self.world.rng.below(3) {
            0 => plan.guard = old,
            1 => plan.guard = Some(Revision::random()),
            _ => {
                let replaces = former.map_or_else(
                    || self.world.secret(),
                    |former| SecretHash::from_bytes(former.hash),
                );
                plan.renew = Some(Renewal {
                    issue: self.world.secret(),
                    replaces,
                    soft: false,
                });
            }
        }
        plan.built()
    }
}
