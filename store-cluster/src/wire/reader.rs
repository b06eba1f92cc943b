//! Reading a body: every step may find that it is cut short.

use session_core::{SessionId, Timestamp};

use crate::core::{Incarnation, Stamp};

/// A frame that is not what its kind says, or is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// It ends too early.
    #[error("a frame is cut short")]
    Truncated,
    /// It is longer than any may be.
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    /// It has what no frame has.
    #[error("a frame is invalid: {0}")]
    Invalid(&'static str),
}

/// Takes a body apart. Nothing is allocated for what is not there.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// The stamp read last: the next is told by its difference.
    last: u64,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self {
            rest: body,
            last: 0,
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A reader of the next `len` bytes, that goes on from the same stamp.
    pub(crate) fn part(&mut self, len: usize) -> Result<Self, WireError> {
        let last = self.last;
        let rest = self.bytes(len)?;
        Ok(Self { rest, last })
    }

    /// A part that stands behind its length.
    pub(crate) fn run(&mut self) -> Result<Self, WireError> {
        let len = self.len()?;
        self.part(len)
    }

    /// Goes on from where a part left the stamp.
    pub(crate) const fn after(&mut self, part: &Self) {
        self.last = part.last;
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, WireError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Invalid("a flag is neither set nor clear")),
        }
    }

    pub(crate) fn fixed(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn number(&mut self) -> Result<u64, WireError> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(WireError::Invalid("a number is over 64 bits"))
    }

    /// A length or a count, which can never be over the bytes that are left.
    pub(crate) fn len(&mut self) -> Result<usize, WireError> {
        let len = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if len > self.rest.len() {
            return Err(WireError::Truncated);
        }
        Ok(len)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, WireError> {
        let len = self.len()?;
        str::from_utf8(self.bytes(len)?).map_err(|_| WireError::Invalid("a text is not UTF-8"))
    }

    pub(crate) fn instant(&mut self) -> Result<Timestamp, WireError> {
        self.number().map(Timestamp::from_millis)
    }

    pub(crate) fn id(&mut self) -> Result<SessionId, WireError> {
        self.array().map(SessionId::from_bytes)
    }

    pub(crate) fn incarnation(&mut self) -> Result<Incarnation, WireError> {
        self.fixed().map(Incarnation)
    }

    /// A stamp, told by how far its time is from the one before it.
    pub(crate) fn stamp(&mut self) -> Result<Stamp, WireError> {
        let zigzag = self.number()?;
        let delta = zigzag >> 1 ^ 0_u64.wrapping_sub(zigzag & 1);
        self.last = self.last.wrapping_add(delta);
        let writer = self.array().map(u16::from_be_bytes)?;
        Ok(Stamp {
            time: self.last,
            writer,
        })
    }

    /// That nothing is left.
    pub(crate) const fn end(&self) -> Result<(), WireError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(WireError::Invalid("bytes are left over"))
        }
    }
}
