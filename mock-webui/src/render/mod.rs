//! Generation: from checked fields to pictures, infotexts and `info`.
//!
//! The files import in one direction. From the ground up: what requests hold (`input_picture`, `infotext_reader`,
//! `prompt`, `numbers`, `batch_jobs`, `paste`, `axis`, `plot`, `script_table`, `scripts`, `hires`, `entries`, `from_settings`, `sd_next`), the `plan` of a
//! generation, what describes it (`info`, `sd_next_info`, `infotext_writer`), its results (`rendered`, `disk`, `plot_grid`), and the
//! work itself (`generation`, `sampling`, `reply`, `plot_run`, `run`).

mod axis;
mod batch_jobs;
mod disk;
mod entries;
mod from_settings;
mod generation;
mod grid;
mod hires;
mod info;
pub(crate) mod infotext_reader;
mod infotext_writer;
pub(crate) mod input_picture;
mod numbers;
mod paste;
mod plan;
mod plot;
mod plot_grid;
mod plot_run;
mod prompt;
mod rendered;
mod reply;
mod run;
mod sampling;
mod script_table;
pub(crate) mod scripts;
mod sd_next;
mod sd_next_info;

pub(crate) use generation::Generation;
pub(crate) use grid::of as grid;
pub(crate) use run::run;
