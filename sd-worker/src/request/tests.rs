//! Which input is which request.

mod no_requests;

use super::*;
use crate::code::Explain as _;

fn read(input: &str) -> Result<Request, RequestError> {
    Request::read(&RawJson::parse(input.to_owned()).unwrap(), &Allowed::default())
}

fn refused(input: &str) -> (String, String) {
    let error = read(input).unwrap_err();
    assert!(error.hint().is_some());
    (error.code().code().to_string(), error.to_string())
}

/// `POST /sdapi/v1/txt2img {"prompt": "x"}`
fn asks(input: &str) -> String {
    let Call {
        method, route, body, ..
    } = read(input).unwrap().call;
    match body {
        Some(body) => format!("{method} {route} {}", body.as_str()),
        None => format!("{method} {route}"),
    }
}

#[test]
fn a_plain_input_is_the_same_bytes() {
    for (input, route) in [
        (
            " {\"prompt\" : \"x\" , \"cfg_scale\": 7.0e0}\n",
            "/sdapi/v1/txt2img",
        ),
        // What the WebUI does not know beside what it knows is the WebUI's to judge.
        (
            r#"{"prompt": "x", "id": 5, "metadata": {"user": "a"}}"#,
            "/sdapi/v1/txt2img",
        ),
        (
            r#"{"prompt": "x", "image": null, "mask": "", "api_name": "txt2img"}"#,
            "/sdapi/v1/txt2img",
        ),
        (r#"{"prompt": "\"init_images\", \"api\""}"#, "/sdapi/v1/txt2img"),
        (
            r#"{"styles": ["s"], "override_settings": {"prompt": 1}}"#,
            "/sdapi/v1/txt2img",
        ),
        (r#"{"steps": null, "seed": 5}"#, "/sdapi/v1/txt2img"),
        (
            r#"{"init_images": ["iVBORw0KGgo="], "prompt": "x"}"#,
            "/sdapi/v1/img2img",
        ),
        (
            r#"{"init_images": ["iVBORw0KGgo="], "mask": "a"}"#,
            "/sdapi/v1/img2img",
        ),
    ] {
        let input = RawJson::parse(input.to_owned()).unwrap();
        let request = Request::read(&input, &Allowed::default()).unwrap();
        assert_eq!(request.call.route, route);
        assert_eq!(request.gpu_use, GpuUse::Render);
        let body = request.call.body.unwrap();
        assert_eq!(
            body.as_bytes().as_ptr(),
            input.as_bytes().as_ptr(),
            "not even copied"
        );
        assert_eq!(body, input);
    }
}

#[test]
fn one_picture_as_a_text_is_a_list_of_one() {
    for (input, expected) in [
        (
            r#"{"prompt": "x", "init_images": "https:\/\/h/a.png" , "steps": 1}"#,
            r#"POST /sdapi/v1/img2img {"prompt": "x", "init_images": ["https:\/\/h/a.png"] , "steps": 1}"#,
        ),
        (
            r#"{"api": {"endpoint": "img2img"}, "payload": {"init_images": "aGk="}}"#,
            r#"POST /sdapi/v1/img2img {"init_images": ["aGk="]}"#,
        ),
    ] {
        assert_eq!(asks(input), expected);
    }
}

#[test]
fn options_beside_plain_fields_hold_and_are_not_sent() {
    for (input, expected) in [
        (
            r#"{"prompt": "x", "worker": {"output": "upload"}, "steps": 1}"#,
            r#"POST /sdapi/v1/txt2img {"prompt": "x", "steps": 1}"#,
        ),
        (
            r#"{"worker": {"output": "upload"}, "init_images": "aGk="}"#,
            r#"POST /sdapi/v1/img2img { "init_images": ["aGk="]}"#,
        ),
    ] {
        assert_eq!(asks(input), expected);
        let options = read(input).unwrap().options;
        assert_eq!(options.output, Some(crate::settings::OutputMode::Upload));
    }
    for (input, place) in [
        (
            r#"{"prompt": "x", "worker": {"speed": 1}}"#,
            "input.worker: unknown field `speed`",
        ),
        (
            r#"{"prompt": "x", "worker": "fast"}"#,
            "input.worker: invalid type",
        ),
        (
            r#"{"prompt": "x", "worker": {}, "worker": {}}"#,
            "input.worker: expected once",
        ),
        (
            r#"{"prompt": "x", "\u0077orker": {}}"#,
            "input.worker: expected once",
        ),
        (
            r#"{"worker": {"checks": "off"}}"#,
            "input: no key is a field of txt2img: worker",
        ),
    ] {
        let (code, message) = refused(input);
        assert_eq!(code, "INVALID_INPUT");
        assert!(message.starts_with(place), "{message}");
    }
}

#[test]
fn the_body_beside_api_has_other_names_too() {
    for key in ["payload", "params", "body"] {
        let input =
            format!(r#"{{"api": {{"endpoint": "txt2img"}}, "{key}": {{"prompt": "x"}}, "worker": {{}}}}"#);
        assert_eq!(asks(&input), r#"POST /sdapi/v1/txt2img {"prompt": "x"}"#);
    }
}

#[test]
fn routes_that_fetch_models_are_those_of_other_workers() {
    for route in [
        "v1/download",
        "/v1/download",
        "/v1/sync",
        "download",
        "/sdapi/v1/download",
    ] {
        let input =
            format!(r#"{{"api": {{"method": "POST", "endpoint": "{route}"}}, "payload": {{"a": 1}}}}"#);
        let error = read(&input).unwrap_err();
        assert_eq!(error.code().code().to_string(), "ROUTE_REFUSED");
        assert!(
            error
                .to_string()
                .ends_with("this worker does not download models"),
            "{error}"
        );
        assert!(!error.hint().unwrap().contains("--allow-route"));
    }
    let allowed = Allowed::new(&["/v1/*".to_owned()], &[]);
    let input = RawJson::parse(r#"{"api": {"endpoint": "/v1/download"}, "payload": {"a": 1}}"#).unwrap();
    assert!(Request::read(&input, &allowed).is_ok());
}

#[test]
fn the_api_form_names_its_route() {
    for (input, expected) in [
        (
            r#"{"api": {"method": "POST", "endpoint": "/sdapi/v1/img2img"}, "payload": {"steps" : 1.0}}"#,
            r#"POST /sdapi/v1/img2img {"steps" : 1.0}"#,
        ),
        (
            r#"{"api": {"method": "get", "endpoint": "sd-models"}, "payload": {}}"#,
            "GET /sdapi/v1/sd-models",
        ),
        (r#"{"api": {"endpoint": "options"}}"#, "GET /sdapi/v1/options"),
        (
            r#"{"api": {"endpoint": "options"}, "payload": {"a": 1}}"#,
            r#"POST /sdapi/v1/options {"a": 1}"#,
        ),
        (
            r#"{"api": {"endpoint": "refresh-loras"}, "payload": null, "worker": {}}"#,
            "POST /sdapi/v1/refresh-loras {}",
        ),
    ] {
        assert_eq!(asks(input), expected);
    }
}

#[test]
fn a_payload_is_not_copied() {
    let input = RawJson::parse(r#"{"api": {"endpoint": "png-info"}, "payload": {"image": "x"}}"#).unwrap();
    let request = Request::read(&input, &Allowed::default()).unwrap();
    let body = request.call.body.unwrap();
    assert!(
        input
            .as_bytes()
            .as_ptr_range()
            .contains(&body.as_bytes().as_ptr())
    );
}

#[test]
fn mistakes_in_the_form_are_named_with_their_place() {
    for (input, code, message) in [
        ("[1]", "INVALID_INPUT", "input: expected an object, found a list"),
        (
            "null",
            "INVALID_INPUT",
            "input: expected an object, found null or missing",
        ),
        (
            "\"x\"",
            "INVALID_INPUT",
            "input: expected an object, found a text",
        ),
        ("-1", "INVALID_INPUT", "input: expected an object, found a number"),
        (
            "true",
            "INVALID_INPUT",
            "input: expected an object, found true or false",
        ),
        (
            r#"{"api": {"method": "POST"}, "payload": {}}"#,
            "INVALID_INPUT",
            "input.api: missing field `endpoint`",
        ),
        (
            r#"{"api": "txt2img", "payload": {}}"#,
            "INVALID_INPUT",
            "input.api: invalid type: string \"txt2img\", expected an object with endpoint and method",
        ),
        (
            r#"{"api": {"endpoint": "txt2img", "method": "PUT"}}"#,
            "INVALID_INPUT",
            "input.api.method: expected GET or POST",
        ),
        (
            r#"{"api": {"endpoint": "http://169.254.169.254/x"}}"#,
            "INVALID_INPUT",
            "input.api.endpoint: expected the path of a route, such as /sdapi/v1/txt2img",
        ),
        (
            r#"{"api": {"endpoint": "samplers", "method": "GET"}, "payload": {"a": 1}}"#,
            "INVALID_INPUT",
            "input.payload: a GET takes none; put it behind a ? in api.endpoint",
        ),
        (
            r#"{"api": {"endpoint": "txt2img", "method": "GET"}}"#,
            "ROUTE_REFUSED",
            "input.api.endpoint: GET /sdapi/v1/txt2img is not passed on: this route takes POST",
        ),
        (
            r#"{"api": {"endpoint": "server-kill", "method": "POST"}}"#,
            "ROUTE_REFUSED",
            "input.api.endpoint: POST /sdapi/v1/server-kill is not passed on: it would stop the WebUI or change it for all jobs",
        ),
        (
            r#"{"api": {"endpoint": "/sdapi/v1/txt2imag"}, "payload": {"a": 1}}"#,
            "ROUTE_REFUSED",
            "input.api.endpoint: POST /sdapi/v1/txt2imag is not passed on: the worker does not know this route",
        ),
    ] {
        assert_eq!(refused(input), (code.to_owned(), message.to_owned()));
    }
}

#[test]
fn a_route_that_is_too_long_to_be_sent_is_refused_at_once() {
    let read = |length: usize| {
        let endpoint = format!("samplers?{}", "x".repeat(length - "samplers?".len()));
        let input = serde_json::json!({ "api": { "endpoint": endpoint } });
        Request::read(&RawJson::from(input), &Allowed::new(&["/my/*".to_owned()], &[]))
    };
    assert!(read(8192).is_ok());
    for length in [8193, 70_000] {
        let error = read(length).unwrap_err();
        assert_eq!(error.code(), crate::code::Code::InvalidInput);
        assert_eq!(error.to_string(), "input.api.endpoint: longer than 8192 bytes");
    }
}

#[test]
fn a_setting_about_where_the_server_writes_is_refused_in_every_form_of_a_request() {
    for (input, path) in [
        (
            r#"{"prompt": "x", "override_settings": {"outdir_samples": "/x"}}"#,
            "override_settings.outdir_samples",
        ),
        (
            r#"{"init_images": ["aGk="], "override_settings": {"temp_dir": "/x"}}"#,
            "override_settings.temp_dir",
        ),
        (
            r#"{"api": {"endpoint": "txt2img"}, "params": {"prompt": "x", "override_settings": {"outdir_grids": "/x"}}}"#,
            "params.override_settings.outdir_grids",
        ),
        (
            r#"{"api": {"endpoint": "options"}, "payload": {"sd_vae": "a", "samples_filename_pattern": "x"}}"#,
            "payload.samples_filename_pattern",
        ),
        (
            r#"{"api": {"endpoint": "/queue/txt2img", "method": "POST"}, "payload": {"override_settings": {"outdir_save": "/x"}}}"#,
            "payload.override_settings.outdir_save",
        ),
    ] {
        let input = RawJson::parse(input).unwrap();
        let queue = ["/queue/*".to_owned()];
        let error = Request::read(&input, &Allowed::new(&queue, &[])).unwrap_err();
        assert_eq!(error.code(), crate::code::Code::SettingRefused);
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("input.{path}: this setting says where")),
            "{message}"
        );
        let all = ["outdir_*", "temp_dir", "samples_*"].map(str::to_owned);
        assert!(Request::read(&input, &Allowed::new(&queue, &all)).is_ok());
    }
}
