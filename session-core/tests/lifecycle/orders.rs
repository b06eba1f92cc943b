//! Sign-out-everywhere against a sign-in, driven through every order of their steps by a pausing store.

use session_core::{HandlerOutcome, SessionStore};

use crate::scripted::{Hand, Verb};
use crate::support::{Jar, World, subject_of};

/// The steps of a sign-in: it asks for its ticket; that takes effect; it has it and asks to be admitted;
/// that takes effect; it is answered.
const SIGN_IN: usize = 5;
/// The steps of a sign-out: it is asked for; it takes effect; it is answered.
const SIGN_OUT: usize = 3;

/// Every order of the two, as for each step whether the sign-out takes it.
fn orders() -> impl Iterator<Item = Vec<bool>> {
    let len = SIGN_IN + SIGN_OUT;
    (0_u32..1 << len)
        .filter(|bits| bits.count_ones() as usize == SIGN_OUT)
        .map(move |bits| (0..len).map(|step| bits & (1 << step) != 0).collect())
}

struct Flow<T> {
    hand: Hand,
    task: Option<tokio::task::JoinHandle<T>>,
    answer: Option<T>,
    left: usize,
}

impl<T> Flow<T> {
    const fn new(hand: Hand, steps: usize) -> Self {
        Self {
            hand,
            task: None,
            answer: None,
            left: steps,
        }
    }

    /// Moves the flow to its next pause, or to its end.
    async fn step(&mut self, start: impl FnOnce() -> tokio::task::JoinHandle<T>) {
        match &self.task {
            None => self.task = Some(start()),
            Some(_) => self.hand.permit.send(()).unwrap(),
        }
        self.left -= 1;
        if self.left > 0 {
            self.hand.reached.recv().await.unwrap();
        } else if let Some(task) = self.task.take() {
            self.answer = Some(task.await.unwrap());
        }
    }
}

#[tokio::test]
async fn sign_out_everywhere_against_a_sign_in_in_every_order() {
    let (mut refused, mut dead, mut alive) = (0, 0, 0);
    for order in orders() {
        let world = std::sync::Arc::new(World::new());
        let mut elsewhere = Jar::default();
        world.sign_in(&mut elsewhere, "alice").await;
        let mut sign_in = Flow::new(world.store.pause(&[Verb::Ticket, Verb::SignIn]), SIGN_IN);
        let mut sign_out = Flow::new(world.store.pause(&[Verb::Revoke]), SIGN_OUT);
        let (mut answered_before, mut began_after) = (false, false);
        for is_sign_out in &order {
            if *is_sign_out {
                answered_before |= sign_in.left == 0 && sign_out.left == SIGN_OUT;
                let sessions = world.sessions.clone();
                let start = || {
                    tokio::spawn(async move {
                        sessions
                            .sign_out_everywhere(&subject_of("alice"), None)
                            .await
                            .unwrap()
                    })
                };
                sign_out.step(start).await;
            } else {
                began_after |= sign_out.left == 0 && sign_in.left == SIGN_IN;
                let world = std::sync::Arc::clone(&world);
                let start = || {
                    tokio::spawn(async move {
                        let mut jar = Jar::default();
                        let session = world.request(&jar);
                        let ticket = world.sign_in_as("alice").await;
                        let admitted = session.sign_in(ticket).await.is_ok();
                        let commit = session.commit(HandlerOutcome::Answered).await;
                        jar.take(&commit, &world.sessions);
                        admitted.then_some(jar)
                    })
                };
                sign_in.step(start).await;
            }
        }
        assert_eq!(world.who(&mut elsewhere).await, None, "{order:?}");
        let listed = world
            .store
            .inner
            .sessions_of(&subject_of("alice"))
            .await
            .unwrap();
        let works = match sign_in.answer.unwrap() {
            Some(jar) => {
                let id = world.request(&jar).id().await.unwrap();
                let is_listed = listed.iter().any(|(listed, _)| Some(*listed) == id);
                assert_eq!(
                    id.is_some(),
                    is_listed,
                    "{order:?}: it works exactly if it is listed"
                );
                if id.is_some() {
                    alive += 1;
                } else {
                    dead += 1;
                }
                id.is_some()
            }
            None => {
                refused += 1;
                assert!(listed.is_empty(), "{order:?}");
                false
            }
        };
        assert!(
            !(answered_before && works),
            "{order:?}: answered before, and alive"
        );
        assert!(
            !began_after || works,
            "{order:?}: its ticket is younger, and it is dead"
        );
    }
    println!("{refused} refused, {dead} ended, {alive} alive, of 56 orders");
    assert_eq!(refused + dead + alive, 56);
    assert!(refused > 0 && dead > 0 && alive > 0);
}
