//! The mock over HTTP, as its users see it.

mod faults;
mod queue;
mod replay;
mod startup;
mod support;
mod txt2img;
