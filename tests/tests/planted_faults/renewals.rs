//! Faults in how one secret follows another: clause 9.

use session_core::{
    Header, OVERLAP, Record, Refusal, Renewal, SecretHash, Slot, Standing, Timestamp,
};

use crate::fault::{AppliesBy, Step, suite, with_header};
use crate::{Planted, caught};

pub(crate) fn planted() -> Vec<Planted> {
    vec![
        caught(
            "RenewalReplaces",
            || suite(AppliesBy(renewal_replaces)),
            &[
                "clause_09_a_renewal_adds_a_secret_and_takes_none_away",
                "clause_09_a_renewal_whose_answer_was_lost_costs_nothing",
            ],
        ),
        caught(
            "OverlapStartsAtTheRenewal",
            || suite(AppliesBy(overlap_starts_at_the_renewal)),
            &["clause_09_a_renewal_whose_answer_was_lost_costs_nothing"],
        ),
        caught(
            "OverlapOfAMinute",
            || suite(AppliesBy(overlap_of_a_minute)),
            &[
                "clause_09_the_first_presentation_starts_an_overlap_of_30_s",
                "clause_09_an_old_secret_is_remembered_for_60_s_after_its_overlap",
            ],
        ),
        caught(
            "NoOverlap",
            || suite(AppliesBy(no_overlap)),
            &["clause_09_the_first_presentation_starts_an_overlap_of_30_s"],
        ),
        caught(
            "ForgetsFormerSecrets",
            || suite(AppliesBy(forgets_former_secrets)),
            &["clause_09_an_old_secret_is_remembered_for_60_s_after_its_overlap"],
        ),
        caught(
            "EveryPresentationExtendsTheOverlap",
            || suite(AppliesBy(every_presentation_extends_the_overlap)),
            &["clause_09_presenting_again_changes_nothing"],
        ),
        caught(
            "PromotesTheUnknown",
            || suite(AppliesBy(promotes_the_unknown)),
            &["clause_09_an_unknown_secret_is_not_promoted"],
        ),
        caught(
            "PromotesTheOutdated",
            || suite(AppliesBy(promotes_the_outdated)),
            &["clause_09_a_secret_after_its_overlap_is_not_promoted"],
        ),
        caught(
            "PromotionIsNoWrite",
            || suite(AppliesBy(promotion_is_no_write)),
            &[
                "clause_09_the_first_presentation_starts_an_overlap_of_30_s",
                "clause_09_a_sign_in_counts_as_presented_once_its_secret_is",
                "clause_09_a_concurrent_presentation_promotes_once",
                "clause_11_a_sign_in_presented_late_is_as_safe_as_any",
            ],
        ),
        caught(
            "RenewsAnySecret",
            || suite(AppliesBy(renews_any_secret)),
            &["clause_09_a_renewal_of_a_secret_that_may_not_be_replaced_conflicts"],
        ),
        caught(
            "EveryRenewalIsSoft",
            || suite(AppliesBy(|step| renews(step, true))),
            &["clause_09_an_explicit_renewal_acts_at_once"],
        ),
        caught(
            "NoRenewalIsSoft",
            || suite(AppliesBy(|step| renews(step, false))),
            &[
                "clause_09_a_soft_renewal_mints_none_while_a_younger_one_waits",
                "clause_09_a_soft_renewal_of_a_replaced_secret_is_no_conflict",
                "clause_09_of_concurrent_soft_renewals_exactly_one_mints",
            ],
        ),
        caught(
            "OneUnpresentedAtATime",
            || suite(AppliesBy(one_unpresented_at_a_time)),
            &["clause_09_every_unpresented_secret_stays_accepted"],
        ),
        caught(
            "DropsTheOldestEvenIfCurrent",
            || suite(AppliesBy(drops_the_oldest_even_if_current)),
            &[
                "clause_09_beyond_four_hashes_the_oldest_that_is_not_current_goes",
                "clause_09_concurrent_explicit_renewals_all_leave_the_current_one",
            ],
        ),
        caught(
            "RenewsBeforeItPromotes",
            || suite(AppliesBy(renews_before_it_promotes)),
            &["clause_09_one_change_promotes_and_then_renews"],
        ),
        caught(
            "RenewalRestartsTheDeadline",
            || suite(AppliesBy(renewal_restarts_the_deadline)),
            &["clause_09_a_renewal_keeps_id_entries_creation_and_deadline"],
        ),
        caught(
            "PromotionEndsLaterSecretsToo",
            || suite(AppliesBy(promotion_ends_later_secrets_too)),
            &["clause_09_presenting_an_earlier_of_two_leaves_the_later_accepted"],
        ),
    ]
}

/// The record after the change, with other slots where the change issued a secret.
fn if_issued(step: &Step<'_>, edit: impl FnOnce(&mut Header)) -> Result<Record, Refusal> {
    let next = step.soundly()?;
    let issue = step.change.renewal().map(|renewal| renewal.issue);
    let is_issued = issue.is_some_and(|issue| knows(&next, &issue));
    Ok(if is_issued {
        with_header(next, edit)
    } else {
        next
    })
}

/// The record after the change, with other slots where the change presents a secret.
fn if_presented(step: &Step<'_>, edit: impl FnOnce(&mut Header)) -> Result<Record, Refusal> {
    let next = step.soundly()?;
    Ok(match step.change.promotion() {
        Some(_) => with_header(next, edit),
        None => next,
    })
}

fn knows(record: &Record, secret: &SecretHash) -> bool {
    record.slots().any(|slot| slot.hash == *secret)
}

fn renewal_replaces(step: &Step<'_>) -> Result<Record, Refusal> {
    if_issued(step, |header| {
        header.slots.drain(..header.slots.len() - 1);
    })
}

fn overlap_starts_at_the_renewal(step: &Step<'_>) -> Result<Record, Refusal> {
    let replaces = step.change.renewal().map(|renewal| renewal.replaces);
    if_issued(step, |header| {
        for slot in &mut header.slots {
            if Some(slot.hash) == replaces {
                slot.accepted_until = step.now + OVERLAP;
            }
        }
    })
}

fn overlap_of_a_minute(step: &Step<'_>) -> Result<Record, Refusal> {
    overlap_of(step, 2 * OVERLAP)
}

fn no_overlap(step: &Step<'_>) -> Result<Record, Refusal> {
    overlap_of(step, std::time::Duration::ZERO)
}

fn overlap_of(step: &Step<'_>, overlap: std::time::Duration) -> Result<Record, Refusal> {
    if_presented(step, |header| {
        for slot in &mut header.slots {
            if slot.accepted_until == step.now + OVERLAP {
                slot.accepted_until = step.now + overlap;
            }
        }
    })
}

fn forgets_former_secrets(step: &Step<'_>) -> Result<Record, Refusal> {
    if_presented(step, |header| {
        header
            .slots
            .retain(|slot| slot.standing != Standing::Former);
    })
}

fn every_presentation_extends_the_overlap(step: &Step<'_>) -> Result<Record, Refusal> {
    if_presented(step, |header| {
        for slot in &mut header.slots {
            if slot.accepted_until != Timestamp::MAX {
                slot.accepted_until = step.now + OVERLAP;
            }
        }
    })
}

fn promotes_the_unknown(step: &Step<'_>) -> Result<Record, Refusal> {
    let presented = step.change.promotion().copied();
    if_presented(step, |header| {
        if let Some(hash) =
            presented.filter(|hash| header.slots.iter().all(|slot| slot.hash != *hash))
        {
            header.slots.truncate(3);
            header.slots.push(Slot {
                hash,
                issued_at: step.now,
                accepted_until: Timestamp::MAX,
                standing: Standing::Current,
            });
        }
    })
}

fn promotes_the_outdated(step: &Step<'_>) -> Result<Record, Refusal> {
    let presented = step.change.promotion().copied();
    if_presented(step, |header| {
        for slot in &mut header.slots {
            if Some(slot.hash) == presented {
                slot.standing = Standing::Current;
                slot.accepted_until = Timestamp::MAX;
            }
        }
    })
}

fn promotion_is_no_write(step: &Step<'_>) -> Result<Record, Refusal> {
    if step.change.has_edits()
        || step.change.renewal().is_some()
        || step.change.promotion().is_none()
    {
        return step.soundly();
    }
    step.soundly().map(|_| step.previous.clone())
}

fn renews_any_secret(step: &Step<'_>) -> Result<Record, Refusal> {
    match (step.soundly(), step.change.renewal()) {
        (Err(Refusal::Conflict), Some(renewal)) => {
            let current = step
                .previous
                .slots()
                .find(|slot| slot.standing == Standing::Current);
            let replaces = current.map_or(renewal.replaces, |slot| slot.hash);
            step.apply(&step.change.clone().renew(Renewal {
                replaces,
                ..*renewal
            }))
        }
        (sound, _) => sound,
    }
}

fn renews(step: &Step<'_>, soft: bool) -> Result<Record, Refusal> {
    match step.change.renewal() {
        Some(renewal) => step.apply(&step.change.clone().renew(Renewal { soft, ..*renewal })),
        None => step.soundly(),
    }
}

fn one_unpresented_at_a_time(step: &Step<'_>) -> Result<Record, Refusal> {
    let issue = step.change.renewal().map(|renewal| renewal.issue);
    if_issued(step, |header| {
        header
            .slots
            .retain(|slot| slot.standing != Standing::Unpresented || Some(slot.hash) == issue);
    })
}

fn drops_the_oldest_even_if_current(step: &Step<'_>) -> Result<Record, Refusal> {
    let mut before: Vec<_> = step.previous.slots().collect();
    if_issued(step, |header| {
        if before.len() == 4 {
            before.remove(0);
            before.extend(header.slots.last().copied());
            header.slots = before;
        }
    })
}

fn renews_before_it_promotes(step: &Step<'_>) -> Result<Record, Refusal> {
    match (step.change.promotion(), step.change.renewal()) {
        (Some(_), Some(_)) => {
            let unpresented = step.soundly()?;
            Ok(with_header(unpresented, |header| {
                if let [.., before, last] = &mut *header.slots {
                    (before.standing, last.standing) = (Standing::Former, Standing::Current);
                }
            }))
        }
        _ => step.soundly(),
    }
}

fn renewal_restarts_the_deadline(step: &Step<'_>) -> Result<Record, Refusal> {
    if_issued(step, |header| {
        header.deadline = step.now + header.deadline.since(header.created_at);
    })
}

fn promotion_ends_later_secrets_too(step: &Step<'_>) -> Result<Record, Refusal> {
    let presented = step.change.promotion().copied();
    if_presented(step, |header| {
        for slot in &mut header.slots {
            if Some(slot.hash) != presented {
                slot.accepted_until = slot.accepted_until.min(step.now + OVERLAP);
            }
        }
    })
}
