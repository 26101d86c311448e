//! What can be known of a Dockerfile without building it.

use std::path::Path;

use anyhow::{Result, ensure};

/// Words before `--package` in the instruction that builds a program.
const BUILD: &str = "cargo build --locked --release --package ";

/// A Dockerfile's instructions, each on one line.
#[derive(Debug)]
pub(super) struct Dockerfile {
    instructions: Vec<String>,
}

impl Dockerfile {
    pub(super) fn parse(text: &str) -> Self {
        let mut instructions: Vec<String> = Vec::new();
        let mut goes_on = false;
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (words, more) = match line.strip_suffix('\\') {
                Some(words) => (words, true),
                None => (line, false),
            };
            match instructions.last_mut().filter(|_| goes_on) {
                Some(last) => {
                    last.push(' ');
                    last.push_str(words.trim());
                }
                None => instructions.push(words.trim().to_owned()),
            }
            goes_on = more;
        }
        Self { instructions }
    }

    /// The packages of this workspace that it builds.
    pub(super) fn packages(&self) -> impl Iterator<Item = String> {
        let built = self.instructions.iter().filter_map(|line| line.split_once(BUILD));
        built.filter_map(|(_, rest)| rest.split_whitespace().next().map(str::to_owned))
    }

    /// Whether everything is there that it copies, and its last stage says what to start.
    ///
    /// # Errors
    ///
    /// Something is missing; the error names it.
    pub(super) fn check(&self, context: &Path) -> Result<()> {
        let mut stages: Vec<&str> = Vec::new();
        let mut starts = false;
        for line in &self.instructions {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["FROM", _, "AS", stage] => {
                    stages.push(stage);
                    starts = false;
                }
                ["FROM", ..] => starts = false,
                ["ENTRYPOINT" | "CMD", ..] => starts = true,
                ["COPY", ref words @ ..] => check_copy(line, words, &stages, context)?,
                ["ADD", ..] => ensure!(false, "`{line}`: write COPY, whose sources are checked"),
                _ => {}
            }
        }
        ensure!(starts, "the last stage starts nothing");
        Ok(())
    }
}

fn check_copy(line: &str, words: &[&str], stages: &[&str], context: &Path) -> Result<()> {
    let from = words.iter().find_map(|word| word.strip_prefix("--from="));
    if let Some(from) = from {
        ensure!(
            stages.contains(&from),
            "`{line}`: there is no stage {from} before it"
        );
        return Ok(());
    }
    let sources: Vec<_> = words.iter().filter(|word| !word.starts_with("--")).collect();
    ensure!(sources.len() > 1, "`{line}` names no source");
    for source in &sources[..sources.len() - 1] {
        ensure!(
            context.join(source).exists(),
            "`{line}`: {source} does not go to the build; look at .dockerignore"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        let context = tempfile::tempdir().unwrap();
        std::fs::write(context.path().join("there"), "").unwrap();
        let checked = Dockerfile::parse(text).check(context.path());
        checked.map_or_else(|error| error.to_string(), |()| "none".to_owned())
    }

    #[test]
    fn a_file_that_copies_what_is_there_has_no_problem() {
        let text = "FROM a AS one\nCOPY . .\nFROM b\nCOPY there /x\nCOPY --from=one \\\n  # why\n  /a /b\nENTRYPOINT [\"x\"]\n";
        assert_eq!(problem(text), "none");
    }

    #[test]
    fn what_is_missing_is_named() {
        let found = problem("FROM a\nCOPY gone /x\nCMD [\"x\"]\n");
        assert!(found.contains("gone does not go to the build"), "{found}");
        let found = problem("FROM a\nCOPY --from=two /a /b\nCMD [\"x\"]\n");
        assert!(found.contains("no stage two"), "{found}");
        let found = problem("FROM a AS one\nCMD [\"x\"]\nFROM b\n");
        assert!(found.contains("starts nothing"), "{found}");
    }

    #[test]
    fn the_packages_are_those_of_the_builds() {
        let file = Dockerfile::parse(
            "FROM a\nRUN --mount=x \\\n  cargo build --locked --release --package one \\\n  && y\n",
        );
        assert_eq!(file.packages().collect::<Vec<_>>(), ["one"]);
    }
}
