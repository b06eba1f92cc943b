//! The first frame of each side: who it is, and what it understands.
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | `sess` |
//! | 4, 5 | lowest and highest version of the protocol that it understands |
//! | 6 | channel: 0 control, 1 data |
//! | 7 | zero |
//! | 8..16 | features, one bit each |
//! | 16..24 | incarnation |
//! | 24..32, 32..40 | when it started, and its present: milliseconds since 1970 |
//! | 40..48 | fingerprint of how it places subjects in shards |
//! | 48..56, 56..64 | for how many milliseconds its tickets are good, and how many clocks may differ |
//! | then | the names of cluster and node, and the node's address: length 1 and text each |
//! | then | what later versions may add |
//!
//! Integers are big-endian. The layout only ever grows at its end.

use std::ops::RangeInclusive;
use std::time::Duration;

use session_core::Timestamp;

use super::peer::{NodeName, Peer};

const MAGIC: [u8; 4] = *b"sess";

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Channel {
    /// Membership: what must not wait behind data.
    Control,
    /// Everything about sessions, in order.
    Data,
}

/// What all nodes of a cluster must agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// [`session_core::Sharding::fingerprint`].
    pub(crate) sharding: [u8; 8],
    pub(crate) ticket_life: Duration,
    /// How far the clocks of two nodes may be apart.
    pub(crate) max_skew: Duration,
}

/// What one side says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) cluster: Box<str>,
    pub(crate) peer: Peer,
    pub(crate) channel: Channel,
    pub(crate) versions: RangeInclusive<u8>,
    pub(crate) features: u64,
    pub(crate) wall: Timestamp,
    pub(crate) terms: Terms,
}

/// What both sides go by from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// The highest version that both understand.
    pub(crate) version: u8,
    /// The features that both have.
    pub(crate) features: u64,
}

/// Why a peer is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it does not speak this protocol")]
    Garbled,
    #[error("it belongs to another cluster")]
    Cluster,
    #[error("there is no version of the protocol that both understand")]
    Version,
    #[error("its clock differs by more than the bound")]
    Clock,
    #[error("it places subjects in shards otherwise")]
    Sharding,
    #[error("its tickets are good for another time")]
    TicketLife,
    #[error("it bears with clocks that differ more, or less")]
    Skew,
    #[error("it is this node itself")]
    Myself,
    #[error("another life of its node has followed it, or it was away for too long")]
    Retired,
    #[error("there are as many connections as there may be")]
    Crowded,
}

impl Refusal {
    pub(crate) const ALL: [Self; 10] = [
        Self::Garbled,
        Self::Cluster,
        Self::Version,
        Self::Clock,
        Self::Sharding,
        Self::TicketLife,
        Self::Skew,
        Self::Myself,
        Self::Retired,
        Self::Crowded,
    ];

    pub(crate) fn code(self) -> u8 {
        let at = Self::ALL.iter().position(|other| *other == self);
        at.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
    }

    /// The refusal of this code; one that a later version knows reads as garbled.
    pub(crate) fn from_code(code: u8) -> Self {
        let known = Self::ALL.get(usize::from(code));
        known.copied().unwrap_or(Self::Garbled)
    }
}

impl Hello {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let channel = match self.channel {
            Channel::Control => 0,
            Channel::Data => 1,
        };
        out.extend_from_slice(&[*self.versions.start(), *self.versions.end(), channel, 0]);
        out.extend_from_slice(&self.features.to_be_bytes());
        out.extend_from_slice(&self.peer.incarnation.to_be_bytes());
        out.extend_from_slice(&self.peer.started_at().as_millis().to_be_bytes());
        out.extend_from_slice(&self.wall.as_millis().to_be_bytes());
        out.extend_from_slice(&self.terms.sharding);
        for duration in [self.terms.ticket_life, self.terms.max_skew] {
            let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            out.extend_from_slice(&millis.to_be_bytes());
        }
        let addr = self.peer.addr.to_string();
        for text in [&*self.cluster, self.peer.node.as_str(), &addr] {
            out.push(u8::try_from(text.len()).unwrap_or_default());
            out.extend_from_slice(text.as_bytes());
        }
        out
    }

    /// Reads what [`Hello::encode`] wrote; `None` if it is anything else.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        if take(from)? != MAGIC {
            return None;
        }
        let [lowest, highest, channel, _] = take(from)?;
        let channel = match channel {
            0 => Channel::Control,
            1 => Channel::Data,
            _ => return None,
        };
        let features = u64::from_be_bytes(take(from)?);
        let incarnation = u64::from_be_bytes(take(from)?);
        let started_at = Timestamp::from_millis(u64::from_be_bytes(take(from)?));
        let wall = Timestamp::from_millis(u64::from_be_bytes(take(from)?));
        let sharding = take(from)?;
        let ticket_life = Duration::from_millis(u64::from_be_bytes(take(from)?));
        let max_skew = Duration::from_millis(u64::from_be_bytes(take(from)?));
        let cluster = text(from)?.into();
        let node = NodeName::new(text(from)?)?;
        let addr = text(from)?.parse().ok()?;
        Some(Self {
            cluster,
            peer: Peer::new(node, incarnation, started_at, addr),
            channel,
            versions: lowest..=highest,
            features,
            wall,
            terms: Terms {
                sharding,
                ticket_life,
                max_skew,
            },
        })
    }

    /// What this side, whose hello is `self`, makes of the other's, which was written about `now`.
    ///
    /// # Errors
    ///
    /// The first [`Refusal`] that applies.
    pub(crate) fn judge(&self, other: &Self, now: Timestamp) -> Result<Agreed, Refusal> {
        if self.cluster != other.cluster {
            return Err(Refusal::Cluster);
        }
        if self.peer.incarnation == other.peer.incarnation {
            return Err(Refusal::Myself);
        }
        let highest = *self.versions.end().min(other.versions.end());
        if !self.versions.contains(&highest) || !other.versions.contains(&highest) {
            return Err(Refusal::Version);
        }
        if self.terms.sharding != other.terms.sharding {
            return Err(Refusal::Sharding);
        }
        if self.terms.ticket_life != other.terms.ticket_life {
            return Err(Refusal::TicketLife);
        }
        let max_skew = self.terms.max_skew;
        if max_skew != other.terms.max_skew {
            return Err(Refusal::Skew);
        }
        if now.since(other.wall).max(other.wall.since(now)) > max_skew {
            return Err(Refusal::Clock);
        }
        if other.peer.node == self.peer.node && self.peer.replaces(&other.peer) {
            return Err(Refusal::Retired);
        }
        Ok(Agreed {
            version: highest,
            features: self.features & other.features,
        })
    }
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

fn text<'a>(from: &mut &'a [u8]) -> Option<&'a str> {
    let [len] = take(from)?;
    let (taken, rest) = from.split_at_checked(len.into())?;
    *from = rest;
    str::from_utf8(taken).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SKEW: Duration = Duration::from_secs(10);

    fn hello(node: &str, incarnation: u64) -> Hello {
        let started_at = Timestamp::from_millis(1_000);
        let addr = "[::1]:7001".parse().unwrap();
        Hello {
            cluster: "shop".into(),
            peer: Peer::new(NodeName::new(node).unwrap(), incarnation, started_at, addr),
            channel: Channel::Control,
            versions: 1..=1,
            features: 0b101,
            wall: Timestamp::from_millis(50_000),
            terms: Terms {
                sharding: [1; 8],
                ticket_life: Duration::from_secs(600),
                max_skew: SKEW,
            },
        }
    }

    fn judged(change: impl FnOnce(&mut Hello)) -> Result<Agreed, Refusal> {
        let (mine, mut other) = (hello("one", 1), hello("two", 2));
        change(&mut other);
        mine.judge(&other, Timestamp::from_millis(50_000))
    }

    /// A later version must go on reading exactly these bytes.
    #[test]
    fn version_1_is_written_like_this() {
        let bytes = hello("one", 0xabc).encode();
        let mut expected = b"sess\x01\x01\0\0\0\0\0\0\0\0\0\x05".to_vec();
        expected.extend_from_slice(&[0; 6]);
        expected.extend_from_slice(&[0x0a, 0xbc]);
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0x03, 0xe8]);
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0xc3, 0x50]);
        expected.extend_from_slice(&[1; 8]);
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0x09, 0x27, 0xc0]);
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0x27, 0x10]);
        expected.extend_from_slice(b"\x04shop\x03one\x0a[::1]:7001");
        assert_eq!(bytes, expected);
        assert_eq!(Hello::decode(&bytes), Some(hello("one", 0xabc)));
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let mut bytes = hello("one", 1).encode();
        bytes.extend_from_slice(b"more");
        assert_eq!(Hello::decode(&bytes), Some(hello("one", 1)));
    }

    #[test]
    fn a_hello_cut_short_is_none() {
        let bytes = hello("one", 1).encode();
        for len in 0..bytes.len() {
            assert_eq!(Hello::decode(&bytes[..len]), None, "{len} bytes");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn bytes_from_anywhere_are_a_hello_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Hello::decode(&bytes);
        }

        #[test]
        fn a_garbled_hello_is_another_or_none(at in 0_usize..100, byte in any::<u8>()) {
            let mut bytes = hello("one", 1).encode();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            if let Some(read) = Hello::decode(&bytes) {
                prop_assert_eq!(Hello::decode(&read.encode()), Some(read));
            }
        }
    }

    #[test]
    fn the_highest_version_that_both_understand_is_agreed() {
        let agreed = |mine, theirs| {
            let (mut one, mut two) = (hello("one", 1), hello("two", 2));
            (one.versions, two.versions) = (mine, theirs);
            let judged = one.judge(&two, two.wall);
            judged.map(|agreed| agreed.version)
        };
        assert_eq!(agreed(1..=1, 1..=2), Ok(1));
        assert_eq!(agreed(2..=3, 1..=2), Ok(2));
        assert_eq!(agreed(2..=3, 2..=5), Ok(3));
        assert_eq!(agreed(3..=4, 1..=2), Err(Refusal::Version));
        assert_eq!(agreed(1..=2, 3..=4), Err(Refusal::Version));
        #[expect(clippy::reversed_empty_ranges, reason = "a peer may say what it likes")]
        let nonsense = 9..=1;
        assert_eq!(agreed(1..=2, nonsense), Err(Refusal::Version));
    }

    #[test]
    fn only_features_of_both_are_agreed() {
        assert_eq!(
            judged(|other| other.features = 0b110).unwrap().features,
            0b100
        );
    }

    #[test]
    fn a_peer_that_does_not_fit_is_refused() {
        assert_eq!(
            judged(|other| other.cluster = "staging".into()),
            Err(Refusal::Cluster)
        );
        assert_eq!(
            judged(|other| other.terms.sharding = [2; 8]),
            Err(Refusal::Sharding)
        );
        assert_eq!(
            judged(|other| other.terms.ticket_life = Duration::ZERO),
            Err(Refusal::TicketLife)
        );
        assert_eq!(
            judged(|other| other.terms.max_skew *= 2),
            Err(Refusal::Skew)
        );
        assert_eq!(
            judged(|other| other.peer.incarnation = 1),
            Err(Refusal::Myself)
        );
    }

    #[test]
    fn a_clock_may_differ_by_the_bound_and_no_more() {
        for millis in [40_000, 60_000] {
            judged(|other| other.wall = Timestamp::from_millis(millis)).unwrap();
        }
        for millis in [39_999, 60_001, 0, u64::MAX] {
            assert_eq!(
                judged(|other| other.wall = Timestamp::from_millis(millis)),
                Err(Refusal::Clock)
            );
        }
    }

    #[test]
    fn an_earlier_life_of_this_very_node_is_refused() {
        let (mine, mut other) = (hello("one", 1), hello("one", 2));
        let earlier = Timestamp::from_millis(999);
        other.peer = Peer::new(mine.peer.node.clone(), 2, earlier, mine.peer.addr);
        assert_eq!(mine.judge(&other, other.wall), Err(Refusal::Retired));
    }

    #[test]
    fn every_refusal_has_a_code_of_its_own() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_code(refusal.code()), refusal);
        }
        assert_eq!(Refusal::from_code(200), Refusal::Garbled);
    }
}
