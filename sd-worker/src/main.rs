//! The Stable Diffusion worker: options → worker → `start`.

use std::process::ExitCode;

use sd_worker::Settings;

fn main() -> ExitCode {
    match Settings::from_command_line() {
        Ok(settings) => runpod_sdk::start(sd_worker::worker(settings)),
        Err(told) => told.exit_code(),
    }
}
