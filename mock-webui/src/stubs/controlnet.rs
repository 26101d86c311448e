//! The routes of the ControlNet extension, when it is installed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use http::StatusCode;
use serde_json::{Value, json};

use super::route::{Call, Route};
use crate::answer::{Answer, Failure};
use crate::file;
use crate::gpu::QueuePlace;
use crate::render::input_picture;
use crate::request::Fields;
use crate::request::extras::CONTROLNET_DETECT;
use crate::server::Server;

const MODULES: [&str; 10] = [
    "none",
    "canny",
    "depth",
    "depth_midas",
    "inpaint_only",
    "lineart",
    "openpose",
    "openpose_full",
    "scribble_hed",
    "tile_resample",
];

pub(crate) fn routes(server: &Server) -> Vec<Route> {
    if server.setup().installed.controlnets.is_empty() || server.profile().is_sd_next() {
        return Vec::new();
    }
    let list = vec![
        Route::get("/controlnet/version", |_, _| {
            Ok(Answer::json(&json!({ "version": 3 })))
        }),
        Route::get("/controlnet/settings", |_, _| {
            Ok(Answer::json(&json!({ "control_net_unit_count": 3 })))
        }),
        Route::get("/controlnet/model_list", |server, _| {
            Ok(Answer::json(
                &json!({ "model_list": server.setup().installed.controlnets }),
            ))
        }),
        Route::get("/controlnet/module_list", |_, _| {
            Ok(Answer::json(
                &json!({ "module_list": MODULES, "module_detail": {} }),
            ))
        }),
        Route::get("/controlnet/control_types", |server, _| {
            Ok(Answer::json(&control_types(server)))
        }),
        Route::post_checked(
            "/controlnet/detect",
            || CONTROLNET_DETECT,
            true,
            |call| detect(call).boxed(),
        ),
    ];
    // The extension brings no authentication of its own.
    list.into_iter().map(Route::open_to_all).collect()
}

fn control_types(server: &Server) -> Value {
    let models = server.setup().installed.controlnets.iter().map(String::as_str);
    let models: Vec<&str> = std::iter::once("None").chain(models).collect();
    json!({
        "control_types": {
            "All": {
                "module_list": MODULES,
                "model_list": models,
                "default_option": "none",
                "default_model": "None",
            },
        },
    })
}

async fn detect(call: Call<(Fields, Option<QueuePlace>)>) -> Result<Answer, Failure> {
    let (fields, place) = call.input;
    let refuse = |text: &str| Err(Failure::deliberate(StatusCode::UNPROCESSABLE_ENTITY, text));
    if !MODULES.contains(&fields.text("controlnet_module")) {
        return refuse("Module not available");
    }
    let given = fields.list("controlnet_input_images");
    if given.is_empty() {
        return refuse("No image selected");
    }
    if let Some(place) = &place {
        place.turn().await;
    }
    let mut images = Vec::new();
    for picture in given {
        images.push(STANDARD.encode(file::png(
            &input_picture::decode_value(call.server.profile(), picture)?.picture,
            None,
        )));
    }
    Ok(Answer::json(&json!({ "images": images, "info": "Success" })))
}
