//! The ticket of two stores: both fences in one.

use crate::ticket::{Fence, Ticket};
use crate::time::Timestamp;

use super::Place;

/// A ticket that stands at the fences of both: their stores, then each fence and when it was issued.
pub(super) fn join(label: &str, new: &Ticket, old: &Ticket) -> Ticket {
    let mut bytes = Vec::new();
    write(&mut bytes, label.as_bytes());
    for ticket in [new, old] {
        write(&mut bytes, ticket.fence.as_bytes());
        bytes.extend_from_slice(&ticket.issued_at.as_millis().to_be_bytes());
    }
    Ticket {
        fence: Fence::from_bytes(bytes),
        issued_at: new.issued_at.min(old.issued_at),
        ..new.clone()
    }
}

/// What one of the two stores is told of a ticket; `None` if nothing there is known of it.
///
/// A ticket that is no joint one of these two was issued by a server that knew the old store alone.
pub(super) fn part(label: &str, ticket: &Ticket, place: Place) -> Option<Ticket> {
    let (fence, issued_at) = match read(label.as_bytes(), ticket.fence.as_bytes()) {
        Some([new, _]) if place == Place::New => new,
        Some([_, old]) => old,
        None if place == Place::New => return None,
        None => return Some(ticket.clone()),
    };
    Some(Ticket {
        fence: Fence::from_bytes(fence),
        issued_at,
        ..ticket.clone()
    })
}

/// Fences are some bytes long; those of stores that drain several others, some hundred.
fn write(bytes: &mut Vec<u8>, part: &[u8]) {
    let len = u16::try_from(part.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(part);
}

type Part<'a> = (&'a [u8], Timestamp);

fn read<'a>(label: &[u8], mut bytes: &'a [u8]) -> Option<[Part<'a>; 2]> {
    let bytes = &mut bytes;
    if text(bytes)? != label {
        return None;
    }
    let parts = [
        (text(bytes)?, instant(bytes)?),
        (text(bytes)?, instant(bytes)?),
    ];
    bytes.is_empty().then_some(parts)
}

fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = bytes.split_off(..2)?.try_into().ok()?;
    bytes.split_off(..usize::from(u16::from_be_bytes(len)))
}

fn instant(bytes: &mut &[u8]) -> Option<Timestamp> {
    let millis = bytes.split_off(..8)?.try_into().ok()?;
    Some(Timestamp::from_millis(u64::from_be_bytes(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Subject;

    fn ticket(fence: &[u8], millis: u64) -> Ticket {
        Ticket::new(
            Subject::new("alice").unwrap(),
            Fence::from_bytes(fence),
            Timestamp::from_millis(millis),
        )
    }

    #[test]
    fn each_store_gets_its_own_fence_and_instant_under_the_nonce_and_try_of_the_whole() {
        let (new, old) = (ticket(b"new's", 7), ticket(b"", 5));
        let joint = join("a+b", &new, &old).next_attempt();
        for (place, own) in [(Place::New, &new), (Place::Old, &old)] {
            let part = part("a+b", &joint, place).unwrap();
            assert_eq!((&part.fence, part.issued_at), (&own.fence, own.issued_at));
            assert_eq!((part.nonce, part.attempt), (new.nonce, 2));
        }
        assert_eq!(joint.issued_at.as_millis(), 5);
    }

    #[test]
    fn any_other_spelling_is_a_ticket_of_the_old_store_alone() {
        let joint = join("a+b", &ticket(b"1", 1), &ticket(b"2", 2));
        let whole = joint.fence.as_bytes();
        let spellings = (0..whole.len())
            .map(|len| whole[..len].to_vec())
            .chain([[whole, b"!"].concat()]);
        for bytes in spellings {
            let other = ticket(&bytes, 1);
            assert_eq!(part("a+b", &other, Place::New), None);
            assert_eq!(part("a+b", &other, Place::Old), Some(other));
        }
        assert_eq!(part("a+c", &joint, Place::New), None);
    }

    #[test]
    fn joint_tickets_of_joint_tickets_come_apart_again() {
        let inner = join("b+c", &ticket(b"b", 1), &ticket(b"c", 2));
        let outer = join("a+draining", &ticket(b"a", 3), &inner);
        let old = part("a+draining", &outer, Place::Old).unwrap();
        assert_eq!(
            part("b+c", &old, Place::Old).unwrap().fence.as_bytes(),
            b"c"
        );
        assert_eq!(part("a+draining", &inner, Place::New), None);
    }
}
