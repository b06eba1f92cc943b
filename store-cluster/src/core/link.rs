//! One link to a peer: what waits to be sent over it.

use std::collections::VecDeque;
use std::time::Duration;

use super::log::Key;
use super::scan::Scan;
use crate::wire::{Message, Vector};

/// Beyond this many messages questions and answers are dropped: whoever asked finds that nobody answered.
const WAITING: usize = 256;

/// A link that stands. All its frames travel in order.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) version: u8,
    /// The next operation of our own to push. `None` until the peer said what it knows.
    pub(crate) cursor: Option<u64>,
    pub(crate) waiting: VecDeque<Message>,
    pub(crate) owes_status: bool,
    pub(crate) scan: Option<Scan>,
    /// What the peer asked for while another scan was under way.
    pub(crate) wanted: Option<Vector>,
    /// What a scan of the peer's brought so far.
    pub(crate) scanned: Vec<Key>,
    /// Since when the peer owes us an answer to a want.
    pub(crate) wants_since: Option<Duration>,
}

impl Link {
    pub(crate) fn new(version: u8) -> Self {
        Self {
            version,
            cursor: None,
            waiting: VecDeque::new(),
            owes_status: true,
            scan: None,
            wanted: None,
            scanned: Vec::new(),
            wants_since: None,
        }
    }

    pub(crate) fn say(&mut self, message: Message) {
        // There is one of these at a time, and while it is awaited no other is sent.
        let is_awaited = matches!(message, Message::Want { .. } | Message::Caught { .. });
        let has_room = is_awaited || self.waiting.len() < WAITING;
        if message.is_known_in(self.version) && has_room {
            self.waiting.push_back(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_waits_for_is_not_dropped_behind_a_crowd_of_questions() {
        let mut link = Link::new(crate::wire::VERSION);
        for ask in 0..2 * WAITING as u64 {
            link.say(Message::Flush { ask });
        }
        assert_eq!(link.waiting.len(), WAITING);
        let known = Vector::new();
        let awaited = [
            Message::Want {
                known: known.clone(),
            },
            Message::Caught { known },
        ];
        for message in awaited {
            link.say(message.clone());
            assert_eq!(link.waiting.back(), Some(&message));
        }
    }
}
