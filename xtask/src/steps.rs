//! What `cargo xtask test` does, as data: the steps in their order.

use crate::tools::{CARGO_DENY, CARGO_HACK, CURL, Tool};
use crate::workspace::Workspace;
use crate::{checks, dependencies, rust_version, statements, suites};

/// One step of `cargo xtask test`.
#[derive(Debug)]
pub(crate) struct Step {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    /// Why it is there, as `--list` says it.
    pub(crate) why: &'static str,
    /// What must be on the machine before it.
    pub(crate) needs: &'static [Tool],
    /// Whether no later step can work when this one fails.
    pub(crate) decisive: bool,
    pub(crate) run: fn(&Context) -> Report,
}

/// What a step has to work with.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) workspace: Workspace,
    /// Whether passing tests are shown too.
    pub(crate) verbose: bool,
}

/// What came of a step.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// One line for each thing that failed.
    pub(crate) failures: Vec<String>,
    /// One line for each thing that was ignored, with the reason.
    pub(crate) reasons: Vec<String>,
}

impl Report {
    /// A step that is one check: it holds, or it fails with these words.
    pub(crate) fn check(outcome: Result<(), String>) -> Self {
        match outcome {
            Ok(()) => Self {
                passed: 1,
                ..Self::default()
            },
            Err(why) => Self {
                failed: 1,
                failures: vec![why],
                ..Self::default()
            },
        }
    }

    /// The sum of this and another.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.failures.extend(other.failures);
        self.reasons.extend(other.reasons);
        self
    }

    /// A step that could not be judged here.
    pub(crate) fn ignored(reason: impl Into<String>) -> Self {
        Self {
            ignored: 1,
            reasons: vec![reason.into()],
            ..Self::default()
        }
    }
}

/// The steps, in their order: what is quick and most often wrong comes first.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "formatting",
        why: "code looks alike everywhere: `cargo xtask fmt` makes it so",
        needs: &[],
        decisive: false,
        run: checks::formatting,
    },
    Step {
        name: "build",
        why: "everything compiles, tests included",
        needs: &[],
        decisive: true,
        run: checks::build,
    },
    Step {
        name: "lints",
        why: "no warning of rustc or clippy, no hidden clock, no unsafe code",
        needs: &[],
        decisive: false,
        run: checks::lints,
    },
    Step {
        name: "features",
        why: "every feature compiles alone",
        needs: &[CARGO_HACK],
        decisive: false,
        run: checks::features,
    },
    Step {
        name: "dependencies",
        why: "licences, sources, and which crate may depend on which: deny.toml",
        needs: &[CARGO_DENY],
        decisive: false,
        run: dependencies::policy,
    },
    Step {
        name: "advisories",
        why: "no dependency has a known vulnerability, is abandoned or was withdrawn",
        needs: &[CARGO_DENY],
        decisive: false,
        run: dependencies::advisories,
    },
    Step {
        name: "docs",
        why: "the documentation builds without a warning",
        needs: &[],
        decisive: false,
        run: checks::docs,
    },
    Step {
        name: "unit",
        why: "each part does what it says",
        needs: &[],
        decisive: false,
        run: suites::unit,
    },
    Step {
        name: "integration",
        why: "the parts do together what they say; every store keeps the contract",
        needs: &[CURL],
        decisive: false,
        run: suites::integration,
    },
    Step {
        name: "containers",
        why: "the stores keep the contract in containers as well",
        needs: &[],
        decisive: false,
        run: suites::containers,
    },
    Step {
        name: "other-redis",
        why: "sessions are kept on Valkey, and on older and newer Redis, as well",
        needs: &[],
        decisive: false,
        run: suites::other_redis,
    },
    Step {
        name: "doctests",
        why: "the examples in the documentation work",
        needs: &[],
        decisive: false,
        run: suites::doctests,
    },
    Step {
        name: "rust-version",
        why: "the stated minimum Rust version is true",
        needs: &[],
        decisive: false,
        run: rust_version::check,
    },
    Step {
        name: "statements",
        why: "each statement of docs/security.md has a test or an argument",
        needs: &[],
        decisive: false,
        run: statements::check,
    },
    Step {
        name: "browser",
        why: "a real browser keeps, sends and forgets our cookies as it should",
        needs: &[],
        decisive: false,
        run: suites::browser,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_step_has_a_name_of_its_own_and_says_why_it_is_there() {
        let names: BTreeSet<_> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), STEPS.len());
        for step in STEPS {
            assert!(
                !step.name.contains([',', ' ']),
                "--only cannot name {:?}",
                step.name
            );
            assert!(step.why.len() > 10, "{} says nothing", step.name);
        }
    }
}
