//! Which input is which request.

use super::*;
use crate::code::Explain as _;

fn read(input: &str) -> Result<Request, RequestError> {
    Request::read(
        RawJson::parse(input.to_owned()).unwrap(),
        &AllowedRoutes::default(),
    )
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
fn a_plain_input_is_txt2img_and_the_same_bytes() {
    for input in [
        "{}",
        " {\"prompt\" : \"x\" , \"cfg_scale\": 7.0e0}\n",
        // With other keys beside it, `api` is none of ours.
        r#"{"prompt": "x", "api": {"endpoint": "/sdapi/v1/server-kill"}}"#,
        r#"{"init_images": [], "prompt": "\"init_images\""}"#,
        r#"{"init_images": null}"#,
        r#"{"payload": {"prompt": "x"}}"#,
    ] {
        let input = RawJson::parse(input.to_owned()).unwrap();
        let request = Request::read(input.clone(), &AllowedRoutes::default()).unwrap();
        assert_eq!(request.call.route, "/sdapi/v1/txt2img");
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
fn pictures_to_begin_with_make_it_img2img() {
    let input = r#"{"init_images": ["iVBORw0KGgo="], "prompt": "x"}"#;
    assert_eq!(asks(input), format!("POST /sdapi/v1/img2img {input}"));
}

#[test]
fn the_api_form_names_its_route() {
    for (input, expected) in [
        (
            r#"{"api": {"method": "POST", "endpoint": "/sdapi/v1/img2img"}, "payload": {"a" : 1.0}}"#,
            r#"POST /sdapi/v1/img2img {"a" : 1.0}"#,
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
    let request = Request::read(input.clone(), &AllowedRoutes::default()).unwrap();
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
