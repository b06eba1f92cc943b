//! Whether each statement of docs/security.md has a test that carries its number, or an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::steps::{Context, Report};

const STATEMENTS: &str = "docs/security.md";

/// The numbers that may be argued instead of tested.
const ARGUABLE: [u32; 5] = [2, 11, 31, 40, 46];

pub(crate) fn check(context: &Context) -> Report {
    let root = &context.workspace.root;
    let page = match fs::read_to_string(root.join(STATEMENTS)) {
        Ok(page) => page,
        Err(error) => return Report::check(Err(format!("{STATEMENTS}: {error}"))),
    };
    let mut tested = BTreeSet::new();
    read_tests(root, &mut tested);
    judge(&page, &tested)
}

fn judge(page: &str, tested: &BTreeSet<u32>) -> Report {
    let (stated, argued) = (stated(page), argued(page));
    let mut report = Report::default();
    for (number, statement) in &stated {
        let is_argued = argued.contains(number) && ARGUABLE.contains(number);
        if tested.contains(number) || is_argued {
            report.passed += 1;
        } else {
            report.failed += 1;
            report
                .failures
                .push(format!("SECURITY {number} has no test: {statement}"));
        }
    }
    for number in tested.iter().filter(|number| !stated.contains_key(number)) {
        report.failed += 1;
        report.failures.push(format!(
            "SECURITY {number} is in a test but not in {STATEMENTS}"
        ));
    }
    report
}

/// The rows of the page's tables: `| 24 | statement | source |`.
fn stated(page: &str) -> BTreeMap<u32, &str> {
    page.lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
            Some((cells.next()?.parse().ok()?, cells.next()?))
        })
        .collect()
}

/// The paragraphs that argue: `**31.** …`.
fn argued(page: &str) -> BTreeSet<u32> {
    let numbers = page
        .lines()
        .filter_map(|line| line.strip_prefix("**")?.split_once(".**"));
    numbers
        .filter_map(|(number, _)| number.parse().ok())
        .collect()
}

fn read_tests(folder: &Path, tested: &mut BTreeSet<u32>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            read_tests(&path, tested);
        } else if name.ends_with(".rs")
            && let Ok(source) = fs::read_to_string(&path)
        {
            tested.extend(source.lines().flat_map(carried));
        }
    }
}

/// The numbers of a doc comment such as `/// SECURITY 24, 25: …`.
fn carried(line: &str) -> Vec<u32> {
    let Some(list) = line.trim_start().strip_prefix("/// SECURITY ") else {
        return Vec::new();
    };
    let list = list
        .split(|c: char| !c.is_ascii_digit() && c != ',' && c != ' ')
        .next();
    list.into_iter()
        .flat_map(|list| list.split([',', ' ']))
        .filter_map(|n| n.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "| 1 | one | – |\n| 2 | two | – |\n| 3 | three | – |\n\n**2.** Because.\n**3.** So.";

    #[test]
    fn a_statement_without_test_or_admissible_argument_fails() {
        let report = judge(PAGE, &BTreeSet::from([1]));
        assert_eq!((report.passed, report.failed), (2, 1));
        assert_eq!(report.failures, ["SECURITY 3 has no test: three"]);
    }

    #[test]
    fn a_number_that_is_not_stated_fails() {
        let report = judge(PAGE, &BTreeSet::from([1, 3, 99]));
        assert_eq!((report.passed, report.failed), (3, 1));
    }

    #[test]
    fn numbers_are_read_from_doc_comments_only() {
        assert_eq!(carried("    /// SECURITY 24, 25: text 7."), [24, 25]);
        assert_eq!(carried("/// SECURITY 9"), [9]);
        assert!(carried("// SECURITY 9").is_empty());
        assert!(carried("let text = \"SECURITY 9\";").is_empty());
    }
}
