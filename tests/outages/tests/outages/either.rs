//! Outages that befall every kind of server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use session_core::{Applied, Presented, SignIn, Subject};
use session_outages::{Durability, Fault, Kind, Machine, Proxy, Rng, Traffic};
use tokio::time::sleep;

use crate::scene::{Scene, all_unavailable, connected, every_verb, none_but_unavailable};

macro_rules! on_either {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        mod redis {
            use super::Kind;
            $($(#[$doc])* #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(Kind::Redis).await;
            })*
        }
        mod postgres {
            use super::Kind;
            $($(#[$doc])* #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(Kind::Postgres).await;
            })*
        }
    };
}

on_either! {
    /// SECURITY 42
    a_server_that_stands_still,
    a_server_that_is_killed_and_restarted_has_all_that_it_acknowledged,
    a_server_that_closes_all_connections,
    a_server_that_is_out_of_reach,
    a_request_that_is_cut_off_is_not_carried_out_by_half,
    an_answer_that_is_cut_off_leaves_the_outcome_open,
    answers_that_are_late_do_not_go_to_other_calls,
    no_increment_is_done_twice_when_answers_are_lost,
    a_sign_in_whose_answer_is_lost_is_tried_again_and_leaves_one_session,
}

async fn a_server_that_stands_still(kind: Kind) {
    let mut scene = Scene::on(kind).await;
    let mut users = scene.users().await;
    scene.machine.pause();
    let answers = scene.every_verb(&mut users).await;
    scene.machine.resume();
    all_unavailable(&answers);
    // What only reads has done nothing; what was sent may yet be carried out.
    let in_doubt = |verb: &str| {
        let mut answers = answers.iter().filter(|(is, _)| *is == verb);
        answers.any(|(_, refusal)| refusal.unwrap().applied == Applied::Unknown)
    };
    assert!(!["load", "ticket", "list"].into_iter().any(in_doubt));
    assert!(["create", "write", "delete"].into_iter().any(in_doubt));
    scene.recovers().await;
    scene.holds().await;
}

async fn a_server_that_is_killed_and_restarted_has_all_that_it_acknowledged(kind: Kind) {
    let mut scene = Scene::on(kind).await;
    let mut users = scene.users().await;
    // In the middle of it all, then when it is down.
    let (store, mut others) = (scene.store.clone(), scene.users().await);
    let calls = tokio::spawn(async move { every_verb(&store, &mut others).await });
    scene.machine.kill();
    none_but_unavailable(&calls.await.unwrap());
    all_unavailable(&scene.every_verb(&mut users).await);
    scene.machine.restart();
    scene.recovers().await;
    scene.holds().await;
}

async fn a_server_that_closes_all_connections(kind: Kind) {
    let mut scene = Scene::on(kind).await;
    let mut users = scene.users().await;
    let proxies: &[Proxy] = &[];
    Fault::Dismissed.happen(&mut scene.machine, proxies).await;
    none_but_unavailable(&scene.every_verb(&mut users).await);
    scene.recovers().await;
    scene.holds().await;
}

async fn a_server_that_is_out_of_reach(kind: Kind) {
    let scene = Scene::on(kind).await;
    for traffic in [Traffic::Refused, Traffic::Swallowed] {
        let mut users = scene.users().await;
        scene.proxy.set(traffic);
        // Connections that were there are cut, or go on and never hear anything.
        all_unavailable(&scene.every_verb(&mut users).await);
        scene.proxy.set(Traffic::Passes);
        scene.proxy.cut();
        scene.recovers().await;
    }
    scene.holds().await;
}

async fn a_request_that_is_cut_off_is_not_carried_out_by_half(kind: Kind) {
    let scene = Scene::on(kind).await;
    for after in [0, 1, 20, 150] {
        let mut users = scene.users().await;
        scene.proxy.set(Traffic::RequestCut(after));
        none_but_unavailable(&scene.every_verb(&mut users).await);
        scene.proxy.set(Traffic::Passes);
        scene.recovers().await;
    }
    scene.holds().await;
}

async fn an_answer_that_is_cut_off_leaves_the_outcome_open(kind: Kind) {
    let scene = Scene::on(kind).await;
    for after in [0, 3, 40] {
        let mut users = scene.users().await;
        scene.proxy.set(Traffic::AnswerCut(after));
        none_but_unavailable(&scene.every_verb(&mut users).await);
        scene.proxy.set(Traffic::Passes);
        scene.recovers().await;
    }
    scene.holds().await;
}

async fn answers_that_are_late_do_not_go_to_other_calls(kind: Kind) {
    let scene = Scene::with(
        Machine::start(kind, Durability::Lossless),
        Duration::from_millis(300),
    )
    .await;
    for millis in [50, 300, 600] {
        let mut users = scene.users().await;
        scene
            .proxy
            .set(Traffic::Delayed(Duration::from_millis(millis)));
        none_but_unavailable(&scene.every_verb(&mut users).await);
        none_but_unavailable(&scene.every_verb(&mut users).await);
        scene.proxy.set(Traffic::Passes);
        scene.recovers().await;
    }
    scene.holds().await;
}

async fn no_increment_is_done_twice_when_answers_are_lost(kind: Kind) {
    let seed = 20_261_123;
    println!("seed {seed}");
    let limit = Duration::from_millis(250);
    let scene = Scene::with(Machine::start(kind, Durability::Lossless), limit).await;
    let other = Proxy::start(scene.machine.port()).await;
    let url = scene.machine.url_at(other.port());
    let (second, _) = connected(&url, limit, &scene.ledger).await;
    let counter = scene.store.create(None).await.unwrap().token;
    let is_over = Arc::new(AtomicBool::new(false));
    let counting: Vec<_> = (0..8)
        .map(|number| {
            let stores = [&scene.store, &second];
            let store = stores[number % 2].clone();
            let (counter, is_over) = (counter.clone(), Arc::clone(&is_over));
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    let _ = store.count(&counter).await;
                }
            })
        })
        .collect();
    let mut rng = Rng::new(seed);
    for _ in 0..25 {
        let proxy = [&scene.proxy, &other][rng.below(2)];
        let late = rng.millis(100, 400);
        let traffic = [
            Traffic::Unanswered,
            Traffic::AnswerCut(rng.below(20)),
            Traffic::Delayed(late),
        ];
        proxy.set(*rng.pick(&traffic).unwrap());
        sleep(rng.millis(50, 200)).await;
        proxy.set(Traffic::Passes);
        proxy.cut();
        sleep(rng.millis(20, 80)).await;
    }
    is_over.store(true, Ordering::Relaxed);
    for task in counting {
        task.await.unwrap();
    }
    assert!(
        scene.in_doubt.load(Ordering::Relaxed) > 0,
        "no answer was lost"
    );
    scene.recovers().await;
    scene.holds().await;
}

async fn a_sign_in_whose_answer_is_lost_is_tried_again_and_leaves_one_session(kind: Kind) {
    let scene = Scene::on(kind).await;
    let sessions = scene.store.sessions();
    let subject = Subject::new("alice").unwrap();
    for round in 1..=5 {
        let ticket = sessions.begin_sign_in(&subject).await.unwrap();
        let session = sessions.open(Presented::nothing());
        scene.proxy.set(Traffic::AnswerCut(0));
        session.sign_in(SignIn::new(ticket)).await.unwrap();
        let listed = sessions.store().sessions_of(&subject).await.unwrap();
        assert_eq!(listed.len(), round);
        let id = session.id().await.unwrap().unwrap();
        assert!(listed.iter().any(|(listed, _)| *listed == id));
        scene.recovers().await;
    }
    // The answer that was cut off may have been the feed's, once.
    assert!(scene.in_doubt.load(Ordering::Relaxed) >= 4);
    scene.holds().await;
}
