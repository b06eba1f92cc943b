//! Sending a peer whole states: what it missed, or everything.

use session_core::{SessionId, Subject};

use super::clock::Incarnation;
use super::log::Key;
use super::planted::Fault;
use super::replica::Replica;
use crate::wire::{Item, Message, Vector};

/// A scan under way.
#[derive(Debug)]
pub(crate) enum Scan {
    /// What operations after these numbers changed, origin after origin, each up to its last as it is
    /// when the scan gets there. What changes again meanwhile stands there again, further on.
    Since {
        todo: Vec<(Incarnation, u64)>,
        done: Vector,
        /// Entries of the operation at hand that were sent already.
        sent_of_op: usize,
    },
    /// Everything, from before which all was known that is claimed in the end.
    All {
        after: Option<SessionId>,
        claim: Vector,
        fences: Option<Option<Subject>>,
    },
}

/// About so many bytes go into one frame.
const CHUNK_BYTES: usize = 64 << 10;

impl Replica {
    /// A scan that brings a peer that knows `known` up to date; `None` if it is.
    pub(crate) fn scan_since(&self, known: &Vector) -> Option<Scan> {
        let of = |origin: &Incarnation| known.get(origin).copied().unwrap_or_default();
        let behind = self.known.iter().filter(|(origin, seq)| of(origin) < **seq);
        let todo: Vec<_> = behind.map(|(origin, _)| (*origin, of(origin))).collect();
        if todo.is_empty() {
            return None;
        }
        let covered = |(origin, seq): &(Incarnation, u64)| self.logs.covers(*origin, *seq);
        Some(if todo.iter().all(covered) {
            Scan::Since {
                todo,
                done: Vector::new(),
                sent_of_op: 0,
            }
        } else {
            self.scan_all()
        })
    }

    fn scan_all(&self) -> Scan {
        Scan::All {
            after: None,
            claim: self.known.clone(),
            fences: None,
        }
    }

    /// The next chunk of a scan; once nothing is left, what the peer knows with it.
    pub(crate) fn scan_step(&self, scan: &mut Scan) -> Message {
        let mut items = Vec::new();
        let mut bytes = 0;
        match scan {
            Scan::Since {
                todo,
                done,
                sent_of_op,
            } => {
                while let Some((origin, seq)) = todo.last_mut() {
                    if !self.logs.covers(*origin, *seq) {
                        // The log was cut from under the scan.
                        *scan = self.scan_all();
                        return Message::States { items };
                    }
                    let next = self.logs.after(*origin, *seq, *sent_of_op);
                    match next {
                        Some((at, key)) => {
                            if self.is_full(&items, bytes) {
                                if self.has(Fault::ScanStopsShort) {
                                    todo.clear();
                                    done.clone_from(&self.known);
                                }
                                return Message::States { items };
                            }
                            bytes += self.collect(key, &mut items);
                            // A number counts once all that it changed is sent.
                            let following = self.logs.after(*origin, *seq, *sent_of_op + 1);
                            if following.is_some_and(|(other, _)| other == at) {
                                *sent_of_op += 1;
                            } else {
                                (*seq, *sent_of_op) = (*at, 0);
                            }
                        }
                        None => {
                            let known = self.known.get(origin).copied().unwrap_or_default();
                            done.insert(*origin, known);
                            todo.pop();
                        }
                    }
                }
                if !items.is_empty() {
                    return Message::States { items };
                }
                Message::Caught {
                    known: std::mem::take(done),
                }
            }
            Scan::All {
                after,
                claim,
                fences,
            } => {
                if fences.is_none() {
                    for (id, cell) in self.cells.after(*after) {
                        if self.is_full(&items, bytes) {
                            return Message::States { items };
                        }
                        bytes += 128 + cell.record().map_or(0, |record| record.as_bytes().len());
                        items.push(Item::Session(id, cell.state()));
                        *after = Some(id);
                    }
                    *fences = Some(None);
                }
                let mut last = fences.take().flatten();
                let from = last
                    .clone()
                    .map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
                for (subject, _) in self.fences.range((from, std::ops::Bound::Unbounded)) {
                    if self.is_full(&items, bytes) {
                        break;
                    }
                    bytes += self.collect(&Key::Fence(subject.clone()), &mut items);
                    last = Some(subject.clone());
                }
                *fences = Some(last);
                if !items.is_empty() {
                    return Message::States { items };
                }
                Message::Caught {
                    known: if self.has(Fault::ClaimAtTheEnd) {
                        self.known.clone()
                    } else {
                        std::mem::take(claim)
                    },
                }
            }
        }
    }

    /// Adds the whole state of what `key` names; about how many bytes it takes.
    ///
    /// A fence travels behind the sessions of its subject: among them may be one that it excepts, and
    /// only the session says so.
    fn collect(&self, key: &Key, items: &mut Vec<Item>) -> usize {
        match key {
            Key::Session(id) => {
                let Some(cell) = self.cells.get(*id) else {
                    return 0;
                };
                items.push(Item::Session(*id, cell.state()));
                128 + cell.record().map_or(0, |record| record.as_bytes().len())
            }
            Key::Fence(subject) => {
                let Some(fence) = self.fences.get(subject) else {
                    return 0;
                };
                let mut bytes = 64;
                for (id, cell) in self.cells.in_shard(self.shard_of(subject)) {
                    let is_anothers = cell
                        .record()
                        .is_some_and(|record| record.subject() != Some(subject.as_str()));
                    if !is_anothers {
                        bytes += self.collect(&Key::Session(id), items);
                    }
                }
                items.push(Item::Fence(subject.clone(), fence.clone()));
                bytes
            }
        }
    }

    const fn is_full(&self, items: &[Item], bytes: usize) -> bool {
        items.len() >= self.options.chunk_items || bytes >= CHUNK_BYTES
    }
}
