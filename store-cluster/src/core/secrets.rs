//! The secrets of a session as a lattice: each climbs from unpresented to current to former.

use session_core::{Slot, Standing, Timestamp};

use super::clock::Stamp;

/// A record holds no more secrets than this.
const SHOWN: usize = 4;

/// One secret, and when it was issued by the hybrid clock: that orders secrets of one millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Secret {
    pub(crate) issued: Stamp,
    pub(crate) slot: Slot,
}

impl Secret {
    fn key(&self) -> (Stamp, [u8; 32]) {
        (self.issued, *self.slot.hash.as_bytes())
    }

    /// Higher is later: of one standing, what is accepted for less long.
    fn height(&self) -> (u8, u64) {
        let until = Timestamp::MAX.as_millis() - self.slot.accepted_until.as_millis();
        (rank(self.slot.standing), until)
    }
}

pub(crate) const fn rank(standing: Standing) -> u8 {
    match standing {
        Standing::Unpresented => 0,
        Standing::Current => 1,
        Standing::Former => 2,
    }
}

/// All secrets known of a session, and up to where they were let go.
///
/// A record keeps at most four; what goes beyond raises a floor, so that no late copy brings it back. An
/// unpresented secret that was promoted elsewhere in the meantime is above the first floor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Secrets {
    /// In the order of their issue.
    pub(crate) list: Vec<Secret>,
    /// Up to here no unpresented one is left.
    pub(crate) unpresented_floor: Stamp,
    /// Up to here none is left.
    pub(crate) floor: Stamp,
}

impl Secrets {
    /// Puts secrets that came from elsewhere in their order, each once.
    pub(crate) fn sort(&mut self) {
        let list = std::mem::take(&mut self.list);
        self.join(&Self {
            list,
            ..Self::default()
        });
    }

    pub(crate) fn join(&mut self, other: &Self) {
        self.unpresented_floor = self.unpresented_floor.max(other.unpresented_floor);
        self.floor = self.floor.max(other.floor);
        for secret in &other.list {
            match self.list.binary_search_by_key(&secret.key(), Secret::key) {
                Ok(at) => {
                    if let Some(known) = self.list.get_mut(at)
                        && secret.height() > known.height()
                    {
                        *known = *secret;
                    }
                }
                Err(at) => self.list.insert(at, *secret),
            }
        }
        let (unpresented, all) = (self.unpresented_floor, self.floor);
        self.list.retain(|secret| {
            let is_unpresented = secret.slot.standing == Standing::Unpresented;
            secret.issued > all && !(is_unpresented && secret.issued <= unpresented)
        });
    }

    /// The secrets that a record holds: the current ones, then the newest.
    pub(crate) fn shown(&self) -> Vec<Secret> {
        let mut shown = self.list.clone();
        while shown.len() > SHOWN {
            let oldest = shown
                .iter()
                .position(|secret| secret.slot.standing != Standing::Current)
                .unwrap_or(0);
            shown.remove(oldest);
        }
        shown
    }

    /// What `after`, which a change made of the secrets shown, says: a part that joined to these makes
    /// them so. What it issued was issued at `stamp`.
    pub(crate) fn change(&self, after: impl Iterator<Item = Slot>, stamp: Stamp) -> Self {
        let shown = self.shown();
        let mut change = Self::default();
        let mut kept = Vec::new();
        for slot in after {
            let before = shown.iter().find(|secret| secret.slot.hash == slot.hash);
            let issued = before.map_or(stamp, |before| before.issued);
            kept.push(issued);
            if before.is_none_or(|before| before.slot != slot) {
                change.list.push(Secret { issued, slot });
            }
        }
        for gone in shown.iter().filter(|gone| !kept.contains(&gone.issued)) {
            if gone.slot.standing == Standing::Unpresented {
                change.unpresented_floor = change.unpresented_floor.max(gone.issued);
            } else if !self.has_current_up_to(gone.issued, gone) {
                change.floor = change.floor.max(gone.issued);
            }
        }
        change.sort();
        change
    }

    fn has_current_up_to(&self, issued: Stamp, but: &Secret) -> bool {
        self.list.iter().any(|secret| {
            secret != but && secret.slot.standing == Standing::Current && secret.issued <= issued
        })
    }

    /// The highest stamp in here.
    pub(crate) fn latest(&self) -> Stamp {
        let last = self.list.last().map_or(Stamp::ZERO, |last| last.issued);
        last.max(self.unpresented_floor).max(self.floor)
    }
}
