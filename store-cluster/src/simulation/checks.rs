//! What must hold once the cluster has come to rest.

use std::collections::{BTreeMap, BTreeSet};

use session_core::{SessionId, Sharding, Timestamp};

use super::clients::{LIMIT, is_limited, subjects};
use super::ledger::check_record;
use super::world::World;
use crate::core::{Replica, State};

impl World {
    /// Checks all that was promised.
    pub(super) fn check_at_rest(&mut self) {
        if self.violation.is_none()
            && let Err(what) = self.at_rest()
        {
            self.violate(what);
        }
    }

    fn at_rest(&self) -> Result<(), String> {
        if !self.has_converged() {
            let known: Vec<_> = self
                .nodes
                .iter()
                .map(|node| node.replica.as_ref().map(|it| (it.is_ready(), &it.known)))
                .collect();
            return Err(format!(
                "the nodes did not come to know the same: {known:?}"
            ));
        }
        let replicas: Vec<&Replica> = self
            .nodes
            .iter()
            .filter_map(|node| node.replica.as_ref())
            .collect();
        self.equal(&replicas)?;
        for (index, replica) in replicas.iter().enumerate() {
            self.kept(index, replica)?;
        }
        Ok(())
    }

    /// All nodes hold the same sessions, to the register. What a node that died had not told of yet is only
    /// the last use of a session: one of the others may have heard of it.
    fn equal(&self, replicas: &[&Replica]) -> Result<(), String> {
        // What some clock says is over may have been removed there.
        let over = Timestamp::from_millis(self.wall(0)).shifted(60_000);
        let all = |replica: &Replica| -> BTreeMap<SessionId, State> {
            let states = replica
                .all_states()
                .filter_map(|(id, mut state)| match &mut state {
                    State::Live(live) if live.deadline > over => {
                        // Removals are let go of, here earlier, there later.
                        live.entries.retain(|_, register| register.value.is_some());
                        if self.has_crashed {
                            live.last_seen = Timestamp::MIN;
                        }
                        Some((id, state))
                    }
                    _ => None,
                });
            states.collect()
        };
        let first = all(replicas[0]);
        for (index, replica) in replicas.iter().enumerate().skip(1) {
            let other = all(replica);
            for (id, state) in &first {
                match other.get(id) {
                    None => return Err(format!("node {index} lacks {id}, which node 0 has")),
                    Some(theirs) if theirs != state => {
                        return Err(format!(
                            "node 0 and node {index} differ on {id}: {state:?}\n{theirs:?}"
                        ));
                    }
                    Some(_) => {}
                }
            }
            if let Some((id, _)) = other.iter().find(|(id, _)| !first.contains_key(id)) {
                return Err(format!("node {index} has {id}, which node 0 lacks"));
            }
        }
        Ok(())
    }

    /// Nothing that was promised is missing, and nothing that ended lives.
    fn kept(&self, index: usize, replica: &Replica) -> Result<(), String> {
        let now = Timestamp::from_millis(self.wall(index));
        // What only a node knew that died since was never acknowledged.
        let ended: BTreeSet<_> = self
            .ledger
            .ended_at
            .iter()
            .filter(|(node, _)| self.index_of(*node).is_some())
            .map(|(_, id)| *id)
            .collect();
        for (id, known) in &self.ledger.sessions {
            let record = replica.record_of(*id).filter(|record| record.is_live(now));
            if let Some(record) = record {
                check_record(*id, known, record)?;
                if known.is_ended || ended.contains(id) {
                    return Err(format!("{id} ended, and lives on node {index}"));
                }
                if self.ledger.is_revoked(known) {
                    return Err(format!("{id} was revoked, and lives on node {index}"));
                }
                let Some(State::Live(live)) = replica.state_of(*id) else {
                    continue;
                };
                for (name, stamp) in &known.acked {
                    let register = live.entries.get(name.as_str());
                    // A later removal is let go of once everybody has it.
                    if register.is_some_and(|register| register.stamp < *stamp) {
                        return Err(format!("an acknowledged write to {id} is lost"));
                    }
                }
            } else if known.is_acked
                && !known.may_be_over
                && !self.ledger.may_be_revoked(known)
                && self.now < known.lives_until
            {
                return Err(format!("{id} was acknowledged, and node {index} lost it"));
            }
        }
        for (number, subject) in subjects().filter(|(number, _)| is_limited(*number)) {
            let shard = Sharding::default().shard_of(&subject);
            let live = replica.live_in(shard, &subject, now);
            if live > LIMIT {
                return Err(format!(
                    "subject {number} has {live} sessions on node {index}"
                ));
            }
        }
        Ok(())
    }
}
