//! The pages of `docs/coverage` name a test for every statement of the worker protocol, and each of them exists.
#![expect(clippy::unwrap_used, reason = "the helpers of a test are tests, too")]

mod page;
mod sources;
mod threats;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use page::{Page, Row};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The pages that say which tests show what, by file name.
fn pages() -> Vec<(String, Page)> {
    let mut pages: Vec<_> = fs::read_dir(workspace().join("docs/coverage"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name != "README.md"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let page = Page::parse(&fs::read_to_string(path).unwrap())
                .unwrap_or_else(|problem| panic!("docs/coverage/{name}: {problem}"));
            (name, page)
        })
        .collect();
    pages.sort_by(|one, other| one.0.cmp(&other.0));
    pages
}

/// The references of these rows that no test answers to, each with the line that holds it.
fn unknown<'a>(rows: impl IntoIterator<Item = &'a Row>, known: &BTreeSet<String>) -> Vec<String> {
    rows.into_iter()
        .flat_map(|row| row.tests.iter().map(move |test| (row.line, test)))
        .filter(|(_, test)| !known.contains(*test))
        .map(|(line, test)| format!("line {line}: there is no test `{test}`"))
        .collect()
}

#[test]
fn every_test_that_a_page_names_exists_and_is_run() {
    let known = sources::tests(&workspace());
    let mut problems = Vec::new();
    for (name, page) in pages() {
        for problem in unknown(&page.rows, &known) {
            problems.push(format!("docs/coverage/{name}, {problem}"));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn a_name_that_no_test_has_is_found() {
    let known = sources::tests(&workspace());
    let row = |reference: &str| {
        let text = format!(
            "## 7. A section\n\n| statement | mark | shown by |\n|---|---|---|\n| x | wire | `{reference}` |\n"
        );
        Page::parse(&text).unwrap().rows
    };
    for right in [
        "xtask/tests/coverage::a_name_that_no_test_has_is_found",
        "xtask::test::tests::a_package_among_the_arguments_narrows_the_run",
        "runpod-sdk/tests/examples::hello_greets",
        "runpod-sdk/tests/ui/fail/zero_concurrency.rs",
        "cargo xtask conformance: plain: an object",
    ] {
        assert_eq!(unknown(&row(right), &known), [""; 0]);
    }
    for wrong in [
        "xtask/tests/coverage::a_name_that_no_test_ever_had",
        // A function, yet no test.
        "xtask/tests/coverage::unknown",
        // In another place than the page says.
        "xtask::a_name_that_no_test_has_is_found",
        "runpod-sdk/tests/ui/fail/nothing.rs",
        "cargo xtask conformance: plain: an obelisk",
    ] {
        assert_eq!(
            unknown(&row(wrong), &known),
            [format!("line 5: there is no test `{wrong}`")]
        );
    }
}

#[test]
fn the_pages_cover_sections_7_to_15() {
    let pages = pages();
    let rows = pages.iter().flat_map(|(_, page)| &page.rows);
    let sections: BTreeSet<u32> = rows.map(|row| row.section).collect();
    assert_eq!(sections, (7..=15).collect());
}
