//! A compiler's message without what differs between machines, and without the lines of other files.

use std::path::Path;

/// The message on one fault in the form of the snapshots.
///
/// Paths begin at `$WORKSPACE`, `$CARGO` or `$RUST`. Line numbers in files other than the case are left out, since an
/// edit there changes them.
pub(crate) fn normal(message: &str, workspace: &Path, package: &str) -> String {
    let mut lines = Vec::new();
    let mut elsewhere = false;
    for line in message.trim_end().lines() {
        if is_about_a_file(line) {
            continue;
        }
        let line = without_counts(line.trim_end(), package);
        match Line::parse(&line) {
            Line::Text => {
                elsewhere = false;
                lines.push(line.clone());
            }
            Line::Place(before, path) => {
                let place = place(path, workspace, package);
                elsewhere = place.starts_with('$');
                lines.push(format!("{before}{place}"));
            }
            Line::Numbered(number) if elsewhere => {
                let blank = " ".repeat(number.len());
                lines.push(line.replacen(number, &blank, 1));
            }
            Line::Numbered(_) | Line::Gutter => lines.push(line.clone()),
        }
    }
    narrow(&mut lines);
    let lines: Vec<_> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n") + "\n"
}

/// Notes on a file into which the compiler has written a long type.
fn is_about_a_file(line: &str) -> bool {
    line.contains("the full name for the type has been written to")
        || line.contains("the full type name has been written to")
        || line.contains("consider using `--verbose` to print the full type name")
}

/// A line with the folder of the cases as `$DIR`, and without how many further types there are.
fn without_counts(line: &str, package: &str) -> String {
    let line = line.replace(&format!("@{package}/"), "@$DIR/");
    match line
        .trim_start()
        .strip_prefix("and ")
        .and_then(|rest| rest.strip_suffix(" others"))
    {
        Some(count) if count.bytes().all(|digit| digit.is_ascii_digit()) => {
            line.replace(&format!("and {count} others"), "and $N others")
        }
        _ => line,
    }
}

/// A line of a message by what is in its margin.
enum Line<'a> {
    /// A heading, without a margin.
    Text,
    /// An arrow, with what stands before the path.
    Place(&'a str, &'a str),
    /// A line of code by its number.
    Numbered(&'a str),
    /// Any other line with a margin.
    Gutter,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Self {
        for arrow in ["--> ", "::: "] {
            if line.trim_start().starts_with(arrow) {
                let (before, path) = line.split_at(line.find(arrow).unwrap_or_default() + arrow.len());
                return Self::Place(before, path);
            }
        }
        let text = line.trim_start();
        let number = &text[..text.bytes().take_while(u8::is_ascii_digit).count()];
        if !number.is_empty() {
            Self::Numbered(number)
        } else if line.starts_with(' ') || line == "..." {
            Self::Gutter
        } else {
            Self::Text
        }
    }
}

/// A path with its line and column, or without them where it leads out of the case.
fn place(path: &str, workspace: &Path, package: &str) -> String {
    let after = |text: &str, folder: &str| text.split_once(folder).map(|(_, after)| after.to_owned());
    if let Some(case) = path
        .strip_prefix(package)
        .and_then(|path| path.strip_prefix("/tests/ui/"))
    {
        return format!("tests/ui/{case}");
    }
    let file = path.rsplitn(3, ':').last().unwrap_or(path);
    if let Some(file) = file.strip_prefix("/rustc/") {
        return format!(
            "$RUST/{}",
            after(file, "/library/").unwrap_or_else(|| file.to_owned())
        );
    }
    if let Some(file) = after(file, "/registry/src/").and_then(|file| after(&file, "/")) {
        return format!("$CARGO/{}", without_version(&file));
    }
    let file = Path::new(file);
    format!(
        "$WORKSPACE/{}",
        file.strip_prefix(workspace).unwrap_or(file).display()
    )
}

/// The path in a package of the registry, with `$VERSION` instead of the package's version.
fn without_version(file: &str) -> String {
    let (package, inside) = file.split_once('/').unwrap_or((file, ""));
    let version = package
        .match_indices('-')
        .find(|(at, _)| package[at + 1..].starts_with(|first: char| first.is_ascii_digit()));
    let name = version.map_or(package, |(at, _)| &package[..at]);
    format!("{name}-$VERSION/{inside}")
}

/// Takes out of the margin what only the numbers that were left out needed.
fn narrow(lines: &mut [String]) {
    let margin = |line: &String| match Line::parse(line) {
        Line::Place(before, _) => Some(before.len() - "--> ".len()),
        _ => None,
    };
    let widest = lines.iter().filter_map(|line| match Line::parse(line) {
        Line::Numbered(number) => Some(number.len()),
        _ => None,
    });
    let needed = widest.max().unwrap_or(1);
    let surplus = lines
        .iter()
        .filter_map(margin)
        .max()
        .unwrap_or(needed)
        .saturating_sub(needed);
    for line in lines {
        if line.starts_with(&" ".repeat(surplus)) {
            line.drain(..surplus);
        }
    }
}
