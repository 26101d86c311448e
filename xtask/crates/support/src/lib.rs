//! What the project's own commands share: the screen, cargo, child processes, signals.

pub mod cargo;
pub mod hello;
#[cfg(feature = "process")]
pub mod process;
#[cfg(feature = "progress")]
pub mod progress;
pub mod screen;
pub mod signals;
pub mod tree;

use std::process::ExitCode;

use screen::Screen;
use signals::Interrupted;

/// Shows why a command failed and returns its exit code; a signal has the code that shells expect.
pub fn exit_code(done: anyhow::Result<()>, screen: Screen) -> ExitCode {
    let Err(error) = done else {
        return ExitCode::SUCCESS;
    };
    screen.complain(&error);
    error
        .downcast_ref::<Interrupted>()
        .map_or(ExitCode::FAILURE, |interrupted| {
            ExitCode::from(interrupted.exit_code())
        })
}
