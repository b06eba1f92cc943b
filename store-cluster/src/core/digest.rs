//! A digest that is the same on every node and in every version: FNV-1a of 64 bits, mixed at the end.
//!
//! It tells states apart, it guards against nobody: members of a cluster trust each other.

#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // Where one run of bytes ends is part of the digest.
        self.word(bytes.len() as u64)
    }

    pub(crate) fn number(self, number: u64) -> Self {
        self.word(number)
    }

    /// One step for all eight bytes; the rotation brings the upper ones down.
    const fn word(self, word: u64) -> Self {
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(mixed ^ mixed >> 32)
    }

    pub(crate) const fn finish(self) -> u64 {
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ mixed >> 27
    }
}
