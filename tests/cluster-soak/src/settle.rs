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

/// The ledger sees each way in which a promise is broken, and nothing where none is.
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use session_core::Shard;

    use super::*;
    use crate::account::{SAVED, entry};
    use crate::ledger::{Call, Reply};
    use crate::order::Answer;
    use crate::process::Failed;

    const LIFE: Duration = Duration::from_secs(3600);
    const SECRET: u64 = 7;

    fn call(id: SessionId, node: usize, life: u64) -> Call {
        // Later than whatever was answered before.
        std::thread::sleep(Duration::from_millis(1));
        Call {
            id,
            node,
            life,
            begun: now(),
        }
    }

    fn sight(entries: &[(&str, u64)]) -> Sight {
        let entries = entries.iter();
        Sight {
            entries: entries
                .map(|(name, number)| ((*name).to_owned(), *number))
                .collect(),
            secrets: vec![SECRET],
        }
    }

    fn live(entries: &[(&str, u64)]) -> Reply {
        Ok(Answer::Live(sight(entries)))
    }

    fn wrote(before: &[(&str, u64)], after: &[(&str, u64)]) -> Reply {
        let (before, after) = (sight(before), sight(after));
        Ok(Answer::Wrote { before, after })
    }

    /// A session that was made on node 0, in its first life.
    fn made(ledger: &mut Ledger, subject: Option<u64>) -> SessionId {
        let id = SessionId::generate(Shard::random());
        assert!(ledger.make((id, 0), subject, subject.is_some(), SECRET, LIFE));
        ledger.made(call(id, 0, 1), &live(&[]));
        id
    }

    fn found(ledger: &Ledger) -> Vec<Finding> {
        let findings = ledger.findings(Vec::new());
        findings.0.into_iter().map(|(finding, _)| finding).collect()
    }

    /// What comes of it when all nodes show the same in the end.
    fn in_the_end(mut ledger: Ledger, id: SessionId, shown: Option<Sight>) -> Vec<Finding> {
        ledger.settle(id, now(), &[shown.clone(), shown]);
        found(&ledger)
    }

    #[test]
    fn one_that_is_not_there_is_lost_unless_somebody_tried_to_end_it() {
        let mut ledger = Ledger::default();
        let id = made(&mut ledger, None);
        ledger.looked(call(id, 1, 2), &Ok(Answer::Gone));
        assert_eq!(found(&ledger), [Finding::Lost]);

        let mut ledger = Ledger::default();
        let id = made(&mut ledger, None);
        ledger.end(id);
        ledger.ended(call(id, 1, 2), &Err(Failed::Unanswered));
        ledger.looked(call(id, 1, 2), &Ok(Answer::Gone));
        assert_eq!(found(&ledger), []);

        let mut ledger = Ledger::default();
        let id = made(&mut ledger, None);
        ledger.end(id);
        ledger.ended(call(id, 1, 2), &Err(Failed::Unsent));
        assert_eq!(in_the_end(ledger, id, None), [Finding::Lost]);
    }

    #[test]
    fn one_that_ended_must_not_be_served_by_who_knew_nor_by_anybody_in_the_end() {
        let mut ledger = Ledger::default();
        let id = made(&mut ledger, None);
        ledger.end(id);
        ledger.ended(call(id, 1, 2), &Ok(Answer::Ended(Vec::new())));
        // It may have been cut off.
        ledger.looked(call(id, 0, 1), &live(&[]));
        assert_eq!(found(&ledger), []);
        assert_eq!(ledger.stale, 1);
        ledger.looked(call(id, 1, 2), &live(&[]));
        assert_eq!(found(&ledger), [Finding::Revived]);

        let mut ledger = Ledger::default();
        let id = made(&mut ledger, None);
        ledger.end(id);
        ledger.ended(call(id, 1, 2), &Ok(Answer::Ended(Vec::new())));
        let shown = Some(sight(&[]));
        assert_eq!(
            in_the_end(ledger, id, shown),
            [Finding::Revived],
            "once for all nodes"
        );
    }

    #[test]
    fn a_revoke_ends_what_was_acknowledged_before_it_and_spares_one() {
        let mut ledger = Ledger::default();
        let ids = [1, 1].map(|subject| made(&mut ledger, Some(subject)));
        ledger.revoke(1, Some(ids[0]));
        let answer = Ok(Answer::Ended(Vec::new()));
        ledger.revoked(call(ids[0], 0, 1), 1, Some(ids[0]), &answer);
        for id in ids {
            ledger.settle(id, now(), &[Some(sight(&[]))]);
        }
        assert_eq!(found(&ledger), [Finding::Revived]);
        let id = SessionId::generate(Shard::random());
        assert!(!ledger.make((id, 0), Some(1), false, SECRET, LIFE));
    }

    #[test]
    fn half_a_change_is_torn() {
        let mut ledger = Ledger::default();
        let id = made(&mut ledger, None);
        ledger.looked(call(id, 0, 1), &live(&[(SAVED[0], 1)]));
        assert_eq!(found(&ledger), [Finding::Torn]);
    }

    #[test]
    fn an_update_may_be_followed_by_what_is_unknown_and_not_by_what_was_before() {
        let name = entry(0);
        let update = |ledger: &mut Ledger, id| {
            ledger.wrote(call(id, 0, 1), 1, false, &wrote(&[], &[(&name, 1)]));
            let second = wrote(&[(&name, 1)], &[(&name, 2)]);
            ledger.wrote(call(id, 0, 1), 2, false, &second);
            ledger.wrote(call(id, 0, 1), 3, false, &Err(Failed::Unanswered));
        };
        for (number, expected) in [(1, vec![Finding::Lost]), (2, vec![]), (3, vec![])] {
            let mut ledger = Ledger::default();
            let id = made(&mut ledger, None);
            update(&mut ledger, id);
            // Another node may not have heard of it yet.
            ledger.looked(call(id, 1, 2), &live(&[]));
            assert_eq!(found(&ledger), []);
            let shown = Some(sight(&[(&name, number)]));
            assert_eq!(in_the_end(ledger, id, shown), expected, "{number}");
        }
        let mut ledger = Ledger::default();
        let id = made(&mut ledger, None);
        update(&mut ledger, id);
        ledger.looked(call(id, 0, 1), &live(&[(&name, 1)]));
        assert_eq!(found(&ledger), [Finding::Lost], "it wrote that itself");
    }

    #[test]
    fn a_save_must_not_be_undone_to_what_it_was_written_over() {
        let saved = |number| SAVED.map(|name| (name, number));
        let save = |ledger: &mut Ledger, id| {
            let first = wrote(&[], &saved(1));
            ledger.wrote(call(id, 0, 1), 1, true, &first);
            let second = wrote(&saved(1), &saved(2));
            ledger.wrote(call(id, 1, 2), 2, true, &second);
            // At the same time as the second.
            let third = wrote(&saved(1), &saved(3));
            ledger.wrote(call(id, 2, 3), 3, true, &third);
        };
        for (number, expected) in [(1, vec![Finding::Lost]), (2, vec![]), (3, vec![])] {
            let mut ledger = Ledger::default();
            let id = made(&mut ledger, None);
            save(&mut ledger, id);
            let shown = Some(sight(&saved(number)));
            assert_eq!(in_the_end(ledger, id, shown), expected, "{number}");
        }
    }

    #[test]
    fn nodes_that_show_different_things_and_subjects_above_their_limit_are_seen() {
        let mut ledger = Ledger::default();
        let id = made(&mut ledger, None);
        ledger.settle(id, now(), &[Some(sight(&[])), Some(sight(&[("n4", 1)]))]);
        assert!(found(&ledger).contains(&Finding::Differs));

        let mut ledger = Ledger::default();
        for count in 1..=LIMIT + 1 {
            let id = made(&mut ledger, Some(1));
            ledger.settle(id, now(), &[Some(sight(&[]))]);
            assert_eq!(found(&ledger).len(), usize::from(count > LIMIT));
        }
        assert_eq!(found(&ledger), [Finding::OverLimit]);
    }
}
