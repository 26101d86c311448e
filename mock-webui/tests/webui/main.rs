//! The mock over HTTP, as its users see it.

mod batch_jobs;
mod faults;
mod fidelity;
#[cfg(target_os = "linux")]
mod figures;
mod plot;
mod preflight;
mod queue;
mod replay;
mod server_faults;
mod settings;
mod startup;
mod support;
mod txt2img;
mod upstream;
mod versions;
