//! The naive oracle's words on secrets: which one is current, and how one follows another.

use session_core::Renewal;

use super::plain::{Secret, Stands};
use super::state::{FOREVER, GRACE, OVERLAP, after};

/// A secret is presented for the first time: it becomes a current one, and the overlap of all issued
/// before it begins.
pub(super) fn promote(secrets: &mut [Secret], hash: &[u8; 32], now: u64) {
    let Some(first) = secrets.iter().position(|secret| {
        secret.hash == *hash
            && secret.standing == Stands::Unpresented
            && now < secret.accepted_until
    }) else {
        return;
    };
    let overlap_ends = after(now, OVERLAP);
    for secret in &mut secrets[..first] {
        secret.accepted_until = secret.accepted_until.min(overlap_ends);
        if secret.standing == Stands::Current {
            secret.standing = Stands::Former;
        }
    }
    secrets[first].standing = Stands::Current;
    secrets[first].accepted_until = FOREVER;
}

/// A secret is added. Says whether it may be.
pub(super) fn renew(secrets: &mut Vec<Secret>, renewal: &Renewal, now: u64) -> bool {
    let replaced = secrets
        .iter()
        .find(|secret| secret.hash == *renewal.replaces.as_bytes());
    let may_be_replaced = replaced
        .is_some_and(|secret| secret.standing != Stands::Former && now < secret.accepted_until);
    let one_waits = secrets
        .iter()
        .any(|secret| secret.standing == Stands::Unpresented && now < after(secret.issued, GRACE));
    if renewal.soft && (one_waits || !may_be_replaced) {
        return true;
    }
    if !may_be_replaced {
        return false;
    }
    secrets.push(Secret {
        hash: *renewal.issue.as_bytes(),
        issued: now,
        accepted_until: FOREVER,
        standing: Stands::Unpresented,
    });
    // Beyond four, the oldest that is not current goes; if all are, the oldest.
    if secrets.len() > 4 {
        let dispensable = secrets[..4]
            .iter()
            .position(|secret| secret.standing != Stands::Current);
        secrets.remove(dispensable.unwrap_or(0));
    }
    true
}
