//! The real program between a platform and a WebUI, over real sockets.

#![expect(clippy::unwrap_used, reason = "all of this is test code, the helpers too")]

mod answers;
mod attacks;
mod batches;
mod board;
mod cache;
mod cancel;
mod checks;
mod command_line;
mod connections;
mod doctor;
mod elsewhere;
mod errors;
mod false_alarms;
mod faults;
mod flow;
mod healing;
mod integrity;
mod lost;
mod monitor;
mod operations;
mod output;
mod owned_forge;
mod pictures;
mod probes;
mod ready;
mod requests_page;
mod sd_next;
mod servers;
mod shutdown;
mod side_requests;
mod start;
mod stream;
mod support;
