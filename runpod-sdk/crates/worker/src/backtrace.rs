//! Backtraces in errors and in the log.

use std::backtrace::{Backtrace, BacktraceStatus};

/// The name that a stripped program shows for a frame.
const NAMELESS: &str = "<unknown>";

/// The stack of this call, if `RUST_BACKTRACE` or `RUST_LIB_BACKTRACE` asks for one. Frames without a name are left out,
/// and with them the whole where none has one.
pub(crate) fn capture() -> Option<String> {
    let backtrace = Backtrace::capture();
    if backtrace.status() != BacktraceStatus::Captured {
        return None;
    }
    let frames = named_frames(&backtrace.to_string());
    (!frames.is_empty()).then_some(frames)
}

/// The frames that have a name. A frame is a line with its number and name, and perhaps a line with its place.
fn named_frames(text: &str) -> String {
    let mut is_named = true;
    let lines = text.lines().filter(|line| {
        if let Some((number, name)) = line.trim_start().split_once(": ")
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            is_named = name.trim() != NAMELESS;
        }
        is_named
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::named_frames;

    #[test]
    fn frames_without_a_name_are_left_out_with_their_places() {
        let text = "   0: <unknown>\n   1: paint::mix\n             at ./src/mix.rs:7:9\n   2: <unknown>\n             \
                    at ./src/a: b.rs:1:1\n  10: main\n";
        assert_eq!(
            named_frames(text),
            "   1: paint::mix\n             at ./src/mix.rs:7:9\n  10: main"
        );
        assert_eq!(named_frames("   0: <unknown>\n   1: <unknown>\n"), "");
    }
}
