//! Generation: from checked fields to pictures, infotexts and `info`.

mod axis;
mod disk;
mod grid;
mod hires;
mod info;
pub(crate) mod infotext;
mod numbers;
mod paste;
mod plan;
mod plot;
mod prompt;
mod run;
pub(crate) mod scripts;
pub(crate) mod source;

pub(crate) use grid::of as grid;
pub(crate) use plan::Source;
pub(crate) use run::{Generation, run};
