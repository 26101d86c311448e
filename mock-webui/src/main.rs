//! The mock as a program: serves until it is told to stop.

use std::process::ExitCode;

fn main() -> ExitCode {
    mock_webui::program::main()
}
