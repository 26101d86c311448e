//! Inputs that the WebUI would render and that are no requests.

use super::*;

/// Inputs that the WebUI would render as a picture of nothing, or without the picture that was sent. Each with the
/// field and the meaning that the answer names, and a part of the form that it shows.
const NO_REQUESTS: &[(&str, &str, &str)] = &[
    ("{}", "input: empty", r#"{"input": {"prompt": …}}"#),
    (
        r#"{"api_name": "getModels"}"#,
        "input.api_name: this is no field; \"getModels\" is a route",
        r#""method": "GET", "endpoint": "/sdapi/v1/sd-models""#,
    ),
    (
        r#"{"api_name": "setOptions", "sd_vae": "x"}"#,
        "input.api_name:",
        r#""endpoint": "/sdapi/v1/options""#,
    ),
    (
        r#"{"api_name": "img2img", "prompt": "x"}"#,
        "input.api_name:",
        r#""endpoint": "/sdapi/v1/img2img"}, "payload": {"prompt": …, "init_images""#,
    ),
    (
        r#"{"endpoint": "/sdapi/v1/sd-models", "method": "GET"}"#,
        "input.endpoint:",
        "sd-models",
    ),
    (
        r#"{"endpoint": "extra-single-image", "image": "aGk="}"#,
        "input.endpoint:",
        r#""method": "POST", "endpoint": "/sdapi/v1/extra-single-image""#,
    ),
    (
        r#"{"payload": {"prompt": "x"}}"#,
        "input.payload: the request stands under this key",
        r#"{"input": {"prompt": …}}"#,
    ),
    (
        r#"{"params": {"prompt": "x"}}"#,
        "input.params: the request",
        "prompt",
    ),
    (
        r#"{"params": {"steps": 20}}"#,
        "input.params: the request",
        "prompt",
    ),
    (
        r#"{"input": {"prompt": "x"}}"#,
        "input.input: the request",
        "prompt",
    ),
    (
        r#"{"input": {"input": {"prompt": "x"}}}"#,
        "input.input: the request",
        "prompt",
    ),
    (
        r#"{"data": [{"prompt": "x"}]}"#,
        "input.data: the request",
        "prompt",
    ),
    (
        r#"{"request": "{\"prompt\": \"x\"}"}"#,
        "input.request: the request",
        "prompt",
    ),
    (
        r#"{"txt2img": {"prompt": "x"}, "steps": 20}"#,
        "input.txt2img: the request",
        "prompt",
    ),
    (
        r#"{"method": "POST", "endpoint": "txt2img", "payload": {"prompt": "x"}}"#,
        "input.payload: the request",
        r#""endpoint": "/sdapi/v1/txt2img"}, "payload""#,
    ),
    (
        r#"{"API": {"endpoint": "txt2img"}, "payload": {"prompt": "x"}}"#,
        "input.payload: the request",
        "prompt",
    ),
    (
        r#"{"api": {"endpoint": "txt2img"}, "payload": {"prompt": "x"}, "id": 5}"#,
        "input.id: not taken beside api",
        r#""payload": {"prompt": …}"#,
    ),
    (
        r#"{"prompt": "x", "api": {"endpoint": "/sdapi/v1/server-kill"}}"#,
        "input.prompt: not taken beside api",
        "payload",
    ),
    (
        r#"{"api": {"endpoint": "txt2img"}}"#,
        "input.payload: empty",
        r#""payload": {"prompt": …}"#,
    ),
    (
        r#"{"api": {"endpoint": "txt2img"}, "payload": null}"#,
        "input.payload: empty",
        "payload",
    ),
    (
        r#"{"api": {"endpoint": "img2img"}, "payload": {}}"#,
        "input.payload: empty",
        "init_images",
    ),
    (
        r#"{"api": {"endpoint": "txt2img"}, "params": {}}"#,
        "input.payload: empty",
        "payload",
    ),
    (
        r#"{"api": {"endpoint": "txt2img"}, "payload": {"payload": {"prompt": "x"}}}"#,
        "input.payload.payload: the request",
        "payload",
    ),
    (
        r#"{"api": {"endpoint": "txt2img"}, "payload": {"model": "x"}}"#,
        "input.payload: no key is a field of txt2img: model; did you mean override_settings.sd_model_checkpoint by model?",
        "payload",
    ),
    (
        r#"{"api": {"endpoint": "txt2img"}, "payload": []}"#,
        "input.payload: expected an object",
        "payload",
    ),
    (
        r#"{"api": {"endpoint": "txt2img"}, "payload": "{}"}"#,
        "input.payload: expected an object",
        "payload",
    ),
    (
        r#"{"api": {"endpoint": "txt2img"}, "payload": {"prompt": "x"}, "params": {"prompt": "y"}}"#,
        "input.params: the body of the request is payload already",
        "payload",
    ),
    (
        r#"{"api": {"endpoint": "txt2img"}, "payload": {"prompt": "x", "init_images": ["aGk="]}}"#,
        "input.payload.init_images: txt2img takes no pictures",
        "img2img",
    ),
    (
        r#"{"api": {"endpoint": "txt2img"}, "body": {"prompt": "x", "init_image": "aGk="}}"#,
        "input.body.init_image:",
        "payload",
    ),
    (
        r#"{"init_images": [], "prompt": "x"}"#,
        "input.init_images: expected a list of pictures as base64 or URLs, found an empty list",
        "init_images",
    ),
    (
        r#"{"init_images": [ ]}"#,
        "input.init_images: expected",
        "init_images",
    ),
    (
        r#"{"init_images": null, "prompt": "x"}"#,
        "input.init_images: expected a list of pictures as base64 or URLs, found null",
        "init_images",
    ),
    (
        r#"{"init_images": {"0": "aGk="}}"#,
        "input.init_images: expected a list of pictures as base64 or URLs, found an object",
        "init_images",
    ),
    (
        r#"{"init_images": "", "prompt": "x"}"#,
        "input.init_images: expected",
        "init_images",
    ),
    (
        r#"{"init_images": 5}"#,
        "input.init_images: expected",
        "init_images",
    ),
    (
        r#"{"api": {"endpoint": "img2img"}, "payload": {"init_images": []}}"#,
        "input.payload.init_images: expected",
        "init_images",
    ),
    (
        r#"{"prompt": "x", "init_image": "aGk="}"#,
        "input.init_image: the WebUI does not know this field and would drop it; did you mean init_images?",
        "init_images",
    ),
    (
        r#"{"prompt": "x", "initImages": ["aGk="]}"#,
        "input.initImages:",
        "init_images",
    ),
    (
        r#"{"prompt": "x", "init_imges": ["aGk="]}"#,
        "input.init_imges:",
        "init_images",
    ),
    (
        r#"{"prompt": "x", "image": "aGk="}"#,
        "input.image:",
        "init_images",
    ),
    (
        r#"{"prompt": "x", "images": [{"data": "aGk="}]}"#,
        "input.images:",
        "init_images",
    ),
    (
        r#"{"prompt": "x", "mask": "aGk="}"#,
        "input.mask: a mask needs a picture",
        "init_images",
    ),
    (
        r#"{"Prompt": "x", "steps": 20}"#,
        "input.Prompt: the WebUI does not know this field and would drop it; did you mean prompt?",
        "prompt",
    ),
    (r#"{"text": "a cat", "steps": 20}"#, "input.text:", "prompt"),
    (r#"{"promt": "a cat", "steps": 20}"#, "input.promt:", "prompt"),
    (
        r#"{"prompts": ["a cat"], "steps": 20}"#,
        "input.prompts:",
        "prompt",
    ),
    (r#"{"prompt": null}"#, "input.prompt: must not be null", "prompt"),
    (
        r#"{"num_inference_steps": 20}"#,
        "input: no key is a field of txt2img: num_inference_steps; did you mean steps",
        "prompt",
    ),
    (
        r#"{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1}"#,
        "input: no key is a field of txt2img: a, b, c, d, e, …",
        "prompt",
    ),
];

#[test]
fn a_picture_of_nothing_is_refused_with_what_was_meant_and_the_right_form() {
    for (input, message, form) in NO_REQUESTS {
        let error = read(input)
            .map(|request| format!("{request:?}"))
            .expect_err(input);
        assert_eq!(error.code().code().to_string(), "INVALID_INPUT", "{input}");
        let said = error.to_string();
        assert!(said.starts_with(message), "{input}: {said}");
        let hint = error.hint().unwrap();
        assert!(hint.contains(form), "{input}: {hint}");
    }
}
