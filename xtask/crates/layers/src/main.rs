//! Proves that the modules of each crate import only from below, in the order that `xtask/layers.toml` declares.
//!
//! The compiler allows circles among the modules of a crate; a reader loses the way in them. `cargo xtask ci` runs
//! this program, and a test of this crate makes the same check.

mod condition;
mod findings;
mod imports;
mod program;
mod resolve;
mod source;
mod table;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    program::run(&program::Options::parse())
}
