//! `docs/conformance.md`, written from the tables.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::clients::table::ClientCase;
use crate::clients::{CLIENTS, Client};
use crate::diff::{Difference, differences};
use crate::workers::Side;
use crate::workers::table::{Expected, Run};

/// Where the page is, in the workspace.
pub(crate) const PAGE: &str = "docs/conformance.md";

const HEAD: &str = include_str!("../head.md");

/// The whole page.
pub(crate) fn page(cases: &[ClientCase], runs: &[Run]) -> String {
    let mut page = HEAD.to_owned();
    clients(&mut page, cases);
    client_notes(&mut page, cases);
    workers(&mut page, runs);
    differences_of_workers(&mut page, runs);
    page
}

// Writing to a string does not fail.

fn clients(page: &mut String, cases: &[ClientCase]) {
    page.push_str("\n## The clients' cases\n\n| case |");
    for Client { title, .. } in CLIENTS {
        let _ = write!(page, " {title} |");
    }
    page.push_str("\n|---|---|---|---|\n");
    for case in cases {
        let _ = write!(page, "| {} |", case.case);
        for client in CLIENTS {
            page.push_str(match case.expected_of(client.id) {
                None => " – |",
                Some(expected) if expected.note.is_some() => " yes, see below |",
                Some(_) => " yes |",
            });
        }
        page.push('\n');
    }
    page.push_str("\n–: the client has no such call, or its answer says nothing.\n");
}

fn client_notes(page: &mut String, cases: &[ClientCase]) {
    page.push_str("\n## Where a client does not do what one would expect\n\n");
    for client in CLIENTS {
        // Cases with the same explanation stand together.
        let mut notes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for case in cases {
            if let Some(note) = case
                .expected_of(client.id)
                .and_then(|expected| expected.note.as_deref())
            {
                notes.entry(note).or_default().push(&case.case);
            }
        }
        for (note, cases) in notes {
            let _ = writeln!(page, "- {}: {note} ({})", client.title, cases.join("; "));
        }
    }
}

fn workers(page: &mut String, runs: &[Run]) {
    page.push_str("\n## The workers' cases\n\n| run | cases |\n|---|---|\n");
    for run in runs {
        let cases: Vec<_> = run.cases().map(|(case, _)| case).collect();
        let _ = writeln!(page, "| {} | {} |", run.name, cases.join("; "));
    }
}

fn differences_of_workers(page: &mut String, runs: &[Run]) {
    page.push_str("\n## Where our worker differs from the published one on purpose\n");
    let mut reasons: Vec<(&str, Vec<(String, &Expected)>)> = Vec::new();
    for run in runs {
        for (case, expected) in run.cases() {
            let Some(why) = expected.why.as_deref() else {
                continue;
            };
            let entry = (format!("{}: {case}", run.name), expected);
            match reasons.iter_mut().find(|(reason, _)| *reason == why) {
                Some((_, cases)) => cases.push(entry),
                None => reasons.push((why, vec![entry])),
            }
        }
    }
    for (why, cases) in reasons {
        let _ = writeln!(
            page,
            "\n{why}\n\n| case | field | published | ours |\n|---|---|---|---|"
        );
        for (cases, fields) in alike(cases) {
            for (path, published, ours) in fields {
                let _ = writeln!(page, "| {cases} | {path} | {published} | {ours} |");
            }
        }
    }
}

type Cells = (String, String, String);

/// Cases that differ in the same way, together, and how.
fn alike(cases: Vec<(String, &Expected)>) -> Vec<(String, Vec<Cells>)> {
    let mut groups: Vec<(String, Vec<Cells>)> = Vec::new();
    for (case, expected) in cases {
        let found = differences(&expected.of(Side::Python), &expected.of(Side::Ours));
        let cells: Vec<_> = found.iter().map(Difference::cells).collect();
        match groups.iter_mut().find(|(_, known)| *known == cells) {
            Some((names, _)) => {
                let _ = write!(names, "; {case}");
            }
            None => groups.push((case, cells)),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clients, workers};
    use support::cargo::root;

    #[test]
    fn the_page_is_as_the_tables_say() {
        let page = page(
            &clients::table::clients().unwrap(),
            &workers::table::workers().unwrap(),
        );
        let written = std::fs::read_to_string(root().join(PAGE)).unwrap();
        assert!(
            page == written,
            "{PAGE} is not what the tables say; write it with `cargo xtask conformance --write-docs`"
        );
    }
}
