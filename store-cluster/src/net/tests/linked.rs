//! Nodes that belong together.

use std::time::Duration;

use super::authority::{Authority, security};
use super::node::{Node, Seen, any_port, eventually};
use crate::net::hello::Channel;
use crate::net::{Credentials, HELLO, Reach, Security};
use crate::net::{frame, stream};
use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn one_side_that_knows_the_other_is_enough_for_data_to_go_both_ways_in_order() {
    let authority = Authority::new();
    let (one, two) = (
        Node::start(authority.security().await).await,
        Node::start(authority.security().await).await,
    );
    one.wants(&[&two]);
    one.is_linked_to(&two).await;
    for number in 0..200_u8 {
        one.sends(&two, 16, &[number]);
        two.sends(&one, 17, &[number]);
    }
    let last =
        |from: &Node, kind| Seen::Frame(from.incarnation(), kind, Bytes::from_static(&[199]));
    two.sees(&last(&one, 16)).await;
    one.sees(&last(&two, 17)).await;
    for (node, from, kind) in [(&two, &one, 16), (&one, &two, 17)] {
        let frames = |number| Seen::Frame(from.incarnation(), kind, vec![number].into());
        let mut expected = vec![Seen::Opened(from.incarnation())];
        expected.extend((0..200).map(frames));
        assert_eq!(node.seen(), expected);
    }
}

#[tokio::test]
async fn datagrams_and_goodbyes_go_beside_the_data() {
    let (one, two) = (
        Node::start(Security::Plaintext).await,
        Node::start(Security::Plaintext).await,
    );
    one.mesh.send(two.addr, Bytes::from_static(b"hello"));
    two.sees(&Seen::Datagram(Bytes::from_static(b"hello")))
        .await;
    two.mesh.send(one.addr, Bytes::from_static(b"welcome"));
    one.sees(&Seen::Datagram(Bytes::from_static(b"welcome")))
        .await;
    two.mesh.say_goodbye(Duration::from_secs(10)).await;
    one.sees(&Seen::Left(two.incarnation())).await;
}

#[tokio::test]
async fn a_frame_of_the_largest_size_arrives_whole() {
    let (one, two) = (
        Node::start(Security::Plaintext).await,
        Node::start(Security::Plaintext).await,
    );
    one.wants(&[&two]);
    one.is_linked_to(&two).await;
    let body = vec![7; frame::MAX_FRAME - 2];
    one.sends(&two, 200, &body);
    two.sees(&Seen::Frame(one.incarnation(), 200, body.into()))
        .await;
}

#[tokio::test]
async fn a_node_that_is_started_again_is_linked_again() {
    let (one, two) = (
        Node::start(Security::Plaintext).await,
        Node::start(Security::Plaintext).await,
    );
    one.wants(&[&two]);
    one.is_linked_to(&two).await;
    let (addr, before) = (two.addr, two.incarnation());
    drop(two);
    one.sees(&Seen::Closed(before)).await;
    eventually(|| one.mesh.reach(addr) == Reach::Closed, "nobody listens").await;
    let listener = stream::listen(addr).unwrap();
    let two = Node::with(Security::Plaintext, listener, |_| {}).await;
    one.is_linked_to(&two).await;
    one.sends(&two, 16, b"again");
    two.sees(&Seen::Frame(
        one.incarnation(),
        16,
        Bytes::from_static(b"again"),
    ))
    .await;
}

/// A node that leaves it to every other to make the connections, and what a node that is no more would say
/// to it, whose incarnation is 5.
async fn node_and_hello() -> (Node, Vec<u8>) {
    let with = async |incarnation| {
        Node::with(Security::Plaintext, any_port(), |local| {
            local.peer.incarnation = incarnation;
        })
        .await
    };
    let mut hello = Vec::new();
    let said = with(5).await.mesh.local.hello(Channel::Data);
    frame::append(&mut hello, HELLO, 1, &said.encode());
    (with(u64::MAX).await, hello)
}

#[tokio::test]
async fn a_newer_connection_of_a_peer_takes_the_place_of_one_that_may_be_half_open() {
    let (node, hello) = node_and_hello().await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut tcp = TcpStream::connect(node.addr).await.unwrap();
        tcp.write_all(&hello).await.unwrap();
        open.push(tcp);
        let is_opened = |seen: &&Seen| **seen == Seen::Opened(5);
        let opened = || node.seen().iter().filter(is_opened).count();
        eventually(|| opened() == open.len(), "the newest is open").await;
    }
    let (opened, closed) = (Seen::Opened(5), Seen::Closed(5));
    let expected = [&opened, &closed, &opened, &closed, &opened].map(Clone::clone);
    assert_eq!(node.seen(), expected);
}

#[tokio::test]
async fn a_peer_that_reads_nothing_costs_no_memory_and_holds_up_nobody() {
    let (node, hello) = node_and_hello().await;
    let quick = Node::start(Security::Plaintext).await;
    // Says who it is, and then neither reads nor writes.
    let mut slow = TcpStream::connect(node.addr).await.unwrap();
    slow.write_all(&hello).await.unwrap();
    node.sees(&Seen::Opened(5)).await;
    let mut large = Vec::new();
    frame::append(&mut large, 16, 1, &vec![0; 64 << 10]);
    for _ in 0..1_000 {
        node.sends_bytes(5, large.clone());
    }
    node.wants(&[&quick]);
    node.is_linked_to(&quick).await;
    node.sends(&quick, 16, b"on time");
    let on_time = Seen::Frame(u64::MAX, 16, Bytes::from_static(b"on time"));
    quick.sees(&on_time).await;
    node.sees(&Seen::Closed(5)).await;
    // What the operating system holds for it was taken, and no more.
    let taken = *node.traffic.filled.lock();
    assert!(taken < 300, "{taken} of 1,001 frames");
}

#[tokio::test]
async fn new_certificates_are_used_without_a_restart() {
    let folder = std::env::temp_dir().join(format!(
        "session-net-{}",
        session_core::Revision::random().to_u64()
    ));
    std::fs::create_dir(&folder).unwrap();
    let path = |name: &str| folder.join(name);
    let write = |authority: &Authority, name: &str, year| {
        let (chain, key) = authority.issue_until(name, year);
        std::fs::write(path("ca.pem"), &authority.pem).unwrap();
        std::fs::write(path("node.pem"), chain).unwrap();
        std::fs::write(path("node.key"), key).unwrap();
    };
    let (before, after) = (Authority::new(), Authority::new());
    write(&before, "shop", 2040);
    let credentials = Credentials::files(path("ca.pem"), path("node.pem"), path("node.key"));
    let one = Node::start(security(credentials).await).await;
    let two = Node::start(after.security().await).await;
    one.wants(&[&two]);
    eventually(
        || two.mesh.counters.read().certificate > 0 || one.mesh.counters.read().certificate > 0,
        "it is refused",
    )
    .await;
    let Security::Tls(tls) = &one.mesh.local.security else {
        unreachable!("it was made with TLS")
    };
    let expires_at = || tls.present().expires_at.as_millis();
    assert!(!tls.reload().await.unwrap());
    write(&after, "other", 2041);
    tls.reload().await.unwrap_err();
    assert_eq!(expires_at(), 2_208_988_800_000);
    write(&after, "shop", 2041);
    assert!(tls.reload().await.unwrap());
    assert_eq!(expires_at(), 2_240_611_200_000);
    one.is_linked_to(&two).await;
    std::fs::remove_dir_all(&folder).unwrap();
}
