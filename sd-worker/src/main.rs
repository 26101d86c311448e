//! The Stable Diffusion worker.

fn main() {}
