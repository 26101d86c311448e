//! A page of `docs/coverage`: what it says in its tables.

/// The marks of `docs/protocol/worker-protocol.md`; `ours` is a rule of this project beyond a quirk.
const MARKS: [&str; 4] = ["wire", "behaviour", "quirk", "ours"];

/// What precedes the reason where no test is possible.
const NOT_TESTED: &str = "not tested:";

#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The numbers of its headings.
    pub(crate) sections: Vec<u32>,
    pub(crate) rows: Vec<Row>,
}

/// One statement.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) line: usize,
    pub(crate) section: u32,
    pub(crate) mark: String,
    /// The tests that show it.
    pub(crate) tests: Vec<String>,
}

impl Page {
    /// # Errors
    ///
    /// A row that is not as `docs/coverage/README.md` describes rows.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut page = Self::default();
        for (line, text) in (1..).zip(text.lines()) {
            if let Some(heading) = text.strip_prefix("## ") {
                let number = heading.split('.').next().and_then(|number| number.parse().ok());
                page.sections.push(
                    number.ok_or_else(|| format!("line {line}: a heading without the section's number"))?,
                );
            } else if text.starts_with('|') && !text.starts_with("|---") && !text.starts_with("| statement") {
                let section = *page
                    .sections
                    .last()
                    .ok_or_else(|| format!("line {line}: a row before the first heading"))?;
                page.rows.push(
                    Row::parse(line, section, text).map_err(|problem| format!("line {line}: {problem}"))?,
                );
            }
        }
        Ok(page)
    }
}

impl Row {
    fn parse(line: usize, section: u32, text: &str) -> Result<Self, String> {
        let cells = cells(text);
        let [statement, mark, shown] = cells.as_slice() else {
            return Err(format!("three cells are expected, not {}", cells.len()));
        };
        if statement.is_empty() {
            return Err("the statement is missing".to_owned());
        }
        if !MARKS.contains(&mark.as_str()) {
            return Err(format!("`{mark}` is none of the marks {}", MARKS.join(", ")));
        }
        let tests = shown_by(shown)?;
        Ok(Self {
            line,
            section,
            mark: mark.clone(),
            tests,
        })
    }
}

/// The tests in the last cell of a row.
///
/// # Errors
///
/// There is neither a test nor a reason.
pub(crate) fn shown_by(cell: &str) -> Result<Vec<String>, String> {
    let (tests, reason) = match cell.split_once(NOT_TESTED) {
        Some((tests, reason)) => (tests, Some(reason.trim())),
        None => (cell, None),
    };
    if reason == Some("") {
        return Err(format!("no reason after `{NOT_TESTED}`"));
    }
    if tests.matches('`').count() % 2 == 1 {
        return Err("a backtick is missing".to_owned());
    }
    let tests: Vec<_> = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    if tests.is_empty() && reason.is_none() {
        return Err(format!("neither a test nor `{NOT_TESTED}` with the reason"));
    }
    Ok(tests)
}

/// The cells of a line of a table; `\|` is a bar within a cell.
pub(crate) fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|');
    let inner = inner.strip_suffix('|').unwrap_or(inner).replace("\\|", "\0");
    inner
        .split('|')
        .map(|cell| cell.trim().replace('\0', "|"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(row: &str) -> String {
        Page::parse(&format!("## 8. Streaming\n{row}\n")).unwrap_err()
    }

    #[test]
    fn a_row_has_its_section_its_mark_and_its_tests() {
        let text = "# Title\n\n## 8. Streaming\n\n| statement | mark | shown by |\n|---|---|---|\n\
                    | one \\| two, `code` | quirk | `a::b`<br>`c/tests/d::e`<br>not tested: `here`, as it needs two |\n";
        let page = Page::parse(text).unwrap();
        assert_eq!(page.sections, [8]);
        let [row] = page.rows.as_slice() else {
            panic!("{:?}", page.rows)
        };
        assert_eq!((row.line, row.section, row.mark.as_str()), (7, 8, "quirk"));
        assert_eq!(row.tests, ["a::b", "c/tests/d::e"]);
    }

    #[test]
    fn a_row_without_a_test_or_a_reason_is_refused() {
        assert_eq!(
            problem("| x | wire | soon |"),
            "line 2: neither a test nor `not tested:` with the reason"
        );
        assert_eq!(
            problem("| x | wire | not tested: |"),
            "line 2: no reason after `not tested:`"
        );
        assert_eq!(problem("| x | wire | `a |"), "line 2: a backtick is missing");
    }

    #[test]
    fn a_row_of_another_shape_is_refused() {
        assert_eq!(problem("| x | wire |"), "line 2: three cells are expected, not 2");
        assert_eq!(
            problem("| x | wired | `a` |"),
            "line 2: `wired` is none of the marks wire, behaviour, quirk, ours"
        );
        assert_eq!(problem("| | wire | `a` |"), "line 2: the statement is missing");
        assert_eq!(
            Page::parse("| x | wire | `a` |").unwrap_err(),
            "line 1: a row before the first heading"
        );
    }
}
