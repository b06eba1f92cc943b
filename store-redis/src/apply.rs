//! Applying a change: [`Record::apply`] on the copy at hand, and one compare-and-swap on the server.

use session_core::{
    Application, Bounds, Change, Deadline, OVERLAP, Record, Refusal, SessionId, Stamps, StoreError,
    Timestamp, UNPRESENTED_GRACE,
};

use crate::answer::{instants, only, record};
use crate::clock::ahead_of;
use crate::command::Command;
use crate::failure::{unavailable, unexpected};
use crate::script::{APPLY, FETCH};
use crate::store::{NAME, Shared};

/// Where a record says when it was last seen.
const LAST_SEEN: u8 = 24;

/// With more bytes of entries the next record is staged. A byte in a script costs a nanosecond and a half,
/// another command and its renaming one and a half microseconds.
const STAGED_FROM: usize = 1024;

/// A copy of the record to start from.
struct Copy {
    record: Record,
    /// When it was read, if that was within this call: only then may it be refused for what it says.
    fresh_at: Option<Timestamp>,
}

/// After so many misses the changes of one session queue up in this process.
const MISSES_BEFORE_QUEUE: usize = 2;

pub(crate) async fn apply(
    store: &Shared,
    id: SessionId,
    change: &Change,
    seen: Option<&Record>,
) -> Result<Application, StoreError> {
    let by = store.client.deadline();
    let bounds = &store.facts.bounds;
    let mut copy = seen.map(|seen| Copy {
        record: seen.clone(),
        fresh_at: None,
    });
    let mut _turn = None;
    let mut misses = 0;
    loop {
        let start = match copy.take() {
            Some(copy) => copy,
            None => match Box::pin(fetch(store, id, by)).await? {
                Some(copy) => copy,
                None => return Ok(Application::Absent),
            },
        };
        let assumed = start.fresh_at.unwrap_or_else(|| store.clock.assumed());
        let next = match start.record.apply_stamped(change, assumed, bounds) {
            Ok(next) => next,
            Err(_) if start.fresh_at.is_none() => continue,
            Err(Refusal::Absent) => return Ok(Application::Absent),
            Err(Refusal::Conflict) => return Ok(Application::Conflict),
            Err(Refusal::TooLarge(reason)) => return Err(StoreError::too_large(NAME, reason)),
        };
        let mut step = step(store, id, change, &start.record, &next, assumed);
        let mut swap = taken(store, &mut step, by).await?;
        if matches!(swap, Swap::Lost) {
            // It was no more where it was put before the step was taken, which then did nothing.
            step.make_whole();
            swap = Box::pin(taken(store, &mut step, by)).await?;
        }
        match swap {
            Swap::Absent => return Ok(Application::Absent),
            Swap::Lost => return Err(unexpected(true)),
            Swap::Missed(missed) => copy = Some(missed),
            Swap::Applied { now, last_seen_at } => {
                let read = (now, last_seen_at);
                return applied(start.record, next, change, assumed, read, bounds);
            }
        }
        misses += 1;
        if misses == MISSES_BEFORE_QUEUE {
            _turn = by
                .within(store.turns.turn(id))
                .await
                .ok_or_else(|| unavailable().because("others changed the session all the time"))?;
        }
    }
}

async fn fetch(store: &Shared, id: SessionId, by: Deadline) -> Result<Option<Copy>, StoreError> {
    let command = store.session_script(&FETCH, id).read_only();
    let mut answer = store.ask(command, by).await?;
    let bytes = answer.bytes()?;
    if bytes.is_empty() || bytes.first() == Some(&0) {
        return Ok(None);
    }
    Ok(Some(Copy {
        record: record(bytes)?,
        fresh_at: Some(answer.now),
    }))
}

enum Swap {
    Absent,
    Lost,
    Missed(Copy),
    Applied {
        now: Timestamp,
        last_seen_at: Timestamp,
    },
}

/// The step that puts `next` in the place of the record that it was made from.
fn step(
    store: &Shared,
    id: SessionId,
    change: &Change,
    before: &Record,
    (next, stamps): &(Record, Stamps),
    assumed: Timestamp,
) -> Command {
    let (from, until) = alike(before, change, assumed);
    let is_renewed = before.slots().ne(next.slots());
    let flags = [change.touches(), is_renewed, !change.has_edits()];
    let flags = (0..).zip(flags).map(|(bit, flag)| u64::from(flag) << bit);
    let [from, until, assumed_at, last_seen_at, deadline] =
        [from, until, assumed, next.last_seen_at(), next.deadline()].map(Timestamp::as_millis);
    let fixed = [
        before.revision().to_u64(),
        from,
        until,
        assumed_at,
        last_seen_at,
        deadline,
        flags.sum(),
    ];
    let packed = Packed::of(next, *stamps);
    let has_edits = change.has_edits();
    let mut command = store.session_script(&APPLY, id);
    if store.client.servers.are_one() {
        command = command.alike();
    }
    command = command
        .arg(fixed.map(u64::to_be_bytes).as_flattened())
        .arg(packed.moved());
    match has_edits {
        true if packed.entries.len() > STAGED_FROM => command.staged(store.staging_place(id), next),
        true => command.arg(next.as_bytes()),
        false if change.is_pure_touch() => command.arg(b""),
        false => command.arg(packed.header),
    }
}

async fn taken(store: &Shared, step: &mut Command, by: Deadline) -> Result<Swap, StoreError> {
    let value = only(store.client.run(step, by).await?);
    if let Some([now, last_seen_at]) = instants(&value) {
        store.clock.heard(now);
        return Ok(Swap::Applied { now, last_seen_at });
    }
    let mut answer = store.read(value, true)?;
    match &*answer.bytes()? {
        b"absent" => Ok(Swap::Absent),
        b"missed" => Ok(Swap::Missed(Copy {
            record: record(answer.bytes()?)?,
            fresh_at: Some(answer.now),
        })),
        b"lost" => Ok(Swap::Lost),
        _ => Err(unexpected(true)),
    }
}

/// The records before and after a step that was taken at `now`: what the same function makes of the same
/// record at the server's instant.
fn applied(
    start: Record,
    (next, stamps): (Record, Stamps),
    change: &Change,
    assumed: Timestamp,
    (now, last_seen_at): (Timestamp, Timestamp),
    bounds: &Bounds,
) -> Result<Application, StoreError> {
    let is_stamped_alike = !change.touches() || last_seen_at < now.min(assumed);
    if start.last_seen_at() == last_seen_at && is_stamped_alike {
        return Ok(Application::Applied {
            previous: start,
            record: next.shifted(stamps, ahead_of(now, assumed)),
        });
    }
    let mut header = start.header();
    header.last_seen_at = last_seen_at;
    let previous = Record::from_parts(&header, start.entries_block())
        .map_err(|reason| StoreError::corrupt(NAME, reason).unknown())?;
    let record = previous
        .apply(change, now, bounds)
        .map_err(|_| unexpected(true))?;
    Ok(Application::Applied { previous, record })
}

/// From when until when the change makes of `record` what it makes of it at `now`, but for the instants
/// that it stamps: as long as the clock passes none of the instants that it is compared with.
///
/// When the session was last seen is not among them. The step itself keeps the greater.
fn alike(record: &Record, change: &Change, now: Timestamp) -> (Timestamp, Timestamp) {
    let mut range = (Timestamp::MIN, Timestamp::MAX);
    let mut compared_with = |instant: Timestamp| {
        if instant <= now {
            range.0 = range.0.max(instant);
        } else {
            range.1 = range.1.min(instant);
        }
    };
    if change.promotion().is_some() || change.renewal().is_some() {
        for slot in record.slots() {
            compared_with(slot.accepted_until);
            compared_with(slot.accepted_until - OVERLAP);
            compared_with(slot.issued_at + UNPRESENTED_GRACE);
        }
    }
    if let Some(life) = change.shortening() {
        compared_with(record.deadline() - life);
    }
    range
}

/// A record as the scripts take it.
pub(crate) struct Packed<'a> {
    pub(crate) header: &'a [u8],
    pub(crate) entries: &'a [u8],
    stamps: Stamps,
}

impl<'a> Packed<'a> {
    pub(crate) fn of(record: &'a Record, stamps: Stamps) -> Self {
        let (bytes, entries) = (record.as_bytes(), record.entries_block());
        let header = bytes.len().saturating_sub(entries.len());
        Self {
            header: bytes.get(..header).unwrap_or_default(),
            entries,
            stamps,
        }
    }

    /// Of a record that is over a bound.
    pub(crate) fn none() -> Self {
        Self {
            header: b"",
            entries: b"",
            stamps: Stamps::default(),
        }
    }

    /// Where the instants stand that the server is to move to its own clock.
    pub(crate) fn stamps(&self) -> Vec<u8> {
        self.places().collect()
    }

    /// They all stand within the first 244 bytes.
    fn places(&self) -> impl Iterator<Item = u8> {
        self.stamps.offsets().flat_map(u8::try_from)
    }

    /// The same instants, but for when it was last seen, which the step judges by itself: where each stands,
    /// and what it is.
    fn moved(&self) -> Vec<u8> {
        let mut moved = Vec::new();
        for at in self.places().filter(|at| *at != LAST_SEEN) {
            let instant = self.header.get(usize::from(at)..).unwrap_or_default();
            moved.push(at);
            moved.extend(instant.iter().take(8));
        }
        moved
    }
}
