//! What is known from outside of one session.

use std::fmt;
use std::time::Instant;

use crate::cluster::NODES;
use crate::ledger::Call;
use crate::moment::now;
use crate::order::Sight;

/// The entries of a whole save, which are written together.
pub(crate) const SAVED: [&str; 4] = ["a", "b", "c", "d"];
/// What is known of one session.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) subject: Option<u64>,
    pub(crate) is_limited: bool,
    /// When it was acknowledged that it is made.
    pub(crate) made: Option<Instant>,
    /// Where it was made.
    pub(crate) node: usize,
    pub(crate) lives_until: Instant,
    pub(crate) dead_from: Instant,
    /// Whether a call of the one that writes to it is under way.
    pub(crate) is_busy: bool,
    /// Where it stands among those that seem to live.
    pub(crate) place: Option<usize>,
    /// How many calls were made that may have ended it.
    pub(crate) ends: u32,
    /// When its end was acknowledged.
    pub(crate) ended: Option<Instant>,
    /// What the entry of each node may hold.
    pub(crate) updates: Vec<Update>,
    pub(crate) saves: Vec<Save>,
    pub(crate) secret: u64,
    /// Of how many renewals the outcome is unknown.
    pub(crate) renewals: u32,
    /// Whether it was there in the end.
    pub(crate) is_there: bool,
    /// Lives of nodes that said that it is over.
    pub(crate) over_on: Vec<(u64, Instant)>,
}

/// A number in the entry that only calls to this node write.
#[derive(Clone, Copy)]
pub(crate) struct Update {
    pub(crate) node: usize,
    pub(crate) life: u64,
    pub(crate) number: u64,
    pub(crate) at: Instant,
    pub(crate) is_acknowledged: bool,
}

/// A number in the entries that calls to any node write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Save {
    pub(crate) number: u64,
    /// What it was written over, and is therefore later than; `None` also if that is not known.
    pub(crate) over: Option<u64>,
    pub(crate) is_acknowledged: bool,
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_acknowledged = if self.is_acknowledged { "" } else { "?" };
        write!(f, "{}{is_acknowledged} on node {}", self.number, self.node)?;
        write!(f, " in life {}", self.life)
    }
}

impl Account {
    pub(crate) fn must_live(&self) -> bool {
        self.made.is_some() && self.ends == 0 && now() < self.lives_until
    }

    /// Whether a node that wrote to the session shows what it wrote, or something later.
    pub(crate) fn follows(&self, call: Call, sight: &Sight) -> Result<(), String> {
        let mut updates = self.updates.iter();
        match updates.any(|it| it.life == call.life && it.at < call.begun) {
            true => self.has_update(call.node, sight),
            false => Ok(()),
        }
    }

    /// Whether the entry of a node holds what was acknowledged last, or anything since that is unknown.
    fn has_update(&self, node: usize, sight: &Sight) -> Result<(), String> {
        let name = entry(node);
        let number = sight.entries.get(&name).copied();
        let updates = || self.updates.iter().filter(|it| it.node == node);
        let is_so = match number {
            Some(number) => updates().any(|it| it.number == number),
            None => !updates().any(|it| it.is_acknowledged),
        };
        match is_so {
            true => Ok(()),
            false => Err(format!("{name} holds {number:?}, not {:?}", self.updates)),
        }
    }

    /// Whether what was acknowledged is there, or something later.
    pub(crate) fn holds(&self, sight: &Sight) -> Result<(), String> {
        for node in 0..NODES {
            self.has_update(node, sight)?;
        }
        let saved = sight.entries.get(SAVED[0]).copied();
        let acknowledged = self.saves.iter().filter(|save| save.is_acknowledged);
        for save in acknowledged {
            if Some(save.number) != saved && self.is_over_written(save.number, saved) {
                let saves = &self.saves;
                return Err(format!("it holds {saved:?}, written over by {saves:?}"));
            }
        }
        if self.renewals == 0 && !sight.secrets.contains(&self.secret) {
            return Err("its secret is not there".to_owned());
        }
        Ok(())
    }

    /// Whether `earlier` is what `later` was written over, or what that was, and so on.
    fn is_over_written(&self, later: u64, earlier: Option<u64>) -> bool {
        let Some(earlier) = earlier else {
            return true;
        };
        let mut at = Some(later);
        while let Some(number) = at {
            let save = self.saves.iter().find(|save| save.number == number);
            at = save.and_then(|save| save.over);
            if at == Some(earlier) {
                return true;
            }
        }
        false
    }
}

/// The entry that only calls to this node write.
pub(crate) fn entry(node: usize) -> String {
    format!("n{node}")
}
