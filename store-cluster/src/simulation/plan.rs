//! What a run is made from, and how it is made smaller.

use super::mishaps::Mishap;
use super::rng::Rng;

/// All that a run follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) size: usize,
    /// For how many milliseconds clients are there and things go wrong.
    pub(super) lasts: u64,
    /// What does not go wrong.
    pub(super) without: Vec<Mishap>,
}

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        let size = *Rng::new(seed ^ 0x5eed).pick(&[2, 3, 3, 3, 5, 5, 7, 16]);
        Self {
            seed,
            size,
            lasts: 160_000 / (size as u64 + 3),
            without: Vec::new(),
        }
    }

    /// The plan of the seed that `CLUSTER_SEED` names, with less of what `CLUSTER_LASTS` and
    /// `CLUSTER_WITHOUT` take away.
    pub(super) fn asked_for() -> Option<Self> {
        let mut plan = Self::of(number("CLUSTER_SEED")?);
        if let Some(lasts) = number("CLUSTER_LASTS") {
            plan.lasts = lasts;
        }
        let without = std::env::var("CLUSTER_WITHOUT").unwrap_or_default();
        let is_named = |mishap: &Mishap| without.split(',').any(|name| name == mishap.name());
        plan.without = Mishap::ALL.into_iter().filter(is_named).collect();
        Some(plan)
    }

    /// The least of this plan that still `fails`: what does not matter goes first, then what comes late.
    pub(super) fn minimised(mut self, fails: impl Fn(&Self) -> bool) -> Self {
        for mishap in Mishap::ALL {
            let mut less = self.clone();
            less.without.push(mishap);
            if fails(&less) {
                self = less;
            }
        }
        for eighths in [1, 2, 4, 6, 7] {
            let less = Self {
                lasts: self.lasts * eighths / 8,
                ..self.clone()
            };
            if fails(&less) {
                return less;
            }
        }
        self
    }

    /// How to run it again.
    pub(super) fn command(&self) -> String {
        let without: Vec<_> = self.without.iter().map(|mishap| mishap.name()).collect();
        format!(
            "CLUSTER_SEED={} CLUSTER_LASTS={} CLUSTER_WITHOUT={}",
            self.seed,
            self.lasts,
            without.join(",")
        )
    }
}

pub(super) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
