//! The Stable Diffusion worker: options → worker → `start`.

use std::process::ExitCode;

use sd_worker::{Command, Settings};

fn main() -> ExitCode {
    if let Some(code) = sd_worker::help_if_asked() {
        return code;
    }
    match Settings::from_command_line() {
        Ok(settings) => match &settings.command {
            Some(Command::Doctor(doctor)) => sd_worker::examine(&settings, doctor),
            Some(Command::Init(init)) => sd_worker::init(init),
            Some(Command::InstallExtension(options)) => sd_worker::install_extension(options),
            _ => sd_worker::run(settings),
        },
        Err(exit) => exit.exit_code(),
    }
}
