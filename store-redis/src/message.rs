//! What is published on the feed's channel.

use std::collections::VecDeque;

use session_core::{FeedItem, SessionId};

use crate::layout::Master;

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// Of one session.
    Item(SessionId, FeedItem),
    /// A nonce, and the name of the master that it was sent to.
    Nonce(u64, &'a str),
}

impl<'a> Message<'a> {
    pub(crate) fn read(message: &'a [u8]) -> Option<Self> {
        let (what, rest) = str::from_utf8(message).ok()?.split_once(' ')?;
        let of = |item: fn(SessionId) -> FeedItem| {
            let id = rest.parse().ok()?;
            Some(Self::Item(id, item(id)))
        };
        match what {
            "ended" => of(FeedItem::Ended),
            "renewed" => of(FeedItem::Renewed),
            "nonce" => {
                let (nonce, name) = rest.split_once(' ')?;
                Some(Self::Nonce(u64::from_str_radix(nonce, 16).ok()?, name))
            }
            _ => None,
        }
    }

    /// The message that takes a nonce to a master and back.
    pub(crate) fn nonce(nonce: u64, name: &str) -> String {
        format!("nonce {nonce:x} {name}")
    }
}

/// How many nonces may be on their way. Of more, the oldest are forgotten.
const ON_THEIR_WAY: usize = 64;

/// Nonces that came back from some masters and not yet from all.
#[derive(Debug)]
pub(crate) struct Echoes<'a> {
    /// By line.
    masters: &'a [Master],
    /// Each nonce, and the lines that it is still to come from.
    waiting: VecDeque<(u64, Vec<bool>)>,
}

impl<'a> Echoes<'a> {
    pub(crate) fn of(masters: &'a [Master]) -> Self {
        Self {
            masters,
            waiting: VecDeque::new(),
        }
    }

    /// A nonce that was sent to the master called `name` is heard on a line. It counts only on that
    /// master's own, for what comes to the others comes another way. Told once it came from all.
    pub(crate) fn heard(&mut self, nonce: u64, name: &str, line: usize) -> Option<FeedItem> {
        if *self.masters.get(line)?.name != *name {
            return None;
        }
        let known = self.waiting.iter().position(|(known, _)| *known == nonce);
        let at = known.unwrap_or_else(|| {
            if self.waiting.len() == ON_THEIR_WAY {
                self.waiting.pop_front();
            }
            let all = vec![true; self.masters.len()];
            self.waiting.push_back((nonce, all));
            self.waiting.len() - 1
        });
        let (_, waits_for) = self.waiting.get_mut(at)?;
        *waits_for.get_mut(line)? = false;
        if waits_for.contains(&true) {
            return None;
        }
        self.waiting.remove(at);
        Some(FeedItem::Echo(nonce))
    }
}

#[cfg(test)]
mod tests {
    use crate::address::Address;

    use super::*;

    #[test]
    fn messages_of_a_known_kind_are_read() {
        let text = "beef0123456789abcdef0123456789ab";
        let id: SessionId = text.parse().unwrap();
        let of = |what: &str| format!("{what} {text}").into_bytes();
        let ended = Message::Item(id, FeedItem::Ended(id));
        assert_eq!(Message::read(&of("ended")), Some(ended));
        let renewed = Message::Item(id, FeedItem::Renewed(id));
        assert_eq!(Message::read(&of("renewed")), Some(renewed));
        let nonce = Message::nonce(u64::MAX, "127.0.0.1:7000");
        let read = Message::Nonce(u64::MAX, "127.0.0.1:7000");
        assert_eq!(Message::read(nonce.as_bytes()), Some(read));
        assert_eq!(Message::read(&of("hello")), None);
        for other in ["ended nobody", "hello", "nonce 1", "nonce x a"] {
            assert_eq!(Message::read(other.as_bytes()), None, "{other}");
        }
    }

    fn masters(names: &[&str]) -> Vec<Master> {
        let address = Address {
            host: "h".into(),
            port: 1,
        };
        let masters = names.iter().map(|name| Master {
            name: (*name).into(),
            address: address.clone(),
        });
        masters.collect()
    }

    #[test]
    fn a_nonce_is_back_once_each_master_gave_it_back_on_its_own_line() {
        let masters = masters(&["a", "b", "c"]);
        let mut echoes = Echoes::of(&masters);
        // What comes over the bus does not count.
        for line in 0..3 {
            for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
                if at != line {
                    assert_eq!(echoes.heard(7, name, line), None);
                }
            }
        }
        assert_eq!(echoes.heard(7, "a", 0), None);
        assert_eq!(echoes.heard(7, "a", 0), None);
        assert_eq!(echoes.heard(7, "c", 2), None);
        assert_eq!(echoes.heard(8, "b", 1), None);
        assert_eq!(echoes.heard(7, "d", 1), None);
        assert_eq!(echoes.heard(7, "b", 1), Some(FeedItem::Echo(7)));
        assert_eq!(echoes.heard(7, "b", 1), None);
    }

    #[test]
    fn nonces_that_never_come_back_take_no_more_than_their_place() {
        let masters = masters(&["a", "b"]);
        let mut echoes = Echoes::of(&masters);
        for nonce in 0..1000 {
            assert_eq!(echoes.heard(nonce, "a", 0), None);
        }
        assert_eq!(echoes.waiting.len(), ON_THEIR_WAY);
        assert_eq!(echoes.heard(0, "b", 1), None);
        assert_eq!(echoes.heard(999, "b", 1), Some(FeedItem::Echo(999)));
    }
}
