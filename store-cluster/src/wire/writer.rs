//! Writing a body.

use session_core::{SessionId, Timestamp};

use crate::core::{Incarnation, Stamp};

/// Puts a body together: what [`Reader`](super::Reader) takes apart.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    last: u64,
}

impl Writer {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.byte(u8::from(flag));
    }

    pub(crate) fn fixed(&mut self, number: u64) {
        self.bytes(&number.to_be_bytes());
    }

    pub(crate) fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            let [.., low] = number.to_be_bytes();
            self.byte(low | 0x80);
            number >>= 7;
        }
        let [.., low] = number.to_be_bytes();
        self.byte(low);
    }

    pub(crate) fn len(&mut self, len: usize) {
        self.number(len as u64);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.len(text.len());
        self.bytes(text.as_bytes());
    }

    pub(crate) fn instant(&mut self, instant: Timestamp) {
        self.number(instant.as_millis());
    }

    pub(crate) fn id(&mut self, id: SessionId) {
        self.bytes(id.as_bytes());
    }

    pub(crate) fn incarnation(&mut self, incarnation: Incarnation) {
        self.fixed(incarnation.0);
    }

    pub(crate) fn stamp(&mut self, stamp: Stamp) {
        let delta = stamp.time.wrapping_sub(self.last);
        self.last = stamp.time;
        self.number(delta << 1 ^ 0_u64.wrapping_sub(delta >> 63));
        self.bytes(&stamp.writer.to_be_bytes());
    }

    /// A part behind its length.
    pub(crate) fn run(&mut self, write: impl FnOnce(&mut Self)) {
        let mut part = Self {
            bytes: Vec::new(),
            last: self.last,
        };
        write(&mut part);
        self.last = part.last;
        self.len(part.bytes.len());
        self.bytes(&part.bytes);
    }
}
