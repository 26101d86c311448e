//! Which files `.dockerignore` lets into a build. Its rules are not those of `.gitignore`: a pattern begins at the root,
//! it holds for everything below a folder that it names, and of all that match the last one decides.

use anyhow::{Result, bail};

/// The rules of a `.dockerignore`.
#[derive(Debug)]
pub(super) struct IgnoreRules {
    /// The pattern's segments, and whether it takes files in again.
    rules: Vec<(Vec<String>, bool)>,
}

impl IgnoreRules {
    /// Reads the rules, with `*` within a name and `**` for any folders.
    ///
    /// # Errors
    ///
    /// A rule has a form that this reader does not know.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut rules = Vec::new();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (pattern, takes_in) = match line.strip_prefix('!') {
                Some(pattern) => (pattern, true),
                None => (line, false),
            };
            if pattern.contains(['?', '[', '\\']) {
                bail!("the rule `{line}` of .dockerignore has a form that is not understood here");
            }
            let segments = pattern.trim_matches('/').split('/').map(str::to_owned);
            rules.push((segments.collect(), takes_in));
        }
        Ok(Self { rules })
    }

    /// Whether the file goes to the build.
    pub(super) fn keeps(&self, file: &str) -> bool {
        let path: Vec<&str> = file.split('/').collect();
        let deciding = self
            .rules
            .iter()
            .rfind(|(pattern, _)| (1..=path.len()).any(|end| matches(pattern, &path[..end])));
        deciding.is_none_or(|(_, takes_in)| *takes_in)
    }
}

/// Whether the pattern is the whole path.
fn matches(pattern: &[String], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        ([any, rest @ ..], _) if any == "**" => {
            (0..=path.len()).any(|skipped| matches(rest, &path[skipped..]))
        }
        ([one, pattern @ ..], [name, path @ ..]) => is_named(one, name) && matches(pattern, path),
        _ => false,
    }
}

/// Whether a name fits a pattern with `*`.
fn is_named(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|end| rest.is_char_boundary(end) && is_named(after, &rest[end..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rule_that_names_a_file_or_a_folder_above_it_decides() {
        let rules = IgnoreRules::parse("# all\n*\n!src\n!docs/errors.md\n**/target\nsrc/*.tmp\n").unwrap();
        for kept in ["src/main.rs", "src/deep/er.rs", "docs/errors.md"] {
            assert!(rules.keeps(kept), "{kept}");
        }
        for left_out in [
            "README.md",
            "docs/other.md",
            "target/debug/program",
            "src/target/program",
            "src/half.tmp",
        ] {
            assert!(!rules.keeps(left_out), "{left_out}");
        }
    }

    #[test]
    fn without_a_rule_everything_goes() {
        assert!(IgnoreRules::parse("\n").unwrap().keeps("a/b"));
    }

    #[test]
    fn a_form_that_is_not_understood_is_an_error() {
        assert!(IgnoreRules::parse("file?").is_err());
    }
}
