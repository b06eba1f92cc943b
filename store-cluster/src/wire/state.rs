//! Sessions and fences as bytes: the items of an operation.

use std::time::Duration;

use session_core::{
    EntryName, MAX_NAME_BYTES, Owner, SecretHash, Slot, Standing, Subject, Timestamp,
};

use super::message::Item;
use super::reader::{Reader, WireError};
use super::writer::Writer;
use crate::core::{Birth, Dead, Fence, LastChange, Live, Register, Revokes, Secret, Stamp, State};

/// From this field on, a register is opaque.
pub(crate) const FIRST_OPAQUE: u8 = 64;

const SESSION: u8 = 0;
const FENCE: u8 = 1;

mod field {
    pub(super) const BIRTH: u8 = 1;
    pub(super) const DEADLINE: u8 = 2;
    pub(super) const LAST_SEEN: u8 = 3;
    pub(super) const SETTLED: u8 = 4;
    pub(super) const SEEN: u8 = 5;
    pub(super) const CLEARED: u8 = 6;
    pub(super) const ENTRY: u8 = 7;
    pub(super) const SECRET: u8 = 8;
    pub(super) const UNPRESENTED_FLOOR: u8 = 9;
    pub(super) const FLOOR: u8 = 10;
    pub(super) const CHANGE: u8 = 11;
}

/// The items of one operation, one after the other, each behind its length.
pub(crate) fn write_op(items: &[Item], writer: &mut Writer) {
    for item in items {
        writer.run(|writer| write_item(item, writer));
    }
}

/// The items of one operation. A kind of item that is not known ends the link: it could not be passed on.
pub(crate) fn read_op(reader: &mut Reader<'_>) -> Result<Vec<Item>, WireError> {
    let mut items = Vec::new();
    while !reader.is_empty() {
        let mut item = reader.run()?;
        items.push(read_item(&mut item)?);
        item.end()?;
        reader.after(&item);
    }
    Ok(items)
}

fn write_item(item: &Item, writer: &mut Writer) {
    match item {
        Item::Session(id, state) => {
            writer.byte(SESSION);
            writer.id(*id);
            write_state(state, writer);
        }
        Item::Fence(subject, fence) => {
            writer.byte(FENCE);
            writer.text(subject.as_str());
            writer.instant(fence.until);
            write_revokes(&fence.revokes, writer);
        }
    }
}

fn read_item(reader: &mut Reader<'_>) -> Result<Item, WireError> {
    match reader.byte()? {
        SESSION => Ok(Item::Session(reader.id()?, read_state(reader)?)),
        FENCE => {
            let subject = read_subject(reader)?;
            let until = reader.instant()?;
            let revokes = read_revokes(reader)?;
            Ok(Item::Fence(subject, Fence { revokes, until }))
        }
        _ => Err(WireError::Invalid("an item is of no kind")),
    }
}

fn write_state(state: &State, writer: &mut Writer) {
    match state {
        State::Dead(dead) => {
            writer.byte(0);
            writer.instant(dead.until);
        }
        State::Live(live) => {
            writer.byte(1);
            write_live(live, writer);
        }
    }
}

fn read_state(reader: &mut Reader<'_>) -> Result<State, WireError> {
    match reader.byte()? {
        0 => Ok(State::Dead(Dead {
            until: reader.instant()?,
        })),
        1 => Ok(State::Live(Box::new(read_live(reader)?))),
        _ => Err(WireError::Invalid("a session neither lives nor not")),
    }
}

/// All fields up to the end of the part.
pub(crate) fn read_live(reader: &mut Reader<'_>) -> Result<Live, WireError> {
    let mut live = Live::bottom(reader.instant()?);
    while !reader.is_empty() {
        let field = reader.byte()?;
        let mut body = reader.run()?;
        read_field(&mut live, field, &mut body)?;
        body.end()?;
        reader.after(&body);
    }
    live.secrets.sort();
    Ok(live)
}

pub(crate) fn write_live(live: &Live, writer: &mut Writer) {
    writer.instant(live.until);
    let mut put = |field: u8, write: &dyn Fn(&mut Writer)| {
        writer.byte(field);
        writer.run(|writer| write(writer));
    };
    if live.change != LastChange::default() {
        put(field::CHANGE, &|writer| {
            writer.stamp(live.change.stamp);
            writer.fixed(live.change.revision);
            writer.fixed(live.change.content);
        });
    }
    if let Some(birth) = &live.birth {
        put(field::BIRTH, &|writer| write_birth(birth, writer));
    }
    if live.deadline < Timestamp::MAX {
        put(field::DEADLINE, &|writer| writer.instant(live.deadline));
    }
    if live.last_seen > Timestamp::MIN {
        put(field::LAST_SEEN, &|writer| writer.instant(live.last_seen));
    }
    if live.is_settled {
        put(field::SETTLED, &|_| {});
    }
    if !live.seen.is_empty() {
        put(field::SEEN, &|writer| write_revokes(&live.seen, writer));
    }
    for (name, register) in &live.entries {
        put(field::ENTRY, &|writer| {
            writer.stamp(register.stamp);
            writer.text(name.as_str());
            writer.flag(register.value.is_some());
            writer.bytes(register.value.as_deref().unwrap_or_default().as_bytes());
        });
    }
    for secret in &live.secrets.list {
        put(field::SECRET, &|writer| write_secret(secret, writer));
    }
    let stamps = [
        (field::CLEARED, live.cleared),
        (field::UNPRESENTED_FLOOR, live.secrets.unpresented_floor),
        (field::FLOOR, live.secrets.floor),
    ];
    for (field, stamp) in stamps {
        if stamp > Stamp::ZERO {
            put(field, &|writer| writer.stamp(stamp));
        }
    }
    for (kind, value) in &live.opaque {
        put(*kind, &|writer| writer.bytes(value));
    }
}

fn read_field(live: &mut Live, field: u8, reader: &mut Reader<'_>) -> Result<(), WireError> {
    match field {
        field::BIRTH => live.birth = Some(read_birth(reader)?),
        field::DEADLINE => live.deadline = reader.instant()?,
        field::LAST_SEEN => live.last_seen = reader.instant()?,
        field::SETTLED => live.is_settled = true,
        field::SEEN => live.seen = read_revokes(reader)?,
        field::CLEARED => live.cleared = reader.stamp()?,
        field::ENTRY => {
            let stamp = reader.stamp()?;
            let name = EntryName::new(reader.text()?)
                .map_err(|_| WireError::Invalid("an entry's name is no name"))?;
            let is_present = reader.flag()?;
            let text = str::from_utf8(reader.rest())
                .map_err(|_| WireError::Invalid("an entry is not UTF-8"))?;
            let value = is_present.then(|| text.into());
            live.entries.insert(name, Register { stamp, value });
        }
        field::SECRET => live.secrets.list.push(read_secret(reader)?),
        field::UNPRESENTED_FLOOR => live.secrets.unpresented_floor = reader.stamp()?,
        field::FLOOR => live.secrets.floor = reader.stamp()?,
        field::CHANGE => {
            live.change = LastChange {
                stamp: reader.stamp()?,
                revision: reader.fixed()?,
                content: reader.fixed()?,
            };
        }
        FIRST_OPAQUE.. => {
            live.opaque.insert(field, reader.rest().into());
        }
        _ => return Err(WireError::Invalid("a field is of no kind")),
    }
    Ok(())
}

const OWNED: u8 = 1;
const REPLACES: u8 = 2;
const RESTS: u8 = 4;
const RENEWS: u8 = 8;

fn write_birth(birth: &Birth, writer: &mut Writer) {
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    writer.byte(
        flag(birth.owner.is_some(), OWNED)
            | flag(birth.predecessor.is_some(), REPLACES)
            | flag(birth.idle.is_some(), RESTS)
            | flag(birth.renewal.is_some(), RENEWS),
    );
    writer.stamp(birth.stamp);
    writer.instant(birth.created_at);
    if let Some(owner) = &birth.owner {
        writer.text(owner.subject.as_str());
        writer.fixed(owner.nonce);
        writer.number(owner.attempt.into());
    }
    if let Some(id) = birth.predecessor {
        writer.id(id);
    }
    for duration in [birth.idle, birth.renewal].into_iter().flatten() {
        // A `Timeouts` holds less than a `Timestamp` does.
        writer.instant(Timestamp::MIN + duration);
    }
}

fn read_birth(reader: &mut Reader<'_>) -> Result<Birth, WireError> {
    let flags = reader.byte()?;
    if flags & !(OWNED | REPLACES | RESTS | RENEWS) != 0 {
        return Err(WireError::Invalid("a birth has unknown flags"));
    }
    let has = |flag| flags & flag != 0;
    let stamp = reader.stamp()?;
    let created_at = reader.instant()?;
    let owner = if has(OWNED) {
        Some(Owner {
            subject: read_subject(reader)?,
            nonce: reader.fixed()?,
            attempt: u32::try_from(reader.number()?)
                .map_err(|_| WireError::Invalid("a try is over 32 bits"))?,
        })
    } else {
        None
    };
    let predecessor = if has(REPLACES) {
        Some(reader.id()?)
    } else {
        None
    };
    let mut duration = |is_there: bool| -> Result<Option<Duration>, WireError> {
        if !is_there {
            return Ok(None);
        }
        Ok(Some(reader.instant()?.since(Timestamp::MIN)))
    };
    let idle = duration(has(RESTS))?;
    let renewal = duration(has(RENEWS))?;
    Ok(Birth {
        stamp,
        created_at,
        idle,
        renewal,
        owner,
        predecessor,
    })
}

fn read_subject(reader: &mut Reader<'_>) -> Result<Subject, WireError> {
    let text = reader.text()?;
    if text.len() > MAX_NAME_BYTES {
        return Err(WireError::Invalid("a subject is too long"));
    }
    Subject::new(text).map_err(|_| WireError::Invalid("a subject is no name"))
}

fn write_secret(secret: &Secret, writer: &mut Writer) {
    writer.stamp(secret.issued);
    writer.bytes(secret.slot.hash.as_bytes());
    writer.instant(secret.slot.issued_at);
    writer.instant(secret.slot.accepted_until);
    writer.byte(match secret.slot.standing {
        Standing::Unpresented => 0,
        Standing::Current => 1,
        Standing::Former => 2,
    });
}

fn read_secret(reader: &mut Reader<'_>) -> Result<Secret, WireError> {
    let issued = reader.stamp()?;
    let hash = SecretHash::from_bytes(reader.array()?);
    let issued_at = reader.instant()?;
    let accepted_until = reader.instant()?;
    let standing = match reader.byte()? {
        0 => Standing::Unpresented,
        1 => Standing::Current,
        2 => Standing::Former,
        _ => return Err(WireError::Invalid("a secret stands nowhere")),
    };
    let slot = Slot {
        hash,
        issued_at,
        accepted_until,
        standing,
    };
    Ok(Secret { issued, slot })
}

fn write_revokes(revokes: &Revokes, writer: &mut Writer) {
    writer.len(revokes.0.len());
    for (origin, seq) in &revokes.0 {
        writer.incarnation(*origin);
        writer.number(*seq);
    }
}

fn read_revokes(reader: &mut Reader<'_>) -> Result<Revokes, WireError> {
    let len = reader.len()?;
    let pair = |_| Ok((reader.incarnation()?, reader.number()?));
    (0..len).map(pair).collect::<Result<_, _>>().map(Revokes)
}
