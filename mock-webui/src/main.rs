//! The mock as a program: serves until a signal.

use std::process::ExitCode;

fn main() -> ExitCode {
    mock_webui::program::main()
}
