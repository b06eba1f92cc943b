//! What a history is made of: ids, subjects, secrets and values that follow from its seed, but that no
//! other history on the same server has.

use std::time::Duration;

use session_core::{
    Bounds, EntryName, JsonText, SecretHash, SessionId, Shard, StoreFacts, Subject, Timeouts,
};

use super::call::{Draft, Edit};
use crate::rng::Rng;

/// The names that a history's entries have.
const NAMES: [&str; 5] = [
    "cart",
    "visits",
    "session:csrf",
    "session:labels",
    "ключ \u{1f388}'\"{}*\r\n",
];

/// Values that a careless store changes.
const VALUES: [&str; 8] = [
    "1",
    "1.0",
    "1e2",
    r#""\u0000""#,
    "\"\u{e9}\u{1f388}\"",
    " [ 1 , 2 ] ",
    r#"{"b":1,"a":2,"b":3}"#,
    "null",
];

/// Values that are too large for a store, made once: they are large.
#[derive(Clone, Debug)]
pub(super) struct Oversized {
    value: JsonText,
    full: JsonText,
    times: usize,
}

/// Above this a bound is not tried.
const TRIED: usize = 16 << 20;

impl Oversized {
    /// What goes over `bounds`, if that is within reason.
    pub(super) fn of(bounds: &Bounds) -> Option<Self> {
        let text = |len: usize| JsonText::encode(&"x".repeat(len.saturating_sub(2))).ok();
        if bounds.value_bytes > TRIED {
            return None;
        }
        Some(Self {
            value: text(bounds.value_bytes + 1)?,
            full: text(bounds.value_bytes)?,
            times: (bounds.session_bytes / bounds.value_bytes.max(1)) + 1,
        })
    }
}

/// Where an id made by a [`World`] stands among those of its shard, by its seed alone.
pub(super) fn place(id: &SessionId) -> [u8; 4] {
    let bytes = id.as_bytes();
    [bytes[2], bytes[3], bytes[4], bytes[5]]
}

/// Where a history's names come from.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) rng: Rng,
    salt: [u8; 10],
    made: u16,
    pub(super) subjects: Vec<Subject>,
    shards: Vec<Shard>,
    entries: usize,
    oversized: Option<Oversized>,
    /// Whether sessions may expire within the history.
    expiring: bool,
}

impl World {
    pub(super) fn new(
        seed: u64,
        subjects: usize,
        facts: &StoreFacts,
        oversized: Option<Oversized>,
        expiring: bool,
    ) -> Self {
        let fresh = SessionId::generate(Shard::random());
        let mut salt = [0; 10];
        salt.copy_from_slice(&fresh.as_bytes()[6..]);
        let subjects: Vec<_> = (0..subjects)
            .map(|number| Subject::new(format!("{fresh}-{number}")).expect("a valid name"))
            .collect();
        let shards = subjects
            .iter()
            .map(|subject| facts.sharding.shard_of(subject))
            .collect();
        Self {
            rng: Rng::new(seed),
            salt,
            made: 0,
            subjects,
            shards,
            entries: facts.bounds.entries,
            oversized,
            expiring,
        }
    }

    /// An id in the shard of `subject`, or in a shard of its own. Where it stands among others of its
    /// shard follows from the seed.
    pub(super) fn id(&mut self, subject: Option<&Subject>) -> SessionId {
        let shard = subject
            .and_then(|subject| self.shard(subject))
            .unwrap_or_else(Shard::random);
        let [high, low] = shard.number().to_be_bytes();
        let place = u8::try_from(self.rng.below(256)).unwrap_or_default();
        self.made = self.made.wrapping_add(1);
        let [made_high, made_low] = self.made.to_be_bytes();
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&[high, low, place, 0, made_high, made_low]);
        bytes[6..].copy_from_slice(&self.salt);
        SessionId::from_bytes(bytes)
    }

    pub(super) fn shard(&self, subject: &Subject) -> Option<Shard> {
        let at = self.subjects.iter().position(|other| other == subject)?;
        self.shards.get(at).copied()
    }

    /// A secret's hash.
    pub(super) fn secret(&mut self) -> SecretHash {
        self.made = self.made.wrapping_add(1);
        let mut bytes = [0; 32];
        bytes[2..4].copy_from_slice(&self.made.to_be_bytes());
        bytes[4..14].copy_from_slice(&self.salt);
        SecretHash::from_bytes(bytes)
    }

    pub(super) fn subject(&mut self) -> Subject {
        self.one_of(&self.subjects.clone())
    }

    /// One of `choices`, of which there are some.
    pub(super) fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.rng.below(choices.len())].clone()
    }

    /// One of `choices`, if there are any.
    pub(super) fn any_of<T: Clone>(&mut self, choices: &[T]) -> Option<T> {
        (!choices.is_empty()).then(|| self.one_of(choices))
    }

    pub(super) fn name(&mut self) -> EntryName {
        let name = match self.rng.below(NAMES.len() + 1) {
            at if at < NAMES.len() => NAMES[at].to_owned(),
            _ => format!("{:.<255}", "as long as a name may be "),
        };
        EntryName::new(name).expect("a valid name")
    }

    pub(super) fn value(&mut self) -> JsonText {
        JsonText::parse(self.one_of(&VALUES)).expect("valid JSON")
    }

    /// Entries for a new session.
    pub(super) fn entries(&mut self) -> Vec<(EntryName, JsonText)> {
        let mut entries: Vec<(EntryName, JsonText)> = Vec::new();
        for _ in 0..self.rng.below(4) {
            let name = self.name();
            if entries.iter().all(|(other, _)| *other != name) {
                entries.push((name, self.value()));
            }
        }
        entries
    }

    /// Entries that go over a bound of the store, if that is within reason.
    pub(super) fn too_many(&mut self) -> Option<Vec<(EntryName, JsonText)>> {
        let numbered = |at: usize| EntryName::new(format!("entry-{at}")).expect("a valid name");
        let oversized = self.oversized.clone()?;
        Some(match self.rng.below(8) {
            0 if self.entries < 2_000 => {
                let value = self.value();
                (0..=self.entries)
                    .map(|at| (numbered(at), value.clone()))
                    .collect()
            }
            1 | 2 if oversized.times <= self.entries => {
                let full = |at| (numbered(at), oversized.full.clone());
                (0..oversized.times).map(full).collect()
            }
            _ => vec![(self.name(), oversized.value)],
        })
    }

    pub(super) fn edits(&mut self) -> Vec<Edit> {
        (0..1 + self.rng.below(3))
            .map(|_| match self.rng.below(10) {
                0 => Edit::Clear,
                1..=3 => Edit::Remove(self.name()),
                _ => Edit::Set(self.name(), self.value()),
            })
            .collect()
    }

    /// A new session that lives a while.
    pub(super) fn draft(&mut self, predecessor: Option<SessionId>) -> Draft {
        let (secret, timeouts, entries) = (self.secret(), self.timeouts(), self.entries());
        Draft::new(secret, timeouts, entries, predecessor)
    }

    fn timeouts(&mut self) -> Timeouts {
        let seconds = Duration::from_secs;
        if !self.expiring {
            return Timeouts::new(seconds(3600));
        }
        let absolute = match self.rng.below(12) {
            0 => Duration::MAX,
            1 => seconds(20),
            2 | 3 => seconds(700),
            _ => seconds(43_200),
        };
        let idle = match self.rng.below(12) {
            0 => None,
            1 => Some(seconds(10)),
            2 => Some(seconds(90)),
            3 => Some(Duration::MAX),
            _ => Some(seconds(1_800)),
        };
        let timeouts = match self.rng.below(50) {
            0 => Timeouts::new(Duration::ZERO),
            1 => return Timeouts::new(absolute).with_idle(Duration::ZERO),
            _ => Timeouts::new(absolute),
        };
        let timeouts = match self.rng.below(3) {
            0 => timeouts.without_renewal(),
            _ => timeouts.with_renewal(seconds(60)),
        };
        match idle {
            Some(idle) => timeouts.with_idle(idle),
            None => timeouts.without_idle(),
        }
    }
}
