//! Many sign-ins of one subject at the same time.

use futures_util::future::join_all;
use session_core::{
    Admission, NewRecord, SessionId, SessionSecret, SharedStore, SignInLimit, StoreError, Subject,
    Timeouts,
};

/// Has `count` sign-ins of `subject` run at once, each with a ticket of its own, and returns how many
/// were admitted.
///
/// # Errors
///
/// The first of the store's.
pub async fn sign_in_at_once(
    store: &SharedStore,
    subject: &Subject,
    count: usize,
    limit: SignInLimit,
) -> Result<usize, StoreError> {
    let sign_in = || async {
        let ticket = store.ticket(subject).await?;
        let shard = store.facts().sharding.shard_of(subject);
        let secret = SessionSecret::generate().hash();
        let record = NewRecord::new(secret, Timeouts::default());
        let id = SessionId::generate(shard);
        let admission = store.sign_in(&ticket, id, &record, Some(limit)).await?;
        Ok::<_, StoreError>(matches!(admission, Admission::Admitted { .. }))
    };
    let answers = join_all((0..count).map(|_| sign_in())).await;
    let admitted: Vec<bool> = answers.into_iter().collect::<Result<_, _>>()?;
    Ok(admitted.into_iter().filter(|admitted| *admitted).count())
}
