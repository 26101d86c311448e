//! All that is written to the terminal goes through here.

use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal as _, Write as _};

use console::Style;

/// Standard output and standard error, and what they can show.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    terminal: bool,
    colours: bool,
    error_colours: bool,
}

impl Screen {
    /// What standard output and standard error can show.
    pub fn of_this_process() -> Self {
        let terminal = io::stdout().is_terminal() && !is_dumb();
        Self {
            terminal,
            colours: terminal && wants_colours(),
            error_colours: io::stderr().is_terminal() && !is_dumb() && wants_colours(),
        }
    }

    /// A screen that shows nothing but text.
    pub fn plain() -> Self {
        Self {
            terminal: false,
            colours: false,
            error_colours: false,
        }
    }

    /// Whether a program that writes to the same place should use colours.
    pub fn colours(self) -> bool {
        self.colours
    }

    /// Whether text that was written can be written over.
    pub fn terminal(self) -> bool {
        self.terminal
    }

    /// Writes a line to standard output.
    pub fn line(self, text: impl Display) {
        // A closed pipe is the reader's choice; the work goes on without them.
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// Writes a line in bold.
    pub fn heading(self, text: impl Display) {
        self.line(self.bold(text));
    }

    /// One finished stage: what it was about, and how it went.
    pub fn stage(self, name: &str, outcome: impl Display) {
        self.line(format_args!(
            "  {} {outcome}",
            self.dim(format_args!("{name:<11}"))
        ));
    }

    /// Writes an error and its causes to standard error.
    pub fn complain(self, error: &anyhow::Error) {
        let style = Style::new().red().bold().force_styling(self.error_colours);
        let mut text = format!("{} {error}\n", style.apply_to("error:"));
        for cause in error.chain().skip(1) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  because: {cause}");
        }
        let _ = io::stderr().write_all(text.as_bytes());
    }

    /// Text in bold.
    pub fn bold(self, text: impl Display) -> String {
        self.styled(Style::new().bold(), text)
    }

    /// Text that stands back.
    pub fn dim(self, text: impl Display) -> String {
        self.styled(Style::new().dim(), text)
    }

    /// Text in the colour of success.
    pub fn good(self, text: impl Display) -> String {
        self.styled(Style::new().green(), text)
    }

    /// Text in the colour of a warning.
    pub fn odd(self, text: impl Display) -> String {
        self.styled(Style::new().yellow(), text)
    }

    fn styled(self, style: Style, text: impl Display) -> String {
        style
            .force_styling(self.colours)
            .apply_to(text.to_string())
            .to_string()
    }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// See <https://no-color.org>.
fn wants_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
