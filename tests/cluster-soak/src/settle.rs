//! What all nodes must show in the end.

use std::collections::BTreeMap;
use std::time::Instant;

use session_core::SessionId;

use crate::findings::{Finding, Findings};
use crate::ledger::{LIMIT, Ledger};
use crate::moment::now;
use crate::order::Sight;

impl Ledger {
    /// All sessions, to look at them.
    pub(crate) fn ids(&self) -> Vec<SessionId> {
        self.accounts.keys().copied().collect()
    }

    /// What all nodes said in the end about one session, since `begun`: what each holds, or that it is not
    /// there.
    pub(crate) fn settle(&mut self, id: SessionId, begun: Instant, sights: &[Option<Sight>]) {
        let Some(account) = self.accounts.get(&id) else {
            return;
        };
        // One that expires meanwhile may be there for one node and not for another.
        if account.lives_until < now() && begun < account.dead_from {
            return;
        }
        let mut broken = Vec::new();
        if sights.iter().any(|sight| *sight != sights[0]) {
            broken.push((Finding::Differs, format!("{sights:?}")));
        }
        for (node, sight) in sights.iter().enumerate() {
            let Some(sight) = sight else {
                if account.must_live() {
                    broken.push((Finding::Lost, format!("in the end not on node {node}")));
                }
                continue;
            };
            if account.ended.is_some() {
                broken.push((Finding::Revived, format!("in the end on node {node}")));
            } else if account.dead_from <= begun {
                broken.push((Finding::Revived, format!("expired, and on node {node}")));
            } else if account.made.is_some()
                && let Err(what) = account.holds(sight)
            {
                broken.push((Finding::Lost, format!("in the end on node {node}: {what}")));
            }
        }
        for (finding, what) in broken {
            self.tell(finding, id, &what);
        }
        if let Some(account) = self.accounts.get_mut(&id) {
            account.is_there = sights.iter().all(Option::is_some);
        }
    }

    /// What is not as it must be, once every session is settled.
    pub(crate) fn findings(&self, alarms: Vec<String>) -> Findings {
        let mut broken = self.broken.clone();
        let mut counts = BTreeMap::<u64, usize>::new();
        for account in self.accounts.values() {
            let is_counted = account.is_limited && account.is_there;
            if let Some(subject) = account.subject.filter(|_| is_counted) {
                *counts.entry(subject).or_default() += 1;
            }
        }
        for (subject, count) in counts.into_iter().filter(|(_, count)| *count > LIMIT) {
            let what = format!("subject {subject} has {count} sessions, not {LIMIT}");
            broken.push((Finding::OverLimit, what));
        }
        broken.extend(alarms.into_iter().map(|alarm| (Finding::Alarm, alarm)));
        // Each session once for each way in which it is broken.
        broken.sort();
        broken.dedup_by(|(one, what), (other, first)| {
            one == other && what.split(':').next() == first.split(':').next()
        });
        Findings(broken)
    }
}
