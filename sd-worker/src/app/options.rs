//! What each part gets of the settings.

use std::time::Duration;

use runpod_sdk::Concurrency;

use crate::batch::{Arrivals, BatchOptions};
use crate::monitor::Monitor;
use crate::render::RenderOptions;
use crate::settings::Settings;
use crate::supervisor::{RestartLimits, SupervisorOptions};
use crate::webui::{ClientOptions, ReadinessOptions};

pub(crate) fn client_options(settings: &Settings) -> ClientOptions {
    ClientOptions {
        url: settings.webui_url.clone(),
        credentials: settings.webui_auth.clone(),
        pool_idle: settings.tuning.pool_idle,
        answer_idle: settings.tuning.answer_idle,
        brief_render: settings.tuning.brief_render,
    }
}

/// How jobs are batched; `None` if that is off.
pub(crate) fn batch_options(settings: &Settings, monitor: &Monitor) -> Option<BatchOptions> {
    let limit = usize::try_from(settings.batch.batch_limit).unwrap_or(usize::MAX);
    (limit > 1).then(|| BatchOptions {
        limit,
        window: settings.batch.batch_window,
        arrivals: Arrivals::default(),
        concurrency: Concurrency::new(limit),
        figures: monitor.batches(),
    })
}

pub(super) fn readiness_options(settings: &Settings) -> ReadinessOptions {
    ReadinessOptions {
        deadline: settings.ready_timeout,
        probe_interval: settings.tuning.probe_interval,
        probe_timeout: settings.tuning.probe_timeout,
        checkpoint: settings.backend.checkpoint.clone(),
        warm_up: settings.backend.warm_up.clone(),
        other_sign_after: settings.tuning.other_sign_after,
    }
}

pub(super) fn supervisor_options(settings: &Settings) -> SupervisorOptions {
    let (backend, tuning) = (&settings.backend, &settings.tuning);
    SupervisorOptions {
        restart_by_api: backend.webui_restart_by_api,
        patience: backend.webui_patience,
        restarts: RestartLimits {
            most: tuning.restarts,
            window: tuning.restart_window,
        },
        interrupt_patience: tuning.interrupt_patience,
        memory_ceiling: backend.memory_ceiling,
    }
}

pub(super) fn render_options(settings: &Settings) -> RenderOptions {
    let tuning = &settings.tuning;
    RenderOptions {
        attempt_timeout: or_no_limit(settings.attempt_timeout),
        retries: settings.retries,
        retry_wait: tuning.retry_wait,
        stall_after: settings.backend.stall_after,
        interrupt_patience: tuning.interrupt_patience,
        progress: settings.progress,
        preview_limit: tuning.preview_limit,
    }
}

/// A limit; zero stands for none. A century is none, and can be added to a time without an overflow.
fn or_no_limit(limit: Duration) -> Duration {
    const CENTURY: Duration = Duration::from_hours(100 * 365 * 24);
    if limit.is_zero() { CENTURY } else { limit }
}
