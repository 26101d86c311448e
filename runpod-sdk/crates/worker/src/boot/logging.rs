//! Sets up the log and the export of traces.

use tracing::{info, warn};

use super::flags::Flags;
use crate::redact;
use crate::telemetry;

/// Ends the export of traces when it is dropped, after the last spans are sent.
pub(super) struct TracesGuard {
    #[cfg(feature = "otlp")]
    _traces: Option<telemetry::otlp::Traces>,
}

/// Installs the subscriber, masks the secrets of the environment, and starts the export of traces if the environment
/// asks for it. The error is that of the flag for the log level.
pub(super) fn set_up(
    flags: &Flags,
    lookup: impl Fn(&str) -> Option<String> + Copy,
) -> Result<TracesGuard, String> {
    let level = flags.log_level.as_deref();
    #[cfg(feature = "otlp")]
    let traces = telemetry::otlp::Traces::start(lookup);
    #[cfg(feature = "otlp")]
    let installed = telemetry::install(level, lookup, traces.as_ref().ok().and_then(Option::as_ref));
    #[cfg(not(feature = "otlp"))]
    let installed = telemetry::install(level, lookup);
    if let Some(warning) = installed? {
        warn!("{warning}");
    }
    if let Some(level) = level {
        info!("Log level set to {}", level.to_ascii_uppercase());
    }
    redact::hide_environment(lookup);
    #[cfg(feature = "otlp")]
    let traces = traces.unwrap_or_else(|problem| {
        warn!("{problem}");
        None
    });
    #[cfg(feature = "otlp")]
    if let Some(traces) = &traces {
        info!("traces go to {}", traces.host());
    }
    Ok(TracesGuard {
        #[cfg(feature = "otlp")]
        _traces: traces,
    })
}
