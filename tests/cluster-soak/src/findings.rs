//! In which ways promises were broken.

use std::fmt;

/// A way in which the store breaks its promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Finding {
    /// Something acknowledged is not there.
    Lost,
    /// Something that ended is there.
    Revived,
    /// A change is there in part.
    Torn,
    /// Nodes hold different things at rest.
    Differs,
    /// A subject has more sessions than it may.
    OverLimit,
    /// A node says so itself.
    Alarm,
}

/// The promises that were broken, each with where and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings(pub(crate) Vec<(Finding, String)>);

impl Findings {
    /// How many of this kind there are.
    #[must_use]
    pub(crate) fn count(&self, finding: Finding) -> usize {
        self.0.iter().filter(|(is, _)| *is == finding).count()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} lost, {} revived, {} torn, {} different, {} over their limit, {} alarms",
            self.count(Finding::Lost),
            self.count(Finding::Revived),
            self.count(Finding::Torn),
            self.count(Finding::Differs),
            self.count(Finding::OverLimit),
            self.count(Finding::Alarm),
        )?;
        let alike = self.0.chunk_by(|(one, _), (other, _)| one == other);
        for (finding, what) in alike.flat_map(|alike| alike.iter().take(5)) {
            write!(f, "\n    {finding:?}: {what}")?;
        }
        Ok(())
    }
}
