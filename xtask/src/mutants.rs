//! Mutants: session-core with one line of its apply path broken, which the random histories must catch.
//!
//! Every store uses these functions, so nothing that compares a store with them can see a fault in them.
//! Each mutant is built in a copy of the workspace; what was built for one is used for the next.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process;
use crate::workspace::Workspace;

/// One line that is replaced by another.
struct Mutation {
    /// What the mutant gets wrong.
    wrong: &'static str,
    /// Below session-core's sources.
    file: &'static str,
    /// Stands in the file exactly once.
    line: &'static str,
    instead: &'static str,
}

const MUTATIONS: [Mutation; 10] = [
    Mutation {
        wrong: "a session lives through the very millisecond of its expiry",
        file: "record/mod.rs",
        line: "now < self.expires_at()",
        instead: "now <= self.expires_at()",
    },
    Mutation {
        wrong: "a guard never refuses",
        file: "record/apply.rs",
        line: ".is_some_and(|guard| guard != self.revision())",
        instead: ".is_some_and(|guard| guard == change.revision())",
    },
    Mutation {
        wrong: "a deadline moves back out",
        file: "record/apply.rs",
        line: "&& now + life < fixed.deadline",
        instead: "&& now + life != fixed.deadline",
    },
    Mutation {
        wrong: "edits that come with a touch keep the revision",
        file: "record/apply.rs",
        line: "if !change.is_pure_touch() {",
        instead: "if !change.touches() {",
    },
    Mutation {
        wrong: "a clear removes reserved entries too",
        file: "record/apply.rs",
        line: "is_reserved(stored.name_bytes(*row))",
        instead: "is_reserved(stored.name_bytes(*row).get(..0).unwrap_or_default())",
    },
    Mutation {
        wrong: "many small entries go over the bound of their number",
        file: "record/apply.rs",
        line: "let count = entries.iter().map(|run| run.count()).sum();",
        instead: "let count = 0;",
    },
    Mutation {
        wrong: "a secret that was followed can still be renewed",
        file: "record/secrets.rs",
        line: "slot.standing = Standing::Former;",
        instead: "slot.standing = Standing::Current;",
    },
    Mutation {
        wrong: "a soft renewal waits a millisecond too long",
        file: "record/secrets.rs",
        line: "now < slot.issued_at + UNPRESENTED_GRACE",
        instead: "now <= slot.issued_at + UNPRESENTED_GRACE",
    },
    Mutation {
        wrong: "a fifth secret is kept while none is a former one",
        file: "record/secrets.rs",
        line: ".position(|slot| slot.standing != Standing::Current)",
        instead: ".position(|slot| slot.standing == Standing::Former)",
    },
    Mutation {
        wrong: "who makes room begins to count the predecessor anew",
        file: "admit.rs",
        line: "end_with(gone, predecessor, &mut remaining, &mut ended);",
        instead: "",
    },
];

/// The test that must fail: package, then test target.
const HISTORIES: [&str; 4] = ["-p", "session-conformance", "--test", "histories"];

/// No mutant may take longer, to build and to run.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Builds and tests every mutant: whether all were caught.
///
/// # Errors
///
/// When the workspace cannot be copied, the histories fail without a mutation, or a mutation does not
/// match its file or does not compile.
pub(crate) fn run() -> Result<bool, String> {
    let workspace = Workspace::load()?;
    let lab = Lab::set_up(&workspace)?;
    println!("without a mutation …");
    if let Verdict::Caught(how) = lab.test(&workspace)? {
        return Err(format!("the histories fail without a mutation: {how}"));
    }
    let mut caught = 0;
    for (number, mutation) in MUTATIONS.iter().enumerate() {
        let file = lab.root.join(SOURCES).join(mutation.file);
        let sound = read(&file)?;
        write(&file, &mutation.applied_to(&sound)?)?;
        let verdict = lab.test(&workspace);
        write(&file, &sound)?;
        let verdict = verdict.map_err(|why| format!("{}: {why}", mutation.wrong))?;
        let (word, how) = match verdict {
            Verdict::Caught(how) => {
                caught += 1;
                ("caught", how)
            }
            Verdict::Survived => ("SURVIVED", format!("see {}", mutation.file)),
        };
        println!("{:>2}  {word}: {}\n    {how}", number + 1, mutation.wrong);
    }
    println!("{caught} of {} caught", MUTATIONS.len());
    Ok(caught == MUTATIONS.len())
}

const SOURCES: &str = "session-core/src";

/// What became of a mutant.
enum Verdict {
    /// With what the failed test says.
    Caught(String),
    Survived,
}

impl Mutation {
    fn applied_to(&self, source: &str) -> Result<String, String> {
        match source.matches(self.line).count() {
            1 => Ok(source.replacen(self.line, self.instead, 1)),
            found => Err(format!(
                "{} has {found} times, not once: {}",
                self.file, self.line
            )),
        }
    }
}

/// The copy of the workspace.
struct Lab {
    root: PathBuf,
    target: PathBuf,
}

impl Lab {
    fn set_up(workspace: &Workspace) -> Result<Self, String> {
        let here = workspace.target.join("mutants");
        let lab = Self {
            root: here.join("workspace"),
            target: here.join("target"),
        };
        match fs::remove_dir_all(&lab.root) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(told(&lab.root)(error));
            }
            _ => {}
        }
        copy(&workspace.root, &lab.root, &workspace.target)?;
        Ok(lab)
    }

    fn test(&self, workspace: &Workspace) -> Result<Verdict, String> {
        let (built, said) = process::capture(&mut self.cargo(workspace, &["--no-run"]), LIMIT)?;
        if !built {
            return Err(format!("it does not compile:\n{said}"));
        }
        let (passed, said) = process::capture(&mut self.cargo(workspace, &[]), LIMIT)?;
        if passed {
            return Ok(Verdict::Survived);
        }
        match violation(&said) {
            Some(how) => Ok(Verdict::Caught(how)),
            None => Err(format!("the tests failed for another reason:\n{said}")),
        }
    }

    fn cargo(&self, workspace: &Workspace, more: &[&str]) -> Command {
        let mut command = workspace.cargo(&["test"]);
        command
            .args(HISTORIES)
            .args(more)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_TERM_COLOR", "never")
            .env("RUST_BACKTRACE", "0");
        command
    }
}

/// The first answer that broke the contract: in which history, and of which test.
fn violation(said: &str) -> Option<String> {
    let mut test = "";
    for line in said.lines() {
        if let Some(name) = line.strip_prefix("---- ") {
            test = name.trim_end_matches(" stdout ----");
        }
        if line.contains("breaks the contract") {
            return Some(format!("{test}: {}", line.trim_end_matches(':')));
        }
    }
    None
}

/// Copies a folder, but not what is built in it nor what git keeps.
fn copy(from: &Path, to: &Path, target: &Path) -> Result<(), String> {
    fs::create_dir_all(to).map_err(told(to))?;
    for entry in fs::read_dir(from).map_err(told(from))? {
        let entry = entry.map_err(told(from))?;
        let (path, name) = (entry.path(), entry.file_name());
        if path == target || name == "target" || name == ".git" {
            continue;
        }
        let there = to.join(&name);
        if entry.file_type().map_err(told(&path))?.is_dir() {
            copy(&path, &there, target)?;
        } else {
            fs::copy(&path, &there).map_err(told(&path))?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(told(path))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(told(path))
}

fn told(path: &Path) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutation_matches_one_line_and_changes_it() {
        let workspace = Workspace::load().expect("cargo metadata");
        for mutation in MUTATIONS {
            let sound = read(&workspace.root.join(SOURCES).join(mutation.file)).expect("a source");
            let mutant = mutation.applied_to(&sound).expect("one match");
            let changed = |(ours, theirs): &(&str, &str)| ours != theirs;
            let lines = sound.lines().zip(mutant.lines()).filter(changed).count();
            assert_eq!(lines, 1, "{}", mutation.wrong);
            assert_eq!(sound.lines().count(), mutant.lines().count());
        }
    }

    #[test]
    fn a_mutant_is_caught_only_by_an_answer_that_broke_the_contract() {
        let said =
            "---- some_test stdout ----\nthe history of seed 7 breaks the contract at step 3:\n";
        let how = violation(said).expect("a violation");
        assert_eq!(
            how,
            "some_test: the history of seed 7 breaks the contract at step 3"
        );
        assert_eq!(violation("---- some_test stdout ----\ntoo tame\n"), None);
    }

    #[test]
    fn a_mutation_whose_line_is_gone_is_an_error() {
        let outcome = MUTATIONS[0].applied_to("fn another() {}");
        assert!(outcome.is_err_and(|why| why.contains("0 times")));
    }
}
