//! Finds the exception in what the WebUI wrote to its log. It is pure.
//!
//! Forge up to 28 October 2024 answers an unexpected exception with a plain "Internal Server Error", and the reason
//! stands in its log alone (`docs/protocol/webui-api.md` §12).

/// The exception at the end of a traceback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoggedException {
    /// Its class without the module.
    pub(crate) class: String,
    pub(crate) text: String,
}

/// The endings of the names of exceptions.
const ENDINGS: [&str; 2] = ["Error", "Exception"];

/// The last exception of which a traceback ends among the lines, oldest first. Python writes the one that was raised last
/// at the end.
pub(super) fn last_exception(lines: &[String]) -> Option<LoggedException> {
    let begins = lines
        .iter()
        .position(|line| line.trim_start().starts_with("Traceback (most recent call last)"))?;
    lines[begins..].iter().rev().find_map(|line| exception(line))
}

/// `torch.cuda.OutOfMemoryError: CUDA out of memory. …`, which may be indented as the whole traceback is.
fn exception(line: &str) -> Option<LoggedException> {
    let (name, text) = line.split_once(':').unwrap_or((line, ""));
    let name = name.trim();
    let is_name = |name: &str| {
        name.split('.').all(|part| {
            part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && part
                    .chars()
                    .all(|character| character.is_ascii_alphanumeric() || character == '_')
        })
    };
    if !is_name(name) || !ENDINGS.iter().any(|ending| name.ends_with(ending)) {
        return None;
    }
    let class = name.rsplit('.').next().unwrap_or(name);
    Some(LoggedException {
        class: class.to_owned(),
        text: text.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(log: &str) -> Option<String> {
        let lines: Vec<String> = log.lines().map(str::to_owned).collect();
        last_exception(&lines).map(|exception| format!("{}|{}", exception.class, exception.text))
    }

    #[test]
    fn the_last_line_of_a_traceback_has_class_and_text() {
        let log = "ERROR:    Exception in ASGI application\nTraceback (most recent call last):\n  \
                   File \"/forge/modules/api/api.py\", line 1, in text2imgapi\n    raise RuntimeError(\"x\")\n\
                   torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\nTotal progress: 0it";
        assert_eq!(
            found(log).as_deref(),
            Some("OutOfMemoryError|CUDA out of memory. Tried to allocate 2.00 GiB")
        );
        assert_eq!(
            found("    Traceback (most recent call last):\n    AssertionError\n---").as_deref(),
            Some("AssertionError|")
        );
    }

    #[test]
    fn of_exceptions_that_follow_each_other_the_last_one_counts() {
        let log = "Traceback (most recent call last):\nKeyError: 'x'\n\nDuring handling of the above exception, another \
                   exception occurred:\n\nTraceback (most recent call last):\nRuntimeError: CUDA error: device-side assert \
                   triggered";
        assert_eq!(
            found(log).as_deref(),
            Some("RuntimeError|CUDA error: device-side assert triggered")
        );
    }

    #[test]
    fn other_lines_are_no_exceptions() {
        for log in [
            "",
            "RuntimeError: without a traceback",
            "Traceback (most recent call last):\n  File \"x\", line 1\n    raise ValueError",
            "Traceback (most recent call last):\nsee the Error: above\n12Error: x",
        ] {
            assert_eq!(found(log), None, "{log}");
        }
    }
}
