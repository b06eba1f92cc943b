//! The messages between two replicas.

use std::collections::BTreeMap;

use session_core::{SessionId, Subject, Timestamp};

use super::reader::{Reader, WireError};
use super::state::{read_op, write_op};
use super::writer::Writer;
use super::{MAX_FRAME, OLDEST, VERSION};
use crate::core::{Fence, Incarnation, State};

/// One thing that is replicated: what is known of a session or of a subject's fence, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Session(SessionId, State),
    Fence(Subject, Fence),
}

/// Up to which of its operations a replica knows each other one.
pub(crate) type Vector = BTreeMap<Incarnation, u64>;

/// What one replica says to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// The sender's own operations, from number `first` on, in order and without a gap.
    Push { first: u64, ops: Vec<Vec<Item>> },
    /// What the sender knows; that all it will do is after `time`; whether it is ready.
    Status {
        known: Vector,
        time: u64,
        is_ready: bool,
    },
    /// That the receiver send what these do not cover.
    Want { known: Vector },
    /// Whole states, in answer to a want.
    States { items: Vec<Item> },
    /// That with the states sent since the want everything up to here was sent.
    Caught { known: Vector },
    /// What the receiver knows of a session.
    Ask { ask: u64, id: SessionId },
    /// All that the sender knows of it. Without anything, whether it can be sure that there is nothing.
    Answer {
        ask: u64,
        state: Option<(SessionId, State)>,
        is_certain: bool,
    },
    /// Up to where the receiver has come, in its own operations.
    Flush { ask: u64 },
    /// Up to here, in answer to a flush.
    Head { ask: u64, seq: u64 },
    /// Digests of all sessions that expire later than `after` in the buckets from `first` on, of a replica
    /// that knows this much.
    Audit {
        known: Vector,
        after: Timestamp,
        first: u8,
        sums: Vec<u64>,
    },
}

/// From this version on a body begins with the number of its frame.
const NUMBERED: u8 = 3;
/// From this version on an audit may be of some buckets.
const PARTIAL_AUDITS: u8 = 3;

mod kind {
    pub(super) const PUSH: u8 = 16;
    pub(super) const STATUS: u8 = 17;
    pub(super) const WANT: u8 = 18;
    pub(super) const STATES: u8 = 19;
    pub(super) const CAUGHT: u8 = 20;
    pub(super) const ASK: u8 = 21;
    pub(super) const ANSWER: u8 = 22;
    pub(super) const AUDIT: u8 = 23;
    pub(super) const FLUSH: u8 = 24;
    pub(super) const HEAD: u8 = 25;
}

impl Message {
    /// Whether a peer of this version takes such messages as they are meant.
    pub(crate) const fn is_known_in(&self, version: u8) -> bool {
        !matches!(self, Self::Audit { .. }) || version >= PARTIAL_AUDITS
    }

    /// Appends the whole frame, the sender's `number`th for its receiver.
    pub(crate) fn write(&self, version: u8, number: u64, out: &mut Vec<u8>) {
        let mut writer = numbered(version, number);
        let kind = self.write_body(version, &mut writer);
        append(kind, version, &writer.into_bytes(), out);
    }

    fn write_body(&self, version: u8, writer: &mut Writer) -> u8 {
        match self {
            Self::Push { first, ops } => {
                writer.number(*first);
                for op in ops {
                    let mut items = Writer::default();
                    write_op(op, &mut items);
                    let items = items.into_bytes();
                    writer.len(items.len());
                    writer.bytes(&items);
                }
                kind::PUSH
            }
            Self::Status {
                known,
                time,
                is_ready,
            } => {
                write_vector(known, writer);
                writer.number(*time);
                writer.flag(*is_ready);
                kind::STATUS
            }
            Self::Want { known } => {
                write_vector(known, writer);
                kind::WANT
            }
            Self::States { items } => {
                write_op(items, writer);
                kind::STATES
            }
            Self::Caught { known } => {
                write_vector(known, writer);
                kind::CAUGHT
            }
            Self::Ask { ask, id } => {
                writer.number(*ask);
                writer.id(*id);
                kind::ASK
            }
            Self::Answer {
                ask,
                state,
                is_certain,
            } => {
                writer.number(*ask);
                writer.flag(*is_certain);
                if let Some((id, state)) = state {
                    write_op(&[Item::Session(*id, state.clone())], writer);
                }
                kind::ANSWER
            }
            Self::Flush { ask } => {
                writer.number(*ask);
                kind::FLUSH
            }
            Self::Head { ask, seq } => {
                writer.number(*ask);
                writer.number(*seq);
                kind::HEAD
            }
            Self::Audit {
                known,
                after,
                first,
                sums,
            } => {
                write_vector(known, writer);
                writer.instant(*after);
                if version >= PARTIAL_AUDITS {
                    writer.byte(*first);
                }
                sums.iter().for_each(|sum| writer.fixed(*sum));
                kind::AUDIT
            }
        }
    }

    /// Takes a body apart, and says which frame it is; `None` if its kind is not known.
    pub(crate) fn read(
        kind: u8,
        version: u8,
        body: &[u8],
    ) -> Result<Option<(Option<u64>, Self)>, WireError> {
        if body.len() > MAX_FRAME {
            return Err(WireError::TooLong(body.len()));
        }
        if !(OLDEST..=VERSION).contains(&version) {
            return Err(WireError::Invalid("a version that was not agreed on"));
        }
        let mut reader = Reader::new(body);
        let number = if version >= NUMBERED {
            Some(reader.number()?)
        } else {
            None
        };
        let Some(message) = Self::read_body(kind, version, &mut reader)? else {
            return Ok(None);
        };
        reader.end()?;
        Ok(Some((number, message)))
    }

    fn read_body(
        kind: u8,
        version: u8,
        reader: &mut Reader<'_>,
    ) -> Result<Option<Self>, WireError> {
        Ok(Some(match kind {
            kind::PUSH => {
                let first = reader.number()?;
                let mut ops = Vec::new();
                while !reader.is_empty() {
                    let len = reader.len()?;
                    ops.push(read_op(&mut Reader::new(reader.bytes(len)?))?);
                }
                Self::Push { first, ops }
            }
            kind::STATUS => Self::Status {
                known: read_vector(reader)?,
                time: reader.number()?,
                is_ready: reader.flag()?,
            },
            kind::WANT => Self::Want {
                known: read_vector(reader)?,
            },
            kind::STATES => Self::States {
                items: read_op(reader)?,
            },
            kind::CAUGHT => Self::Caught {
                known: read_vector(reader)?,
            },
            kind::ASK => Self::Ask {
                ask: reader.number()?,
                id: reader.id()?,
            },
            kind::ANSWER => {
                let (ask, is_certain) = (reader.number()?, reader.flag()?);
                let state = match read_op(reader)?.pop() {
                    None => None,
                    Some(Item::Session(id, state)) => Some((id, state)),
                    Some(Item::Fence(..)) => {
                        return Err(WireError::Invalid("a fence answers no question"));
                    }
                };
                Self::Answer {
                    ask,
                    state,
                    is_certain,
                }
            }
            kind::FLUSH => Self::Flush {
                ask: reader.number()?,
            },
            kind::HEAD => Self::Head {
                ask: reader.number()?,
                seq: reader.number()?,
            },
            kind::AUDIT => {
                let known = read_vector(reader)?;
                let after = reader.instant()?;
                let first = if version >= PARTIAL_AUDITS {
                    reader.byte()?
                } else {
                    0
                };
                let mut sums = Vec::new();
                while !reader.is_empty() {
                    sums.push(reader.fixed()?);
                }
                Self::Audit {
                    known,
                    after,
                    first,
                    sums,
                }
            }
            _ => return Ok(None),
        }))
    }
}

/// Appends a push of operations that were encoded before.
pub(crate) fn append_push(first: u64, ops: &[&[u8]], version: u8, number: u64, out: &mut Vec<u8>) {
    let mut writer = numbered(version, number);
    writer.number(first);
    for op in ops {
        writer.len(op.len());
        writer.bytes(op);
    }
    append(kind::PUSH, version, &writer.into_bytes(), out);
}

/// A body that begins with the number of its frame, where the version has that.
fn numbered(version: u8, number: u64) -> Writer {
    let mut writer = Writer::default();
    if version >= NUMBERED {
        writer.number(number);
    }
    writer
}

fn append(kind: u8, version: u8, body: &[u8], out: &mut Vec<u8>) {
    // Chunks are cut far below what a length can say.
    let len = u32::try_from(body.len() + 2).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&[kind, version]);
    out.extend_from_slice(body);
}

fn write_vector(vector: &Vector, writer: &mut Writer) {
    writer.len(vector.len());
    for (origin, seq) in vector {
        writer.incarnation(*origin);
        writer.number(*seq);
    }
}

fn read_vector(reader: &mut Reader<'_>) -> Result<Vector, WireError> {
    let len = reader.len()?;
    let pair = |_| Ok((reader.incarnation()?, reader.number()?));
    (0..len).map(pair).collect()
}
