//! Commands as bytes, alone and taken together.

use std::sync::Arc;

use crate::script::Script;

/// Words of a command, packed as RESP has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    bytes: Vec<u8>,
    count: usize,
}

impl Words {
    /// None yet, and room for `bytes`.
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            count: 0,
        }
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn push(&mut self, word: &[u8]) {
        self.count += 1;
        self.bytes.reserve(word.len() + 16);
        push_word(&mut self.bytes, word);
    }

    /// Takes back the last word, which is `word`.
    pub(crate) fn pop(&mut self, word: &[u8]) {
        let mut packed = Vec::new();
        push_word(&mut packed, word);
        if self.bytes.ends_with(&packed) {
            self.bytes.truncate(self.bytes.len() - packed.len());
            self.count -= 1;
        }
    }
}

fn push_word(bytes: &mut Vec<u8>, word: &[u8]) {
    push_number(bytes, b'$', word.len());
    bytes.extend_from_slice(word);
    bytes.extend_from_slice(b"\r\n");
}

fn push_number(bytes: &mut Vec<u8>, mark: u8, number: usize) {
    bytes.push(mark);
    // Most are of few digits.
    let digit = |number: usize| b'0' + u8::try_from(number % 10).unwrap_or_default();
    match number {
        0..10 => bytes.push(digit(number)),
        10..100 => bytes.extend([digit(number / 10), digit(number)]),
        100..1000 => bytes.extend([digit(number / 100), digit(number / 10), digit(number)]),
        _ => bytes.extend_from_slice(number.to_string().as_bytes()),
    }
    bytes.extend_from_slice(b"\r\n");
}

/// One operation as it is sent: a command, after others that lead up to it.
#[derive(Debug, Default)]
pub(crate) struct Packet {
    /// What leads up to it; and the command itself, unless it may go with others.
    pub(crate) bytes: Vec<u8>,
    /// How many answers come before its own. It says itself what became of them.
    pub(crate) leading: usize,
    /// The command, if it may go with others.
    pub(crate) joint: Option<Arc<Joint>>,
}

impl Packet {
    /// About how many bytes it adds to what is sent.
    pub(crate) fn len(&self) -> usize {
        let joint = self.joint.as_ref();
        self.bytes.len() + joint.map_or(0, |one| one.key.bytes.len() + one.own.bytes.len())
    }

    /// Adds a command that leads up to the one that matters.
    pub(crate) fn lead(&mut self, words: &[&[u8]]) {
        self.leading += 1;
        self.follow(words, &[]);
    }

    /// Adds the command that matters.
    pub(crate) fn follow(&mut self, words: &[&[u8]], more: &[&Words]) {
        let length = words.iter().map(|word| word.len() + 16).sum::<usize>();
        let more_length = more.iter().map(|more| more.bytes.len()).sum::<usize>();
        self.bytes.reserve(length + more_length + 16);
        let count = more.iter().map(|more| more.count).sum::<usize>();
        push_number(&mut self.bytes, b'*', words.len() + count);
        for word in words {
            push_word(&mut self.bytes, word);
        }
        for more in more {
            self.bytes.extend_from_slice(&more.bytes);
        }
    }
}

/// A step of a script that takes many at once.
#[derive(Clone, Debug)]
pub(crate) struct Joint {
    pub(crate) script: &'static Script,
    pub(crate) key: Words,
    /// The key of its staged record, if it has one.
    pub(crate) staged: Words,
    /// What arguments it has in common with those that it may go with.
    pub(crate) alike: Words,
    pub(crate) own: Words,
}

impl Joint {
    /// Whether the two may go together.
    pub(crate) fn goes_with(&self, other: &Self) -> bool {
        std::ptr::eq(self.script, other.script) && self.alike == other.alike
    }

    /// The command that takes this step and others that go with it.
    pub(crate) fn with(&self, others: &[&Self]) -> Vec<u8> {
        let steps = || [self].into_iter().chain(others.iter().copied());
        let parts = || {
            let keys = steps().map(|step| &step.key);
            let staged = steps().map(|step| &step.staged);
            let own = steps().map(|step| &step.own);
            keys.chain(staged).chain([&self.alike]).chain(own)
        };
        let keys = steps().map(|step| step.key.count + step.staged.count);
        let keys = keys.sum::<usize>();
        let count = parts().map(|part| part.count).sum::<usize>();
        let length = parts().map(|part| part.bytes.len()).sum::<usize>();
        let mut bytes = Vec::with_capacity(length + 128);
        push_number(&mut bytes, b'*', 3 + count);
        push_word(&mut bytes, b"EVALSHA");
        push_word(&mut bytes, self.script.hash().as_bytes());
        push_word(&mut bytes, keys.to_string().as_bytes());
        for part in parts() {
            bytes.extend_from_slice(&part.bytes);
        }
        bytes
    }
}
