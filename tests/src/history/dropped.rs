//! Dropped calls: the future of each verb is dropped after each of its polls, and what is seen afterwards
//! must be explained by the call having happened whole, then or later, or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use session_core::{LimitPolicy, SharedStore};

use super::call::{Call, now};
use super::concurrent::{NotLinearizable, judge};
use super::oracle::Oracle;
use super::recorder::Recorder;
use super::schedule::{Yielding, dropped_after};
use super::sequential::UnderTest;
use super::stage::Stage;
use super::world::World;

/// The verbs whose calls are dropped, with what each does.
pub const DROPPED: [&str; 9] = [
    "create",
    "apply an edit",
    "apply a renewal",
    "apply a promotion",
    "delete",
    "sign_in",
    "sign_in that ends others",
    "sign_in again",
    "revoke",
];

/// More polls than any call of a store takes.
const MOST_POLLS: usize = 500;

/// How often each call was dropped and had not happened, and how often it had; by its name.
pub type Drops = BTreeMap<&'static str, [u64; 2]>;

/// Drops the calls of `name` after no poll, after one, and so on, until one ends by itself.
///
/// # Errors
///
/// The first history that is [`NotLinearizable`] with the call and without it.
pub async fn check(under: &UnderTest, seed: u64) -> Result<Drops, Box<NotLinearizable>> {
    let mut drops = Drops::new();
    for name in DROPPED {
        for polls in 0..MOST_POLLS {
            match drop_one(under, name, polls, seed).await? {
                Some(happened) => drops.entry(name).or_default()[usize::from(happened)] += 1,
                None => break,
            }
        }
    }
    Ok(drops)
}

/// Whether the call happened; nothing if it ended before it could be dropped.
async fn drop_one(
    under: &UnderTest,
    name: &str,
    polls: usize,
    seed: u64,
) -> Result<Option<bool>, Box<NotLinearizable>> {
    let (clock, store) = (under.clock.as_ref(), &*under.handles[0]);
    let oracle = Oracle::new(store.facts(), now(clock).unwrap_or_default());
    let world = World::new(seed, 1, store.facts(), None, false);
    let recorder = Recorder::default();
    let mut stage = Stage::set(world, store, clock, &recorder).await;
    let call = staged(name, &mut stage, store, under, &recorder).await;
    let yielding: SharedStore = Arc::new(Yielding::once(Arc::clone(&under.handles[0])));
    let begun = recorder.events().len();
    let running = recorder.perform(1, call, &*yielding, clock).boxed();
    let ended_by_itself = dropped_after(running, polls).await.is_some();
    stage.look(store, clock, &recorder).await;
    // Whether the fence was raised shows only in what becomes of a ticket.
    let id = stage.fresh_id();
    let probe = stage.sign_in(id, None);
    recorder.perform(0, probe, store, clock).await;
    stage.look(store, clock, &recorder).await;
    stage.clear(store, clock).await;
    let order = judge(&oracle, clock, seed, &recorder.events())?;
    let dropped = !ended_by_itself && polls > 0;
    Ok(match (ended_by_itself, dropped) {
        (true, _) => None,
        (false, true) => Some(order.contains(&begun)),
        // Never polled: it was not even begun.
        (false, false) => Some(false),
    })
}

async fn staged(
    name: &str,
    stage: &mut Stage,
    store: &dyn session_core::SessionStore,
    under: &UnderTest,
    recorder: &Recorder,
) -> Call {
    let (user, free, subject) = (stage.user, stage.free, stage.subject.clone());
    match name {
        "create" => stage.create(free),
        "apply an edit" => {
            let plan = stage.edit();
            stage.apply(user, plan)
        }
        "apply a renewal" => {
            let plan = stage.renewal();
            stage.apply(user, plan)
        }
        "apply a promotion" => {
            let plan = stage.promotion();
            stage.apply(user, plan)
        }
        "delete" => Call::Delete { id: user },
        "sign_in" => stage.sign_in(free, None),
        "sign_in that ends others" => {
            let limit =
                stage
                    .limit(LimitPolicy::EndOldest)
                    .map(|limit| session_core::SignInLimit {
                        max: std::num::NonZeroUsize::MIN,
                        ..limit
                    });
            let ticket = stage.ticket();
            let draft = stage.draft(None);
            Call::SignIn {
                ticket,
                id: free,
                draft,
                limit,
            }
        }
        "sign_in again" => {
            let ticket = stage.ticket();
            let id = stage.fresh_id();
            let first = stage.sign_in_under(ticket.clone(), id, None);
            recorder
                .perform(0, first, store, under.clock.as_ref())
                .await;
            stage.sign_in_under(ticket.next_attempt(), free, None)
        }
        _ => Call::Revoke {
            subject,
            except: None,
        },
    }
}
