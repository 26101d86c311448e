//! Exports traces by OTLP over HTTP: a span for each job, and the spans of the handler's own code below it.
//!
//! On where `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set; the other
//! standard variables of OpenTelemetry (headers, timeout, sampler, service name, resource attributes) hold,
//! too. Spans are sent by a thread of the exporter's own. If the collector cannot be reached they are
//! lost, with one line in the log; jobs are not affected.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use runpod_protocol::variable;
use tracing::{Level, Span, Subscriber, info, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::job::Job;

/// The time for the last spans at the worker's end.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);
/// A `traceparent` is 55 characters; longer ones of later versions are allowed for.
const LONGEST_PARENT: usize = 256;

/// The exporter of spans to their collector. Dropping it sends the remaining spans, for at most 5 s. It must not be
/// dropped on a thread of an async runtime.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    endpoint: String,
}

impl Traces {
    /// Starts the exporter if the environment asks for it. An error is a line for the log.
    pub(crate) fn start(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let get = |name: &str| variable::unless_blank(lookup(name));
        let is = |name: &str, value: &str| get(name).is_some_and(|text| text.eq_ignore_ascii_case(value));
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        let Some(endpoint) = get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| {
            let base = get("OTEL_EXPORTER_OTLP_ENDPOINT")?;
            Some(format!("{}/v1/traces", base.trim_end_matches('/')))
        }) else {
            return Ok(None);
        };
        runpod_protocol::tls::install_provider();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(&endpoint)
            .build()
            .map_err(|error| format!("no traces are sent: {error}"))?;
        let mut resource = Resource::builder();
        if get("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("runpod-worker");
        }
        for (variable, attribute) in [
            ("RUNPOD_POD_ID", "service.instance.id"),
            ("RUNPOD_ENDPOINT_ID", "runpod.endpoint.id"),
        ] {
            if let Some(value) = get(variable) {
                resource = resource.with_attribute(KeyValue::new(attribute, value));
            }
        }
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(Reporting::new(exporter))
            .build();
        Ok(Some(Self { provider, endpoint }))
    }

    /// The part of a subscriber that hands spans to the exporter: those at level INFO and above. Log lines stay
    /// here: what is masked in the log would leave in the open.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("runpod-sdk"))
            .with_location(false)
            .with_threads(false)
            .with_filter(filter_fn(|metadata| {
                metadata.is_span() && *metadata.level() <= Level::INFO
            }))
    }

    /// Where the collector is, without the password that its URL may hold.
    pub(crate) fn host(&self) -> String {
        let host = self.endpoint.parse::<http::Uri>().ok();
        host.and_then(|uri| Some(uri.authority()?.as_str().rsplit('@').next()?.to_owned()))
            .unwrap_or_default()
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_LIMIT) {
            warn!(%error, "the last traces were not sent");
        }
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").finish_non_exhaustive()
    }
}

/// Makes a job's span a part of its caller's trace, if the job says which that is: by a W3C `traceparent`
/// (and `tracestate`) beside the input or, since the platform lets clients choose only the input's keys,
/// in it.
pub(crate) fn follow_caller(span: &Span, job: &Job) {
    // Without a collector there is no trace to join, so the input is not searched for one.
    if span.is_disabled() || span.set_parent(Context::new()).is_err() {
        return;
    }
    if let Some(parent) = caller(job) {
        let _ = span.set_parent(parent);
    }
}

/// Makes the span of a request a part of the trace that its `traceparent` header names.
#[cfg(feature = "http-modes")]
pub(crate) fn follow_headers(span: &Span, headers: &http::HeaderMap) {
    if span.is_disabled() || span.set_parent(Context::new()).is_err() {
        return;
    }
    let header = |name: &str| {
        let text = headers.get(name)?.to_str().ok()?;
        (text.len() <= LONGEST_PARENT).then(|| text.to_owned())
    };
    if let Some(parent) = parent_from(header) {
        let _ = span.set_parent(parent);
    }
}

fn parent_from(get: impl Fn(&str) -> Option<String>) -> Option<Context> {
    let mut carrier = HashMap::from([("traceparent".to_owned(), get("traceparent")?)]);
    if let Some(state) = get("tracestate") {
        carrier.insert("tracestate".to_owned(), state);
    }
    // A text that is no parent gives the context that is current: none.
    Some(TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier))
}

fn caller(job: &Job) -> Option<Context> {
    let key = |name: &str| {
        job.get::<String>(name)
            .ok()
            .flatten()
            .or_else(|| job.text_in_input(name))
            .filter(|text| text.len() <= LONGEST_PARENT)
    };
    parent_from(key)
}

/// An exporter that logs when it fails and when it works again.
#[derive(Debug)]
struct Reporting<E> {
    exporter: E,
    failing: AtomicBool,
}

impl<E> Reporting<E> {
    fn new(exporter: E) -> Self {
        Self {
            exporter,
            failing: AtomicBool::new(false),
        }
    }
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.exporter.export(batch).await;
        let failed = exported.is_err();
        if self.failing.swap(failed, Ordering::Relaxed) != failed {
            match &exported {
                Ok(()) => info!("traces are sent again"),
                Err(error) => warn!(%error, "traces can't be sent and are lost; the worker goes on"),
            }
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests;
