//! The command `runpod-local`.

use std::process::ExitCode;

fn main() -> ExitCode {
    runpod_local_cli::main()
}
