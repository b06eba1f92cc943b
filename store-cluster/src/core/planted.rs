//! Faults that the simulation plants, to see that it finds them. In the shipped build there are none.

use super::replica::Replica;
#[cfg(test)]
use crate::wire::Item;

/// A fault that may be planted in a replica.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "some are asked for where only tests look")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A tombstone is dropped before everybody has it.
    TombstoneDroppedEarly,
    /// Of an end and a later change the change wins.
    LastWriteWins,
    /// What a peer sent is acknowledged before it is applied.
    AckBeforeApply,
    /// Operations that came after a gap count as if there were none.
    GapIgnored,
    /// A scan ends before the last operation, and claims it all the same.
    ScanStopsShort,
    /// A bootstrap claims what is known at its end, not at its beginning.
    ClaimAtTheEnd,
    /// The hybrid clock does not see others' stamps.
    ClockNotAdvanced,
    /// The last touch to arrive wins, not the latest.
    TouchLastWins,
    /// A fence compares times.
    FenceByTime,
    /// What one peer says of others counts as their word.
    SecondHandStability,
    /// A node that starts again goes on with the name that it had.
    IncarnationReused,
    /// An operation is applied in two steps.
    HalfApplied,
    /// A peer that answers that a session has ended counts as one that knows nothing.
    EndIsAMiss,
    /// A fence is dropped when the first session that it ended would have.
    FenceDroppedEarly,
    /// "Not there" is said before the node is ready.
    AbsentWhileNotReady,
}

#[cfg(test)]
impl Fault {
    pub(crate) const ALL: [Self; 15] = [
        Self::TombstoneDroppedEarly,
        Self::LastWriteWins,
        Self::AckBeforeApply,
        Self::GapIgnored,
        Self::ScanStopsShort,
        Self::ClaimAtTheEnd,
        Self::ClockNotAdvanced,
        Self::TouchLastWins,
        Self::FenceByTime,
        Self::SecondHandStability,
        Self::IncarnationReused,
        Self::HalfApplied,
        Self::EndIsAMiss,
        Self::FenceDroppedEarly,
        Self::AbsentWhileNotReady,
    ];
}

impl Replica {
    #[cfg(test)]
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.planted == Some(fault)
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the tests' own asks the replica")]
    pub(crate) const fn has(&self, _: Fault) -> bool {
        false
    }
}

/// An item in two parts that together say what it says.
#[cfg(test)]
pub(crate) fn halves(item: Item) -> (Item, Option<Item>) {
    use super::state::State;
    match item {
        Item::Session(id, State::Live(live)) if live.entries.len() > 1 => {
            let mut first = live.clone();
            let mut later = super::state::Live::bottom(live.until);
            if let Some((name, register)) = first.entries.pop_last() {
                later.entries.insert(name, register);
            }
            let later = Item::Session(id, State::Live(Box::new(later)));
            (Item::Session(id, State::Live(first)), Some(later))
        }
        item => (item, None),
    }
}
