//! All that is written to the terminal goes through here.

use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal as _, Write as _};

use console::Style;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Standard output and standard error, and what they can show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    terminal: bool,
    colours: bool,
    error_colours: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let terminal = io::stdout().is_terminal() && !is_dumb();
        Self {
            terminal,
            colours: terminal && wants_colours(),
            error_colours: io::stderr().is_terminal() && !is_dumb() && wants_colours(),
        }
    }

    /// A screen that shows nothing but text.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self {
            terminal: false,
            colours: false,
            error_colours: false,
        }
    }

    /// Whether a program that writes to the same place should use colours.
    pub(crate) fn colours(self) -> bool {
        self.colours
    }

    #[expect(
        clippy::unused_self,
        reason = "a line goes to a screen, like everything else here"
    )]
    pub(crate) fn line(self, text: impl Display) {
        // A closed pipe is the reader's choice; the work goes on without them.
        let _ = writeln!(io::stdout(), "{text}");
    }

    pub(crate) fn heading(self, text: impl Display) {
        self.line(self.bold(text));
    }

    /// One finished stage: what it was about, and how it went.
    pub(crate) fn stage(self, name: &str, outcome: impl Display) {
        self.line(format_args!(
            "  {} {outcome}",
            self.dim(format_args!("{name:<11}"))
        ));
    }

    pub(crate) fn complain(self, error: &anyhow::Error) {
        let style = Style::new().red().bold().force_styling(self.error_colours);
        let mut text = format!("{} {error}\n", style.apply_to("error:"));
        for cause in error.chain().skip(1) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  because: {cause}");
        }
        let _ = io::stderr().write_all(text.as_bytes());
    }

    pub(crate) fn bold(self, text: impl Display) -> String {
        self.styled(Style::new().bold(), text)
    }

    pub(crate) fn dim(self, text: impl Display) -> String {
        self.styled(Style::new().dim(), text)
    }

    pub(crate) fn good(self, text: impl Display) -> String {
        self.styled(Style::new().green(), text)
    }

    pub(crate) fn odd(self, text: impl Display) -> String {
        self.styled(Style::new().yellow(), text)
    }

    fn styled(self, style: Style, text: impl Display) -> String {
        style
            .force_styling(self.colours)
            .apply_to(text.to_string())
            .to_string()
    }

    /// A progress bar from 0 to 1: drawn on a terminal, lines at every tenth elsewhere.
    pub(crate) fn progress(self, label: String) -> Progress {
        let bar = self.terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stdout());
            let template = "  {prefix:<11} [{bar:32}] {percent:>3} %  {msg}";
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("=> "));
            bar.set_prefix(label.clone());
            bar
        });
        Progress {
            screen: self,
            label,
            bar,
            tenths: None,
        }
    }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// See <https://no-color.org>.
fn wants_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A bar that moves, or lines where nothing can move.
#[derive(Debug)]
pub(crate) struct Progress {
    screen: Screen,
    label: String,
    bar: Option<ProgressBar>,
    tenths: Option<u32>,
}

impl Progress {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 1000 after the clamp"
    )]
    pub(crate) fn show(&mut self, fraction: f64, message: &str) {
        let thousandths = (fraction.clamp(0.0, 1.0) * 1000.0) as u32;
        if let Some(bar) = &self.bar {
            if bar.position() != u64::from(thousandths) || bar.message() != message {
                bar.set_message(message.to_owned());
                bar.set_position(u64::from(thousandths));
            }
            return;
        }
        let tenths = thousandths / 100;
        if self.tenths.is_none_or(|shown| tenths > shown) {
            self.tenths = Some(tenths);
            self.screen
                .stage(&self.label, format_args!("{:>3} %  {message}", thousandths / 10));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
