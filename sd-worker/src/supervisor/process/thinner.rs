//! A limit on the lines of the WebUI's log in each second. It is pure: the caller brings the time.

use std::time::{Duration, Instant};

/// The most lines that are passed on in a second. A start with a traceback writes a few hundred.
const LINES: u64 = 800;
const SECOND: Duration = Duration::from_secs(1);

/// Counts the lines of the current second.
#[derive(Debug, Default)]
pub(super) struct Thinner {
    second: Option<Instant>,
    lines: u64,
    left_out: u64,
}

/// What happens to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thinned {
    /// The line is passed on.
    pub(super) is_shown: bool,
    /// The number of lines that were left out before it, if a second with such lines is over.
    pub(super) left_out: u64,
}

impl Thinner {
    /// Counts a line.
    pub(super) fn line(&mut self, now: Instant) -> Thinned {
        let mut left_out = 0;
        if self
            .second
            .is_none_or(|begun| now.duration_since(begun) >= SECOND)
        {
            left_out = self.left_out;
            *self = Self {
                second: Some(now),
                ..Self::default()
            };
        }
        self.lines += 1;
        let is_shown = self.lines <= LINES;
        self.left_out += u64::from(!is_shown);
        Thinned { is_shown, left_out }
    }

    /// The number of lines that were left out in the last second.
    pub(super) fn end(self) -> u64 {
        self.left_out
    }
}

/// `4,200 lines left out`.
pub(super) fn notice(left_out: u64) -> String {
    if left_out == 1 {
        return "1 line left out".to_owned();
    }
    let digits = left_out.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} lines left out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_thousand_lines_in_a_second_are_eight_hundred_and_a_number() {
        let mut thinner = Thinner::default();
        let now = Instant::now();
        let shown = (0..5000).filter(|_| thinner.line(now).is_shown).count();
        assert_eq!(shown, 800);
        let next = thinner.line(now + SECOND);
        assert!(next.is_shown);
        assert_eq!(notice(next.left_out), "4,200 lines left out");
        assert_eq!(thinner.end(), 0, "the new second has left out nothing");
    }

    #[test]
    fn what_the_last_second_left_out_is_known_at_the_end() {
        let mut thinner = Thinner::default();
        let now = Instant::now();
        for _ in 0..801 {
            assert_eq!(thinner.line(now).left_out, 0);
        }
        assert_eq!(notice(thinner.end()), "1 line left out");
        assert_eq!(notice(1_234_567), "1,234,567 lines left out");
    }
}
