//! The mock over HTTP, as its users see it.

mod queue;
mod replay;
mod support;
mod txt2img;
