//! `docs/threats.md` names a test for each defence, and each of them exists.

use std::fs;

use super::page::{cells, shown_by};
use super::{sources, workspace};

/// The sections of the page.
const THREATS: [&str; 9] = [
    "A hostile job",
    "A hostile job of sd-worker",
    "A hostile URL",
    "A hostile answer of a backend",
    "A WebUI that runs code of others",
    "A web page against the local platform",
    "A shared network volume",
    "Leaked logs",
    "A leaked key",
];

/// The tests of one row, with its line; the error is what is wrong with the row.
type ThreatRow = Result<(usize, Vec<String>), String>;

/// The rows of the tables, by section.
fn sections(text: &str) -> Vec<(&str, Vec<ThreatRow>)> {
    let mut sections: Vec<(&str, Vec<ThreatRow>)> = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        if let Some(heading) = text.strip_prefix("## ") {
            sections.push((heading, Vec::new()));
        } else if text.starts_with('|')
            && !text.starts_with("|---")
            && !text.starts_with("| attack")
            && let Some((_, rows)) = sections.last_mut()
        {
            rows.push(match cells(text).as_slice() {
                [attack, holds, shown] if !attack.is_empty() && !holds.is_empty() => shown_by(shown)
                    .map(|tests| (line, tests))
                    .map_err(|problem| format!("line {line}: {problem}")),
                _ => Err(format!(
                    "line {line}: attack, what holds, shown by: three cells are expected"
                )),
            });
        }
    }
    sections
}

#[test]
fn each_threat_has_rows_and_each_test_that_they_name_exists_and_is_run() {
    let text = fs::read_to_string(workspace().join("docs/threats.md")).unwrap();
    let known = sources::tests(&workspace());
    let sections = sections(&text);
    let names: Vec<&str> = sections.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, THREATS);
    let mut problems = Vec::new();
    for (name, rows) in sections {
        assert!(!rows.is_empty(), "{name} has no row");
        for row in rows {
            match row {
                Ok((line, tests)) => problems.extend(
                    tests
                        .iter()
                        .filter(|test| !known.contains(*test))
                        .map(|test| format!("line {line}: there is no test `{test}`")),
                ),
                Err(problem) => problems.push(problem),
            }
        }
    }
    assert!(problems.is_empty(), "docs/threats.md\n{}", problems.join("\n"));
}

#[test]
fn a_row_without_a_test_or_without_a_defence_is_found() {
    let rows = |row: &str| {
        sections(&format!("## A leaked key\n\n{row}\n"))
            .remove(0)
            .1
            .remove(0)
    };
    assert_eq!(rows("| a | b | `c::d` |").unwrap(), (3, vec!["c::d".to_owned()]));
    for (row, problem) in [
        ("| a | b | soon |", "line 3: neither a test nor"),
        ("| a | | `c` |", "three cells"),
        ("| a | `c` |", "three cells"),
    ] {
        assert!(rows(row).unwrap_err().contains(problem), "{row}");
    }
}
