//! Three servers that keep their sessions together, over mutual TLS: what is done at one counts at all, and
//! whichever of them fails, is stopped or started again, nobody is signed out who should not be.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed, and the time of real servers is the subject"
)]

mod support;

use std::collections::BTreeSet;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use support::{Client, Server, eventually, json_of, problem, set_cookies};

const NAMES: [&str; 3] = ["one", "two", "three"];

/// Three servers of one application, which find their certificates, or make them, where they are started.
struct Site {
    servers: [Server; 3],
    nodes: Nodes,
}

/// How the servers are started. They keep their addresses.
struct Nodes {
    place: tempfile::TempDir,
    host: String,
    flags: Vec<String>,
}

impl Nodes {
    fn new(flags: &[&str]) -> Self {
        Self {
            place: tempfile::tempdir().unwrap(),
            host: host(),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
        }
    }

    fn url(&self, index: usize) -> String {
        let host = &self.host;
        format!(
            "cluster://shop@{host}:{}?seeds={host}:7001,{host}:7002,{host}:7003&limit=10s&wait=60s",
            7001 + index
        )
    }

    fn start(&self, index: usize) -> Server {
        let listen = format!("{}:{}", self.host, 3001 + index);
        let store = self.url(index);
        let own = [
            "--listen",
            &listen,
            "--store",
            &store,
            "--node",
            NAMES[index],
        ];
        let common = ["--insecure-cookies", "--lab"];
        let flags = self.flags.iter().map(String::as_str);
        let flags: Vec<_> = own.into_iter().chain(common).chain(flags).collect();
        Server::start_in(self.place.path(), &flags)
    }

    /// All three in the same moment.
    fn start_all(&self) -> [Server; 3] {
        std::thread::scope(|scope| {
            let starting = [0, 1, 2].map(|index| scope.spawn(move || self.start(index)));
            starting.map(|server| server.join().unwrap())
        })
    }
}

/// An address of this machine that no other test uses, so that what is started again finds its ports free: all of
/// 127.0.0.0/8 is here, as Linux has it.
fn host() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = process::id().to_be_bytes();
    let (second, last) = (100 + (high & 0x7f), NEXT.fetch_add(1, Ordering::Relaxed));
    format!("127.{second}.{low}.{last}")
}

impl Site {
    async fn start(flags: &[&str]) -> Self {
        let nodes = Nodes::new(flags);
        let site = Self {
            servers: nodes.start_all(),
            nodes,
        };
        site.is_whole().await;
        site
    }

    /// Waits until every server is ready and has all others.
    async fn is_whole(&self) {
        for (index, server) in self.servers.iter().enumerate() {
            eventually("it is ready", async || {
                server
                    .client()
                    .get("/healthz")
                    .send()
                    .await
                    .unwrap()
                    .status()
                    == StatusCode::OK
            })
            .await;
            for other in NAMES.iter().filter(|name| **name != NAMES[index]) {
                for figure in ["up", "linked", "ready"] {
                    let metric = format!("session_cluster_member_{figure}{{node=\"{other}\"}}");
                    eventually(&metric, async || server.metric(&metric).await == 1).await;
                }
            }
        }
    }

    /// A client, as it meets each server.
    fn client(&self) -> [Client; 3] {
        let client = self.servers[0].client();
        [0, 1, 2].map(|index| client.at(&self.servers[index]))
    }
}

/// A cookie that is well formed, and that nobody here has made.
async fn foreign_cookie() -> String {
    let elsewhere = Server::lab();
    let client = elsewhere.client();
    client.write("n", &json!(1)).await;
    client.cookie().unwrap()
}

async fn status(client: &Client) -> StatusCode {
    client.get("/api/session").send().await.unwrap().status()
}

#[tokio::test]
async fn a_server_is_ready_once_it_has_found_the_others() {
    let nodes = Nodes::new(&[]);
    let one = nodes.start(0);
    let client = one.client();
    client.plant(&foreign_cookie().await);
    for path in ["/healthz", "/api/session"] {
        let answer = client.get(path).send().await.unwrap();
        assert_eq!(set_cookies(&answer), [""; 0]);
        problem(answer, 503).await;
    }
    let page = client.get("/cluster").send().await.unwrap();
    assert!(page.text().await.unwrap().contains("not hold yet"));
    let servers = [one, nodes.start(1), nodes.start(2)];
    let site = Site { servers, nodes };
    site.is_whole().await;
    assert_eq!(client.session().await["id"], Value::Null);
}

#[tokio::test]
async fn a_session_made_at_one_is_served_by_all() {
    let site = Site::start(&[]).await;
    let clients = site.client();
    clients[0].sign_in("alice").await;
    let id = clients[0].id().await;
    clients[0].write("n", &json!(7)).await;
    for client in &clients {
        assert_eq!(client.id().await, id);
        assert_eq!(client.subject().await.as_deref(), Some("alice"));
        eventually("the entry is there", async || client.entry("n").await == 7).await;
    }
}

#[tokio::test]
async fn two_requests_set_different_keys_at_two_servers_at_once() {
    let site = Site::start(&[]).await;
    let [one, two, three] = site.client();
    one.write("first", &json!(0)).await;
    let late = one.slow_in_flight().await;
    two.write("early", &json!(2)).await;
    assert_eq!(late.await.unwrap().status(), StatusCode::NO_CONTENT);
    for client in [one, two, three] {
        eventually("both are there", async || {
            let entries = client.session().await["entries"].clone();
            entries["early"] == 2 && entries["late"] == 1
        })
        .await;
    }
}

#[tokio::test]
async fn a_sign_out_at_one_is_refused_by_all_and_what_is_in_flight_writes_nothing() {
    let site = Site::start(&[]).await;
    let [one, two, three] = site.client();
    one.sign_in("alice").await;
    let thieves = [one.copy(), two.copy(), three.copy()];
    for thief in &thieves {
        assert_eq!(thief.subject().await.as_deref(), Some("alice"));
    }
    // Long enough for all of them to acknowledge the sign-out meanwhile, on a busy machine as well.
    let late = one.slow_in_flight_for(8_000).await;
    let out = two.post("/api/sign-out", &json!({})).send().await.unwrap();
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    // All of them had it before that was answered: there is nothing to wait for.
    for thief in &thieves {
        assert_eq!(thief.session().await["id"], Value::Null);
    }
    let late = late.await.unwrap();
    assert_eq!(set_cookies(&late), [""; 0]);
    assert_eq!(problem(late, 409).await, "ended");
    for server in &site.servers {
        assert_eq!(server.metric("session_store_sessions").await, 0);
        assert_eq!(server.metric("session_cluster_tombstones").await, 1);
    }
}

/// One of them hangs: that all have it is said only once this one is taken for dead, and no more is asked.
#[tokio::test]
async fn a_sign_out_is_not_confirmed_while_a_server_that_counts_does_not_have_it() {
    let site = Site::start(&[]).await;
    let [one, two, three] = site.client();
    one.sign_in("alice").await;
    let thieves = [one.copy(), two.copy(), three.copy()];
    for thief in &thieves {
        assert_eq!(thief.subject().await.as_deref(), Some("alice"));
    }
    site.servers[2].pause();
    let out = two.post("/api/sign-out", &json!({})).send().await.unwrap();
    if out.status() == StatusCode::NO_CONTENT {
        let linked = "session_cluster_member_linked{node=\"three\"}";
        assert_eq!(site.servers[1].metric(linked).await, 0);
    } else {
        problem(out, 503).await;
    }
    assert_eq!(thieves[1].session().await["id"], Value::Null);
    site.servers[2].resume();
    for thief in &thieves {
        eventually("it is refused", async || {
            status(thief).await == StatusCode::OK && thief.id().await.is_none()
        })
        .await;
    }
    site.is_whole().await;
    for thief in &thieves {
        assert_eq!(thief.session().await["id"], Value::Null);
    }
}

#[tokio::test]
async fn a_sign_out_everywhere_is_refused_by_all() {
    let site = Site::start(&[]).await;
    let mut devices = Vec::new();
    for server in &site.servers {
        let client = server.client();
        client.sign_in("alice").await;
        devices.push(client);
    }
    let [other, ..] = site.client();
    other.sign_in("bob").await;
    let all = [0, 1, 2].map(|_| devices.iter().map(Client::copy).collect::<Vec<_>>());
    let two = &devices[1];
    eventually("it knows of all", async || two.devices().await.len() == 3).await;
    let out = two.post("/api/sign-out-everywhere", &json!({}));
    let out = out.send().await.unwrap();
    assert!(out.status().is_success(), "{}", out.status());
    for (server, devices) in site.servers.iter().zip(&all) {
        for device in devices {
            assert_eq!(device.at(server).subject().await, None);
        }
        assert_eq!(other.at(server).subject().await.as_deref(), Some("bob"));
    }
}

#[tokio::test]
async fn a_limit_of_three_is_kept_over_all_servers() {
    let site = Site::start(&["--max-sessions", "3"]).await;
    let sign_ins = (0..12).map(|turn: usize| {
        let client = site.servers[turn % 3].client();
        tokio::spawn(async move {
            client.sign_in("alice").await;
            client
        })
    });
    let mut clients = Vec::new();
    for sign_in in futures_util::future::join_all(sign_ins).await {
        clients.push(sign_in.unwrap());
    }
    // Servers that take sign-ins at the same moment may each let one in: they end the surplus.
    eventually("all servers serve the same three at most", async || {
        let usable = usable(&site, &clients).await;
        (1..=3).contains(&usable[0].len()) && usable.iter().all(|it| *it == usable[0])
    })
    .await;
    // One after the other there is none.
    for server in &site.servers {
        let client = server.client();
        client.sign_in("alice").await;
        for (index, _) in NAMES.iter().enumerate() {
            let there = client.at(&site.servers[index]);
            assert_eq!(there.subject().await.as_deref(), Some("alice"));
        }
        clients.push(client);
    }
    let last: BTreeSet<usize> = (12..15).collect();
    eventually("the last three are left", async || {
        usable(&site, &clients).await.iter().all(|it| *it == last)
    })
    .await;
}

/// Which of the clients each server serves.
async fn usable(site: &Site, clients: &[Client]) -> Vec<BTreeSet<usize>> {
    let mut usable = Vec::new();
    for server in &site.servers {
        let mut of_server = BTreeSet::new();
        for (index, client) in clients.iter().enumerate() {
            if client.at(server).subject().await.is_some() {
                of_server.insert(index);
            }
        }
        usable.push(of_server);
    }
    usable
}

#[tokio::test]
async fn the_server_that_made_a_session_is_killed_and_comes_back_with_all() {
    let mut site = Site::start(&[]).await;
    let [one, two, three] = site.client();
    three.sign_in("alice").await;
    three.write("n", &json!(7)).await;
    let id = three.id().await;
    site.servers[2].kill();

    for client in [&one, &two] {
        assert_eq!(client.id().await, id);
        eventually("its entry is there", async || client.entry("n").await == 7).await;
    }
    one.write("n", &json!(8)).await;
    let other = site.servers[1].client();
    other.sign_in("bob").await;
    let thief = other.at(&site.servers[0]).copy();
    let out = other.post("/api/sign-out", &json!({})).send().await;
    assert_eq!(out.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(thief.subject().await, None);
    // The one that is down might know it, and come back.
    let stranger = site.servers[0].client();
    stranger.plant(&foreign_cookie().await);
    let answer = stranger.get("/api/session").send().await.unwrap();
    assert_eq!(set_cookies(&answer), [""; 0]);
    problem(answer, 503).await;
    let gone = "session_cluster_member_linked{node=\"three\"}";
    assert_eq!(site.servers[0].metric(gone).await, 0);
    let health = one.get("/healthz").send().await.unwrap();
    assert_eq!(health.status(), StatusCode::OK);

    site.servers[2] = site.nodes.start(2);
    site.is_whole().await;
    assert_eq!(three.id().await, id);
    assert_eq!(three.subject().await.as_deref(), Some("alice"));
    assert_eq!(three.entry("n").await, 8);
    assert_eq!(thief.at(&site.servers[2]).subject().await, None);
    // Nobody is missing any more: it is certain that there is none.
    eventually("it says so", async || {
        status(&stranger).await == StatusCode::OK
    })
    .await;
    assert_eq!(stranger.session().await["id"], Value::Null);
}

/// Each server is told to stop and started again, in turn, while people go on using the application through
/// whichever answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rolling_restart_signs_nobody_out() {
    let mut site = Site::start(&[]).await;
    let (is_over, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut people = Vec::new();
    for start in 0..6 {
        let clients = site.client();
        clients[start % 3].sign_in("alice").await;
        let id = clients[start % 3].id().await.unwrap();
        people.push(tokio::spawn(uses(
            clients,
            id,
            Arc::clone(&is_over),
            Arc::clone(&served),
        )));
    }
    for index in 0..3 {
        let before = served.load(Ordering::Relaxed);
        site.servers[index].terminate();
        assert!(site.servers[index].wait(), "{}", site.servers[index].log());
        let log = site.servers[index].log();
        assert!(
            log.contains("left the cluster: the others have all"),
            "{log}"
        );
        eventually("the others serve", async || {
            served.load(Ordering::Relaxed) > before + 20
        })
        .await;
        site.servers[index] = site.nodes.start(index);
        site.is_whole().await;
        let before = served.load(Ordering::Relaxed);
        eventually("all serve", async || {
            served.load(Ordering::Relaxed) > before + 20
        })
        .await;
    }
    is_over.store(true, Ordering::Relaxed);
    for person in people {
        person.await.unwrap();
    }
}

/// Goes from server to server as a balancer has it, which sends a request to another one if the first is not
/// there or not ready. Each answer is to be of the session `id`, with what was written last.
async fn uses(clients: [Client; 3], id: String, is_over: Arc<AtomicBool>, served: Arc<AtomicU64>) {
    for turn in 0_usize.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let client = &clients[turn % 3];
        let Ok(answer) = client.get("/api/session").send().await else {
            continue;
        };
        assert_eq!(set_cookies(&answer), [""; 0]);
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            continue;
        }
        assert_eq!(answer.status(), StatusCode::OK);
        let session = json_of(answer).await;
        assert_eq!(session["id"], *id, "at {}: {session}", NAMES[turn % 3]);
        served.fetch_add(1, Ordering::Relaxed);
        // It may be on its way down, and then what became of it is not known.
        let _ = client.put("n", &json!(turn)).send().await;
    }
}

#[tokio::test]
async fn a_server_that_cannot_ask_the_others_never_says_that_there_is_no_session() {
    let site = Site::start(&[]).await;
    let [one, ..] = site.client();
    one.sign_in("alice").await;
    let id = one.id().await;
    let stranger = site.servers[0].client();
    stranger.plant(&foreign_cookie().await);
    assert_eq!(stranger.session().await["id"], Value::Null);
    stranger.plant(&foreign_cookie().await);

    for server in &site.servers[1..] {
        server.pause();
    }
    // Before it takes them for dead, and after.
    let up = ["two", "three"].map(|name| format!("session_cluster_member_up{{node=\"{name}\"}}"));
    let mut are_up = 2;
    while are_up > 0 {
        let answer = stranger.get("/api/session").send().await.unwrap();
        assert_eq!(set_cookies(&answer), [""; 0]);
        problem(answer, 503).await;
        assert_eq!(one.id().await, id, "what it holds it serves");
        are_up = 0;
        for metric in &up {
            are_up += site.servers[0].metric(metric).await;
        }
    }
    let answer = stranger.get("/api/session").send().await.unwrap();
    problem(answer, 503).await;

    for server in &site.servers[1..] {
        server.resume();
    }
    eventually("it is certain again", async || {
        status(&stranger).await == StatusCode::OK
    })
    .await;
    assert_eq!(stranger.session().await["id"], Value::Null);
    for client in site.client() {
        client.plant(&one.cookie().unwrap());
        eventually("it serves", async || {
            status(&client).await == StatusCode::OK
        })
        .await;
        assert_eq!(client.id().await, id);
    }
}

#[tokio::test]
async fn a_sign_out_at_one_is_refused_behind_the_caches_of_the_others() {
    const BOUND: Duration = Duration::from_secs(2);
    let site = Site::start(&["--cache", "2s"]).await;
    let clients = site.client();
    clients[0].sign_in("alice").await;
    let id = clients[0].id().await.unwrap();
    let copies = clients.each_ref().map(Client::copy);
    for (server, copy) in site.servers.iter().zip(&copies) {
        eventually("it answers from memory", async || {
            let hits = server.metric("session_cache_hits_total").await;
            assert_eq!(copy.id().await.as_ref(), Some(&id));
            server.metric("session_cache_hits_total").await > hits
        })
        .await;
    }
    let out = clients[0].post("/api/sign-out", &json!({})).send().await;
    assert_eq!(out.unwrap().status(), StatusCode::NO_CONTENT);
    let ended = Instant::now();
    for copy in &copies {
        // A request that begins later than the bound is served by none.
        let mut is_served = true;
        while is_served {
            let began = ended.elapsed();
            is_served = copy.id().await.is_some();
            assert!(
                !is_served || began < BOUND,
                "served {began:?} after the end"
            );
        }
    }
    tokio::time::sleep_until((ended + BOUND).into()).await;
    for copy in &copies {
        assert_eq!(copy.subject().await, None);
    }
}

#[tokio::test]
async fn who_is_of_another_authority_is_refused_and_the_page_and_the_metrics_say_how_it_stands() {
    let site = Site::start(&[]).await;
    let [one, ..] = site.client();
    one.sign_in("alice").await;

    // The same cluster by its name, and certificates of its own making.
    let stranger = Nodes {
        host: site.nodes.host.clone(),
        ..Nodes::new(&[])
    };
    let host = &stranger.host;
    let store = format!("cluster://shop@{host}:7004?seeds={host}:7001");
    let listen = format!("{host}:3004");
    let flags = ["--listen", &listen, "--store", &store, "--node", "mallory"];
    let _mallory = Server::start_in(stranger.place.path(), &flags);
    let refused = "session_cluster_refused_total{reason=\"certificate\"}";
    eventually("it is refused", async || {
        site.servers[0].metric(refused).await > 0
    })
    .await;

    let page = one.get("/cluster").send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.unwrap();
    assert!(page.contains("Node one"), "{page}");
    for other in &NAMES[1..] {
        assert!(
            page.contains(&format!("<th scope=\"row\">{other}</th>")),
            "{page}"
        );
        let lag = format!("session_cluster_member_lag{{node=\"{other}\"}}");
        eventually("it has all", async || {
            site.servers[0].metric(&lag).await == 0
        })
        .await;
    }
    assert!(!page.contains("mallory"), "{page}");
    assert!(page.contains("Certificate expires"), "{page}");
    let expires = "session_cluster_certificate_expires_seconds";
    let expires_at_ms = site.servers[0].metric(expires).await * 1_000;
    assert!(expires_at_ms > support::now_ms(), "{expires_at_ms}");
    assert!(site.servers[0].metric("session_cluster_bytes").await > 0);
    assert_eq!(site.servers[0].metric("session_store_sessions").await, 1);
    let node = format!(
        "session_cluster_node_info{{cluster=\"shop\",node=\"one\",address=\"{host}:7001\"}}"
    );
    assert_eq!(site.servers[0].metric(&node).await, 1);
}
