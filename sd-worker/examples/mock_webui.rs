//! The mock WebUI as a program, for tests in which the worker starts its WebUI itself.

use std::process::ExitCode;

fn main() -> ExitCode {
    mock_webui::program::main()
}
