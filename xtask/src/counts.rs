//! Reading what `cargo test` prints: how many tests passed, failed and were ignored, and which.

/// The sums over all test programs of a run.
///
/// A test may itself run a test program and print what that says: only the outermost
/// `running N tests` … `test result:` pairs are counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// The tests that failed: program and name.
    pub(crate) failures: Vec<String>,
    /// The tests that were ignored: program, name, and the reason if one was given.
    pub(crate) reasons: Vec<String>,
    /// The programs that ended before they said their result.
    pub(crate) unfinished: Vec<String>,
    /// Which program runs now.
    program: String,
    /// How many runs of tests have begun and not ended.
    depth: u32,
}

/// What a line is to somebody who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A test passed, a run of tests begins: a hundred of these hide what matters.
    Routine,
    /// Everything else.
    Telling,
}

impl Counts {
    /// Takes the next line of the output into account.
    pub(crate) fn add(&mut self, line: &str) -> Line {
        if let Some(program) = program(line) {
            self.end_program();
            program.clone_into(&mut self.program);
            return Line::Telling;
        }
        if is_start(line) {
            self.depth += 1;
            return Line::Routine;
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            if self.depth <= 1 {
                self.passed += number_before(result, "passed");
                self.failed += number_before(result, "failed");
                self.ignored += number_before(result, "ignored");
            }
            self.depth = self.depth.saturating_sub(1);
            return Line::Telling;
        }
        if line.is_empty() {
            return Line::Routine;
        }
        let Some((name, verdict)) = line
            .strip_prefix("test ")
            .and_then(|test| test.split_once(" ... "))
        else {
            return Line::Telling;
        };
        let name = format!("{}: {}", self.program, name.trim_end());
        if verdict == "ok" {
            return Line::Routine;
        }
        if self.depth > 1 {
            return Line::Telling;
        }
        if verdict.starts_with("FAILED") {
            self.failures.push(name);
        } else if let Some(reason) = verdict.strip_prefix("ignored") {
            // libtest writes `ignored, reason`, libtest-mimic `ignored (reason)`.
            let reason = reason.strip_prefix(", ").or_else(|| {
                reason
                    .strip_prefix(" (")
                    .and_then(|reason| reason.strip_suffix(')'))
            });
            self.reasons.push(match reason {
                Some(reason) => format!("{name}: {reason}"),
                None => format!("{name}: no reason given"),
            });
        }
        Line::Telling
    }

    /// The program that ran is over, whatever it left open.
    pub(crate) fn end_program(&mut self) {
        if self.depth > 0 {
            self.unfinished.push(std::mem::take(&mut self.program));
        }
        self.depth = 0;
    }
}

/// The program that cargo says it runs next: `session_core` of
/// `Running unittests src/lib.rs (target/debug/deps/session_core-0123456789abcdef)`, `demo` of
/// `Doc-tests demo`.
fn program(line: &str) -> Option<&str> {
    let line = line.strip_prefix("   ")?.trim_start();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(name);
    }
    let (_, path) = line
        .strip_prefix("Running ")?
        .strip_suffix(')')?
        .rsplit_once(" (")?;
    let file = path.rsplit_once('/').map_or(path, |(_, file)| file);
    Some(file.rsplit_once('-').map_or(file, |(name, _)| name))
}

/// `running 12 tests`, `running 1 test`.
fn is_start(line: &str) -> bool {
    line.strip_prefix("running ")
        .and_then(|rest| rest.split_once(' '))
        .is_some_and(|(count, unit)| {
            count.parse::<u64>().is_ok() && (unit == "tests" || unit == "test")
        })
}

/// The number in front of a word: 3 in `ok. 3 passed; 0 failed` before `passed`.
fn number_before(text: &str, word: &str) -> u64 {
    let mut words = text.split([' ', ';']).filter(|word| !word.is_empty());
    let mut last = None;
    words
        .find_map(|next| {
            let number = (next == word).then_some(last);
            last = Some(next);
            number
        })
        .flatten()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(output: &str) -> Counts {
        let mut counts = Counts::default();
        for line in output.lines() {
            counts.add(line);
        }
        counts.end_program();
        counts
    }

    fn sums(counts: &Counts) -> (u64, u64, u64) {
        (counts.passed, counts.failed, counts.ignored)
    }

    /// Two programs of `cargo test`, one with a failure and an ignored test.
    const LIBTEST: &str = "    Finished `test` profile [unoptimized + debuginfo] target(s) in 0.02s
     Running unittests src/lib.rs (target/debug/deps/session_core-0123456789abcdef)

running 4 tests
test tests::adds ... ok
test tests::needs_a_server ... ignored, no server on this machine
test tests::forgotten ... ignored
test tests::rejects - should panic ... ok

test result: ok. 2 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s

     Running tests/sub.rs (target/debug/deps/sub-fedcba9876543210)

running 2 tests
test late ... ok
test subtracts ... FAILED

failures:

---- subtracts stdout ----

thread 'subtracts' (4711) panicked at tests/sub.rs:3:5:
assertion `left == right` failed
  left: 1
 right: 2
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace


failures:
    subtracts

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 3 filtered out; finished in 1.25s
";

    #[test]
    fn the_sums_run_over_all_programs() {
        let counts = count(LIBTEST);
        assert_eq!(sums(&counts), (3, 1, 2));
        assert!(counts.unfinished.is_empty());
        assert_eq!(counts.failures, ["sub: subtracts"]);
        assert_eq!(
            counts.reasons,
            [
                "session_core: tests::needs_a_server: no server on this machine",
                "session_core: tests::forgotten: no reason given"
            ]
        );
    }

    #[test]
    fn a_harness_of_the_suite_is_counted_like_any_other() {
        let counts = count(
            "     Running tests/memory.rs (target/debug/deps/memory-0123456789abcdef)

running 3 tests
test c01_create_never_overwrites   ... ok
test c17_nodes_agree_after_healing ... ignored (needs an eventual store)
test [memory] c02_load_is_exact    ... FAILED

failures:

---- c02_load_is_exact ----
one entry differs

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s
",
        );
        assert_eq!(sums(&counts), (1, 1, 1));
        assert_eq!(counts.failures, ["memory: [memory] c02_load_is_exact"]);
        assert_eq!(
            counts.reasons,
            ["memory: c17_nodes_agree_after_healing: needs an eventual store"]
        );
    }

    #[test]
    fn doc_tests_are_counted_merged_and_alone() {
        let counts = count(
            "   Doc-tests session_core

running 2 tests
test src/lib.rs - Session (line 12) ... ok
test src/id.rs - id::SessionId (line 7) - compile ... ok

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.30s


running 1 test
test src/lib.rs - (line 3) - compile fail ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.12s

all doctests ran in 0.55s; merged doctests compilation took 0.24s
",
        );
        assert_eq!(sums(&counts), (3, 0, 0));
    }

    #[test]
    fn a_suite_that_a_test_runs_on_a_faulty_store_is_not_counted() {
        let counts = count(
            "
running 2 tests

running 2 tests
test c01_create_never_overwrites ... FAILED
test c02_load_is_exact           ... ignored (not now)

test result: FAILED. 0 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

test upserting_is_caught_by_c01 ... ok
test whole_seconds_is_caught_by_c02 ... ok

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
",
        );
        assert_eq!(sums(&counts), (2, 0, 0));
        assert!(counts.failures.is_empty() && counts.reasons.is_empty());
    }

    #[test]
    fn a_program_that_crashed_does_not_hide_the_next() {
        let counts = count(
            "     Running tests/one.rs (target/debug/deps/one-0123456789abcdef)

running 2 tests
test a ... ok
error: test failed, to rerun pass `-p x --test one`
     Running tests/two.rs (target/debug/deps/two-0123456789abcdef)

running 2 tests
test b ... ok
test c ... FAILED

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
",
        );
        assert_eq!(sums(&counts), (1, 1, 0));
        assert_eq!(counts.failures, ["two: c"]);
        assert_eq!(counts.unfinished, ["one"]);
    }

    #[test]
    fn programs_without_tests_change_nothing() {
        let counts = count(
            "
running 0 tests

test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
",
        );
        assert_eq!(sums(&counts), (0, 0, 0));
    }

    #[test]
    fn only_what_always_comes_is_routine() {
        let telling: Vec<&str> = LIBTEST
            .lines()
            .filter({
                let mut counts = Counts::default();
                move |line| counts.add(line) == Line::Telling
            })
            .collect();
        assert!(!telling.iter().any(|line| line.ends_with("... ok")));
        for kept in ["test subtracts ... FAILED", " right: 2", "failures:"] {
            assert!(telling.contains(&kept), "{kept} is not shown");
        }
    }

    #[test]
    fn words_that_look_alike_are_no_start() {
        for line in [
            "running tests",
            "running 3 servers",
            "running x tests",
            "I am running 3 tests",
        ] {
            assert!(!is_start(line), "{line}");
        }
    }
}
