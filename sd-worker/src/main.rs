//! The Stable Diffusion worker: options → worker → `start`.

use std::process::ExitCode;

use sd_worker::{Command, Settings};

fn main() -> ExitCode {
    match Settings::from_command_line() {
        Ok(settings) => match &settings.command {
            Some(Command::Doctor(doctor)) => sd_worker::examine(&settings, doctor),
            _ => runpod_sdk::start(sd_worker::worker(settings)),
        },
        Err(told) => told.exit_code(),
    }
}
