use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;
use tracing_subscriber::layer::SubscriberExt as _;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::testing::Harness;
use crate::{JobError, JobResult, Worker};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn collector(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/traces"))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

fn lookup(endpoint: String) -> impl Fn(&str) -> Option<String> {
    move |name| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
        "RUNPOD_POD_ID" => Some("pod".to_owned()),
        "RUNPOD_ENDPOINT_ID" => Some("endpoint".to_owned()),
        _ => None,
    }
}

/// Runs one job for each input with traces sent to `endpoint`, and ends the exporter.
async fn run(endpoint: String, inputs: Vec<serde_json::Value>) {
    let traces = Traces::start(lookup(endpoint)).unwrap().unwrap();
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    let guard = tracing::subscriber::set_default(subscriber);
    let harness = Harness::new(Worker::new(paint));
    for input in inputs {
        harness.submit(input).finished().await;
    }
    assert!(harness.shut_down().await);
    drop(guard);
    tokio::task::spawn_blocking(move || drop(traces)).await.unwrap();
}

async fn paint(input: serde_json::Value) -> JobResult<u32> {
    let step = tracing::info_span!("paint");
    let _inside = step.enter();
    if input["fail"] == json!(true) {
        return Err(JobError::invalid_input("cannot paint that"));
    }
    Ok(1)
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    }
}

fn map(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes
        .into_iter()
        .map(|entry| (entry.key, text(entry.value)))
        .collect()
}

/// Everything that the collector got: resources and spans.
async fn collected(server: &MockServer) -> (BTreeMap<String, String>, Vec<Span>) {
    let mut resource = BTreeMap::new();
    let mut spans = Vec::new();
    for request in server.received_requests().await.unwrap() {
        assert_eq!(request.headers["content-type"], "application/x-protobuf");
        let export = ExportTraceServiceRequest::decode(request.body.as_slice()).unwrap();
        for of_resource in export.resource_spans {
            resource.extend(map(of_resource.resource.unwrap().attributes));
            spans.extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    (resource, spans)
}

fn jobs(spans: &[Span]) -> Vec<&Span> {
    spans.iter().filter(|span| span.name == "job").collect()
}

#[tokio::test]
async fn a_job_is_a_span_with_its_id_and_how_it_ended() {
    let server = collector(ResponseTemplate::new(200)).await;
    run(server.uri(), vec![json!({}), json!({ "fail": true })]).await;
    let (resource, spans) = collected(&server).await;
    assert_eq!(resource["service.name"], "runpod-worker");
    assert_eq!(resource["service.instance.id"], "pod");
    assert_eq!(resource["runpod.endpoint.id"], "endpoint");

    let [good, bad] = jobs(&spans)[..] else {
        panic!("{spans:?}")
    };
    let attributes = map(good.attributes.clone());
    assert_eq!(attributes["job.id"], "job-1");
    assert_eq!(attributes["job.outcome"], "completed");
    assert!(!attributes.contains_key("error.code"));
    assert!(good.parent_span_id.is_empty());
    let attributes = map(bad.attributes.clone());
    assert_eq!(attributes["job.outcome"], "failed");
    assert_eq!(attributes["error.code"], "INVALID_INPUT");
    // STATUS_CODE_ERROR
    assert_eq!(bad.status.as_ref().unwrap().code, 2);
}

#[tokio::test]
async fn a_span_of_the_handlers_own_lies_below_its_job() {
    let server = collector(ResponseTemplate::new(200)).await;
    run(server.uri(), vec![json!({})]).await;
    let (_, spans) = collected(&server).await;
    assert!(
        spans.iter().all(|span| span.events.is_empty()),
        "log lines stay in the log"
    );
    let own = spans.iter().find(|span| span.name == "paint").unwrap();
    assert_eq!(own.parent_span_id, jobs(&spans)[0].span_id);
}

#[tokio::test]
async fn a_job_joins_the_trace_of_its_caller() {
    let server = collector(ResponseTemplate::new(200)).await;
    let inputs = vec![
        json!({ "traceparent": PARENT }),
        json!({ "traceparent": "nonsense" }),
        json!({ "traceparent": 7 }),
        json!("no object"),
    ];
    run(server.uri(), inputs).await;
    let (_, spans) = collected(&server).await;
    let parents: Vec<bool> = jobs(&spans)
        .iter()
        .map(|span| span.parent_span_id == 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes())
        .collect();
    assert_eq!(parents, [true, false, false, false]);
    assert_eq!(
        jobs(&spans)[0].trace_id,
        0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes()
    );
}

#[tokio::test]
async fn a_collector_that_refuses_disturbs_no_job() {
    for status in [400, 500] {
        let server = collector(ResponseTemplate::new(status)).await;
        run(server.uri(), vec![json!({})]).await;
    }
    // Nothing listens on a port that was free a moment ago.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    run(endpoint, vec![json!({})]).await;
}

#[tokio::test]
async fn a_collector_that_never_answers_is_left_in_time() {
    let server = collector(ResponseTemplate::new(200).set_delay(Duration::from_mins(10))).await;
    // Ends: the flush has a limit.
    run(server.uri(), vec![json!({})]).await;
}

#[test]
fn traces_are_off_unless_asked_for() {
    assert!(Traces::start(|_| None).unwrap().is_none());
    for (off, value) in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
        let lookup = |name: &str| {
            if name == off {
                return Some(value.to_owned());
            }
            (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| "http://127.0.0.1:1".to_owned())
        };
        assert!(Traces::start(lookup).unwrap().is_none(), "{off}");
    }
}

#[test]
fn the_traces_own_endpoint_is_used_as_it_is() {
    let traces = Traces::start(|name| match name {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" => Some("http://127.0.0.1:1/own".to_owned()),
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://127.0.0.1:2".to_owned()),
        _ => None,
    });
    let traces = traces.unwrap().unwrap();
    assert_eq!(traces.endpoint, "http://127.0.0.1:1/own");
    assert_eq!(traces.host(), "127.0.0.1:1");
}

#[test]
fn the_collectors_password_is_not_logged() {
    let endpoint = "http://me:secret@127.0.0.1:1";
    let traces = Traces::start(lookup(endpoint.to_owned())).unwrap().unwrap();
    assert_eq!(traces.host(), "127.0.0.1:1");
}
