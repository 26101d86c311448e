//! The worker with times of a test: `TUNING="retry_wait=3ms,restarts=2"` sets fields of `Tuning`.

use std::process::ExitCode;
use std::time::Duration;

use sd_worker::{Settings, Tuning};

fn main() -> ExitCode {
    if let Some(code) = sd_worker::help_if_asked() {
        return code;
    }
    match Settings::from_command_line() {
        Ok(mut settings) => {
            let given = std::env::var("TUNING").unwrap_or_default();
            for pair in given.split(',').filter(|pair| !pair.is_empty()) {
                let (name, value) = pair.split_once('=').expect("TUNING: name=value");
                set(&mut settings.tuning, name, value);
            }
            sd_worker::run(settings)
        }
        Err(exit) => exit.exit_code(),
    }
}

fn set(tuning: &mut Tuning, name: &str, value: &str) {
    let time = || -> Duration { humantime::parse_duration(value).expect("TUNING: a time") };
    let number = || -> usize { value.parse().expect("TUNING: a number") };
    match name {
        "probe_interval" => tuning.probe_interval = time(),
        "other_sign_after" => tuning.other_sign_after = time(),
        "answer_idle" => tuning.answer_idle = time(),
        "retry_wait" => tuning.retry_wait = time(),
        "brief_render" => tuning.brief_render = time(),
        "interrupt_patience" => tuning.interrupt_patience = time(),
        "stop_grace" => tuning.stop_grace = time(),
        "restarts" => tuning.restarts = u32::try_from(number()).expect("TUNING: a small number"),
        "preview_limit" => tuning.preview_limit = number(),
        _ => panic!("TUNING: no field {name}"),
    }
}
