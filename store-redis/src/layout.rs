//! Which server serves which slots, as one of them says.

use redis::Value;
use session_core::{Shard, StoreError};

use crate::address::Address;
use crate::connection::Connection;
use crate::failure::unavailable;
use crate::keys::tag;
use crate::slot::slot_of;

/// Who serves what. Two are equal if the same servers serve the same slots, by whatever addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// In the order of their slots.
    ranges: Vec<Range>,
}

/// Neighbouring slots of one master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: u16,
    pub(crate) last: u16,
    pub(crate) master: Master,
}

/// A server that has sessions.
#[derive(Clone, Debug)]
pub(crate) struct Master {
    /// What it is called in the cluster; outside of one, its address.
    pub(crate) name: Box<str>,
    pub(crate) address: Address,
}

impl PartialEq for Master {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Master {}

impl Layout {
    /// One server for all.
    pub(crate) fn of_one(address: Address) -> Self {
        let master = Master {
            name: address.to_string().into(),
            address,
        };
        Self {
            ranges: vec![Range {
                first: 0,
                last: u16::MAX,
                master,
            }],
        }
    }

    /// What a node of a cluster knows.
    pub(crate) async fn known_to(node: &Connection) -> Result<Self, StoreError> {
        let mut question = redis::cmd("CLUSTER");
        question.arg("SLOTS");
        let answer = node.ask(&question).await;
        let answer = answer.map_err(|error| unavailable().because(error))?;
        Self::read(&answer, node.address())
            .ok_or_else(|| unavailable().because("a node does not say which slots it serves"))
    }

    fn read(answer: &Value, asked: &Address) -> Option<Self> {
        let Value::Array(ranges) = answer else {
            return None;
        };
        let ranges: Option<Vec<_>> = ranges
            .iter()
            .map(|range| Range::read(range, asked))
            .collect();
        let mut ranges = ranges?;
        ranges.sort_unstable_by_key(|range| range.first);
        Some(Self { ranges })
    }

    pub(crate) fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// Each master once, in the order of their first slots.
    pub(crate) fn masters(&self) -> impl Iterator<Item = &Master> {
        self.ranges.iter().enumerate().filter_map(|(at, range)| {
            let before = self.ranges.iter().take(at);
            let is_first = before
                .map(|range| &range.master)
                .all(|known| *known != range.master);
            is_first.then_some(&range.master)
        })
    }

    /// Which of the masters that are listened to is to be believed about a shard's sessions: its own, else
    /// the first.
    pub(crate) fn line_of(&self, shard: Shard, lines: &[Master]) -> usize {
        let own = self.master_of(slot_of(&tag(shard)));
        let at = own.and_then(|own| lines.iter().position(|master| master == own));
        at.unwrap_or_default()
    }

    /// The master of a slot.
    pub(crate) fn master_of(&self, slot: u16) -> Option<&Master> {
        let after = self.ranges.partition_point(|range| range.first <= slot);
        let range = self.ranges.get(after.checked_sub(1)?)?;
        (slot <= range.last).then_some(&range.master)
    }
}

impl Range {
    /// Its first and last slot, its master as host, port and name, its replicas.
    fn read(range: &Value, asked: &Address) -> Option<Self> {
        let [
            Value::Int(first),
            Value::Int(last),
            Value::Array(master),
            ..,
        ] = range.as_sequence()?
        else {
            return None;
        };
        let [host, Value::Int(port), Value::BulkString(name), ..] = &**master else {
            return None;
        };
        let host = match host {
            Value::BulkString(host) if !host.is_empty() => str::from_utf8(host).ok()?.into(),
            // It means the one that was asked.
            _ => asked.host.clone(),
        };
        let address = Address {
            host,
            port: u16::try_from(*port).ok()?,
        };
        Some(Self {
            first: u16::try_from(*first).ok()?,
            last: u16::try_from(*last).ok()?,
            master: Master {
                name: str::from_utf8(name).ok()?.into(),
                address,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u16, last: u16, name: &str, host: &str) -> Value {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let master = Value::Array(vec![text(host), Value::Int(7000), text(name)]);
        Value::Array(vec![
            Value::Int(first.into()),
            Value::Int(last.into()),
            master,
        ])
    }

    fn layout(ranges: Vec<Value>) -> Layout {
        let asked = Address {
            host: "asked".into(),
            port: 1,
        };
        Layout::read(&Value::Array(ranges), &asked).unwrap()
    }

    #[test]
    fn layouts_are_the_same_if_the_same_nodes_serve_the_same_slots() {
        let one = layout(vec![range(0, 99, "a", ""), range(100, 199, "b", "hb")]);
        let same = layout(vec![
            range(100, 199, "b", "10.0.0.2"),
            range(0, 99, "a", "ha"),
        ]);
        assert_eq!(one, same);
        for other in [
            vec![range(0, 99, "a", ""), range(100, 199, "c", "hb")],
            vec![range(0, 98, "a", ""), range(99, 199, "b", "hb")],
            vec![range(0, 99, "a", "")],
        ] {
            assert_ne!(one, layout(other));
        }
    }

    #[test]
    fn each_master_is_named_once_and_each_slot_has_at_most_one() {
        let layout = layout(vec![
            range(10, 19, "a", ""),
            range(20, 29, "b", "hb"),
            range(40, 49, "a", ""),
        ]);
        let names: Vec<_> = layout.masters().map(|master| &*master.name).collect();
        assert_eq!(names, ["a", "b"]);
        let of = |slot| layout.master_of(slot).map(|master| &*master.name);
        assert_eq!(
            [9, 10, 19, 20, 29, 30, 40, 49, 50].map(of),
            [
                None,
                Some("a"),
                Some("a"),
                Some("b"),
                Some("b"),
                None,
                Some("a"),
                Some("a"),
                None
            ]
        );
    }
}
