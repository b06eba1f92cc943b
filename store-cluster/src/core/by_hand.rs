//! Replicas whose frames are carried by hand: one at a time, late, again, or never.

use std::collections::BTreeSet;
use std::time::Duration;

use session_core::{Loaded, NewRecord, SecretHash, SessionId, Timeouts, Timestamp};

use super::*;
use crate::wire::VERSION;

const NOW: Now = Now {
    wall: Timestamp::from_millis(2_000_000_000_000),
    uptime: Duration::from_secs(1),
};

/// A replica of this name, alone and ready.
fn replica(name: u64) -> Replica {
    let mut replica = Replica::new(ReplicaOptions::new(Incarnation(name)));
    replica.cold_start(&mut Effects::new());
    replica
}

fn link(one: &mut Replica, other: &mut Replica) {
    one.linked(NOW, other.me(), VERSION, &mut Effects::new());
    other.linked(NOW, one.me(), VERSION, &mut Effects::new());
}

/// Takes the frames that wait at `from` for `to`, each by itself.
fn frames(from: &mut Replica, to: &Replica) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    loop {
        let mut frame = Vec::new();
        from.next_frames(NOW, to.me(), &mut frame, 1);
        if frame.is_empty() {
            return frames;
        }
        frames.push(frame);
    }
}

fn give(to: &mut Replica, from: Incarnation, frame: &[u8]) -> Result<(), FrameError> {
    to.received(
        NOW,
        from,
        frame[4],
        frame[5],
        &frame[6..],
        &mut Effects::new(),
    )
}

/// Carries all that two replicas have to say to each other, and returns what `one` said.
fn talk(one: &mut Replica, other: &mut Replica) -> Vec<Vec<u8>> {
    let mut said = Vec::new();
    loop {
        let there = frames(one, other);
        let back = frames(other, one);
        if there.is_empty() && back.is_empty() {
            return said;
        }
        for frame in &there {
            give(other, one.me(), frame).unwrap();
        }
        for frame in &back {
            give(one, other.me(), frame).unwrap();
        }
        said.extend(there);
    }
}

fn create(at: &mut Replica, byte: u8) -> SessionId {
    let id = SessionId::from_bytes([byte; 16]);
    let timeouts = Timeouts::new(Duration::from_secs(3_600));
    let new = NewRecord::new(SecretHash::from_bytes([byte; 32]), timeouts);
    let written = at.create(NOW, id, &new, &mut Effects::new());
    assert!(written.unwrap().seq.is_some());
    id
}

fn delete(at: &mut Replica, id: SessionId) {
    let deleted = at.delete(NOW, id, Asked::Yes, &mut Effects::new());
    assert!(deleted.unwrap().answer);
}

#[test]
fn no_frame_is_taken_twice_and_none_that_is_old_changes_anything() {
    let (mut one, mut other) = (replica(1), replica(2));
    link(&mut one, &mut other);
    let mut said = talk(&mut one, &mut other);
    let gone = create(&mut one, 1);
    create(&mut other, 2);
    one.ask(NOW, SessionId::from_bytes([3; 16]), &mut Effects::new())
        .unwrap();
    one.flush(NOW, &mut Effects::new());
    said.extend(talk(&mut one, &mut other));
    delete(&mut one, gone);
    said.extend(talk(&mut one, &mut other));
    // Even over a link made since, and once nobody remembers that the session has ended.
    one.unlinked(NOW, other.me(), &mut Effects::new());
    other.unlinked(NOW, one.me(), &mut Effects::new());
    link(&mut one, &mut other);
    said.extend(talk(&mut one, &mut other));
    other.cells.remove(gone);

    let before = (
        other.known.clone(),
        other.usage(),
        other.digest(Timestamp::MIN),
    );
    let kinds: BTreeSet<_> = said.iter().map(|frame| frame[4]).collect();
    assert!(kinds.len() >= 4, "{kinds:?}");
    for frame in &said {
        assert_eq!(give(&mut other, one.me(), frame), Err(FrameError::Repeated));
    }
    assert_eq!(
        (
            other.known.clone(),
            other.usage(),
            other.digest(Timestamp::MIN)
        ),
        before
    );
    assert!(frames(&mut other, &one).is_empty(), "nothing is answered");
    create(&mut one, 4);
    talk(&mut one, &mut other);
    assert_eq!(other.usage().sessions, 2, "what is new is taken");
}

#[test]
fn a_frame_of_a_version_without_numbers_is_refused_where_they_were_agreed_on() {
    let (mut one, mut other) = (replica(1), replica(2));
    link(&mut one, &mut other);
    talk(&mut one, &mut other);
    let mut frame = Vec::new();
    let question = crate::wire::Message::Flush { ask: 1 };
    question.write(crate::wire::OLDEST, 1, &mut frame);
    let refused = give(&mut other, one.me(), &frame);
    assert!(matches!(refused, Err(FrameError::Malformed(_))));
    assert!(frames(&mut other, &one).is_empty(), "nothing is answered");
}

#[test]
fn what_an_answer_brought_outlives_the_node_that_gave_it() {
    let mut maker = replica(1);
    let (mut asker, mut third) = (replica(2), replica(3));
    link(&mut maker, &mut asker);
    link(&mut asker, &mut third);
    talk(&mut maker, &mut asker);
    talk(&mut asker, &mut third);
    let (lives, ended) = (create(&mut maker, 1), create(&mut maker, 2));
    delete(&mut maker, ended);
    // What the maker pushes is lost with it; its answers arrive.
    for id in [lives, ended] {
        asker.ask(NOW, id, &mut Effects::new()).unwrap();
    }
    for question in frames(&mut asker, &maker) {
        give(&mut maker, Incarnation(2), &question).unwrap();
    }
    let answer_kind = 22;
    for frame in frames(&mut maker, &asker) {
        if frame[4] == answer_kind {
            give(&mut asker, Incarnation(1), &frame).unwrap();
        }
    }
    asker.member(NOW, Incarnation(1), Presence::Gone, &mut Effects::new());
    talk(&mut asker, &mut third);
    let at_third = third.load(NOW, lives, Asked::Yes);
    assert!(matches!(at_third, Ok(Loaded::Live(_))), "{at_third:?}");
    assert!(matches!(third.state_of(ended), Some(State::Dead(_))));
}

#[test]
fn a_node_that_starts_is_sent_everything_by_one_peer_and_by_another_if_that_one_hangs() {
    let mut old: Vec<_> = (1..=3).map(replica).collect();
    for (byte, node) in (1..).zip(&mut old) {
        create(node, byte);
        node.ring.drop_until(u64::MAX);
    }
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let [one, other] = old.get_disjoint_mut([one, other]).unwrap();
        link(one, other);
        talk(one, other);
    }
    let mut new = Replica::new(ReplicaOptions::new(Incarnation(9)));
    for node in &mut old {
        link(node, &mut new);
        create(node, 10 + u8::try_from(node.me().0).unwrap());
    }
    let (want_kind, states_kind) = (18, 19);
    let (mut asked, mut donors) = (Vec::new(), BTreeSet::new());
    let mut now = NOW;
    while !new.is_ready() {
        now.uptime += Duration::from_secs(1);
        assert!(now.uptime < Duration::from_secs(30), "asked: {asked:?}");
        new.tick(now, &mut Effects::new());
        // All are heard before any is answered. The first that is asked says nothing any more.
        for node in &mut old {
            if asked.first() == Some(&node.me()) {
                continue;
            }
            for frame in frames(node, &new) {
                if frame[4] == states_kind {
                    donors.insert(node.me());
                }
                let (kind, version, body) = (frame[4], frame[5], &frame[6..]);
                let effects = &mut Effects::new();
                new.received(now, node.me(), kind, version, body, effects)
                    .unwrap();
            }
        }
        let before = asked.len();
        for node in &mut old {
            for frame in frames(&mut new, node) {
                if frame[4] == want_kind {
                    asked.push(node.me());
                }
                give(node, new.me(), &frame).unwrap();
            }
        }
        assert!(asked.len() <= before + 1, "one at a time: {asked:?}");
    }
    assert_eq!(asked.len(), 2);
    assert_eq!(donors, asked[1..].iter().copied().collect());
    for node in &mut old {
        let said = talk(node, &mut new);
        let kinds: Vec<_> = said.iter().map(|frame| frame[4]).collect();
        // The one that was asked in vain answers late.
        assert_eq!(
            kinds.contains(&states_kind),
            node.me() == asked[0],
            "{kinds:?}"
        );
    }
    assert_eq!(new.usage().sessions, 6, "and what came later is pushed");
}
