//! A bar that shows how far something is.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::screen::Screen;

/// A bar that moves, or lines where nothing can move.
#[derive(Debug)]
pub struct Progress {
    screen: Screen,
    label: String,
    bar: Option<ProgressBar>,
    tenths: Option<u32>,
}

impl Progress {
    /// A progress bar from 0 to 1: drawn on a terminal, lines at every tenth elsewhere.
    pub fn new(screen: Screen, label: String) -> Self {
        let bar = screen.terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stdout());
            let template = "  {prefix:<11} [{bar:32}] {percent:>3} %  {msg}";
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("=> "));
            bar.set_prefix(label.clone());
            bar
        });
        Self {
            screen,
            label,
            bar,
            tenths: None,
        }
    }

    /// Shows how far it is, from 0 to 1, and a word on it.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 1000 after the clamp"
    )]
    pub fn show(&mut self, fraction: f64, message: &str) {
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
