//! Upscaling and looking into pictures: extras, png-info, interrogate (§8).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::route::{Call, Later, Route};
use crate::answer::{Answer, Failure};
use crate::catalogue::upscaler;
use crate::file;
use crate::gpu::picture::Picture;
use crate::gpu::{GpuState, QueuePlace};
use crate::json::python_str;
use crate::profile::{Family, Profile};
use crate::render::infotext_reader;
use crate::render::input_picture::{self, InputPicture};
use crate::request::extras::{BATCH, INTERROGATE, PNG_INFO, SINGLE};
use crate::request::{Field, Fields};
use crate::server::Server;

type Table = fn() -> &'static [Field];

pub(crate) fn routes(profile: Profile) -> Vec<Route> {
    let old = profile < Profile::V1_8;
    // Before 1.8 the scale had limits.
    let (single, batch): (Table, Table) = if old {
        (|| &SINGLE.old, || &BATCH.old)
    } else {
        (|| &SINGLE.new, || &BATCH.new)
    };
    vec![
        Route::post_checked("/sdapi/v1/extra-single-image", single, true, |call| {
            one(call).boxed()
        }),
        Route::post_checked("/sdapi/v1/extra-batch-images", batch, true, |call| {
            many(call).boxed()
        }),
        Route::post_checked(
            "/sdapi/v1/png-info",
            || PNG_INFO,
            false,
            |call| async move { png_info(&call) }.boxed(),
        ),
        Route::post_checked(
            "/sdapi/v1/interrogate",
            || INTERROGATE,
            true,
            |call| interrogate(call).boxed(),
        )
        .only(&[Family::A1111, Family::Forge]),
        Route::post_open("/sdapi/v1/preprocess", preprocess).until(Profile::V1_6),
    ]
}

async fn one(call: Call<(Fields, Option<QueuePlace>)>) -> Result<Answer, Failure> {
    let (fields, place) = call.input;
    let source = input_picture::decode(call.server.profile(), fields.text("image"))?;
    let (html_info, mut images) = process(&call.server, &fields, place, vec![source]).await?;
    if call.server.profile().is_sd_next() {
        return Err(without_html_info("ResProcessImage"));
    }
    let image = images.pop().unwrap_or_default();
    Ok(Answer::json(&json!({ "html_info": html_info, "image": image })))
}

async fn many(call: Call<(Fields, Option<QueuePlace>)>) -> Result<Answer, Failure> {
    let (fields, place) = call.input;
    let list = fields.list("imageList").iter();
    let sources = list
        .map(|file| input_picture::decode_value(call.server.profile(), &file["data"]))
        .collect::<Result<Vec<_>, _>>()?;
    let (html_info, images) = process(&call.server, &fields, place, sources).await?;
    if call.server.profile().is_sd_next() {
        return Err(without_html_info("ResProcessBatch"));
    }
    Ok(Answer::json(&json!({ "html_info": html_info, "images": images })))
}

/// SD.Next does the work and fails on its answer, in which a text is missing.
fn without_html_info(model: &str) -> Failure {
    let text = format!(
        "1 validation error for {model}\nhtml_info\n  Input should be a valid string [type=string_type, \
         input_value=None, input_type=NoneType]\n    For further information visit \
         https://errors.pydantic.dev/2.13/v/string_type"
    );
    Failure::unexpected("ValidationError", text)
}

/// Takes its turn on the card and enlarges every picture.
async fn process(
    server: &Server,
    fields: &Fields,
    place: Option<QueuePlace>,
    sources: Vec<InputPicture>,
) -> Result<(String, Vec<String>), Failure> {
    if let Some(place) = &place {
        place.turn().await;
    }
    let gpu = server.gpu();
    gpu.change(|state| {
        state.begin("Upscale");
        state.job_count = 1;
        state.job_no = 1;
        if server.profile().is_sd_next() {
            (state.job_no, state.sampling_steps) = (0, 0);
        }
    });
    // The real server forgets to tidy up after a failure: progress shows a finished job from then on (§7).
    for field in ["upscaler_1", "upscaler_2"] {
        let name = fields.text(field);
        if !name.is_empty() && !upscaler::exists(name) && !server.profile().is_sd_next() {
            let text = format!("could not find upscaler named {name}");
            return Err(Failure::unexpected("AssertionError", text));
        }
    }
    let format = server.settings().text("samples_format").to_owned();
    let fields = fields.clone();
    let done = tokio::task::spawn_blocking(move || {
        let mut description = String::new();
        let mut images = Vec::with_capacity(sources.len());
        for source in sources {
            let (picture, text) = enlarge(&fields, &source.picture);
            description = text;
            let known = source
                .texts
                .into_iter()
                .find(|(keyword, _)| keyword == "parameters");
            let parameters = known.map_or_else(
                || description.clone(),
                |(_, known)| format!("{known}, {description}"),
            );
            images.push(STANDARD.encode(file::encode(&picture, &format, Some(&parameters))?));
        }
        Ok((format!("<p>{description}</p>"), images))
    });
    let done = done
        .await
        .map_err(|error| Failure::unexpected("RuntimeError", error.to_string()))?;
    gpu.change(GpuState::end);
    done
}

/// The enlarged picture, and the entries that say how.
fn enlarge(fields: &Fields, picture: &Picture) -> (Picture, String) {
    let mut entries: Vec<(&str, Value)> = Vec::new();
    let mut result = picture.clone();
    let upscaler = fields.text("upscaler_1");
    if !matches!(upscaler, "" | "None") {
        if fields.integer("resize_mode") == Some(1) {
            let side = |name: &str| {
                u32::try_from(fields.integer(name).unwrap_or(512))
                    .unwrap_or(512)
                    .min(8192)
            };
            let (width, height) = (side("upscaling_resize_w"), side("upscaling_resize_h"));
            entries.push(("Postprocess upscale to", json!(format!("{width}x{height}"))));
            result = picture.resized(width, height);
        } else {
            let by = fields.float("upscaling_resize").unwrap_or(2.0).min(16.0);
            // As it was sent; the default is a whole number.
            entries.push(("Postprocess upscale by", fields.get("upscaling_resize").clone()));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "positive, by validation"
            )]
            let scaled = |side: u32| ((f64::from(side) * by) as u32).clamp(1, 16_384);
            result = picture.resized(scaled(picture.width), scaled(picture.height));
        }
        entries.push(("Postprocess upscaler", json!(upscaler)));
        let second = fields.text("upscaler_2");
        if !matches!(second, "" | "None") && fields.float("extras_upscaler_2_visibility") > Some(0.0) {
            entries.push(("Postprocess upscaler 2", json!(second)));
        }
    }
    for (name, entry) in [
        ("gfpgan_visibility", "Postprocess GFPGAN visibility"),
        ("codeformer_visibility", "Postprocess CodeFormer visibility"),
    ] {
        if fields.float(name) > Some(0.0) {
            entries.push((entry, fields.get(name).clone()));
        }
    }
    let shown = entries
        .iter()
        .map(|(name, value)| format!("{name}: {}", python_str(value)));
    (result, shown.collect::<Vec<_>>().join(", "))
}

/// Values that reading an infotext adds when it has none of its own (§8).
fn defaults() -> Vec<(&'static str, Value)> {
    vec![
        ("Clip skip", json!("1")),
        ("Hires resize-1", json!(0)),
        ("Hires resize-2", json!(0)),
        ("Hires sampler", json!("Use same sampler")),
        ("Hires schedule type", json!("Use same scheduler")),
        ("Hires checkpoint", json!("Use same checkpoint")),
        ("Hires prompt", json!("")),
        ("Hires negative prompt", json!("")),
        ("Mask mode", json!("Inpaint masked")),
        ("Masked content", json!("original")),
        ("Inpaint area", json!("Whole picture")),
        ("Masked area padding", json!(32)),
        ("RNG", json!("GPU")),
        ("Schedule type", json!("Automatic")),
        ("Schedule max sigma", json!(0)),
        ("Schedule min sigma", json!(0)),
        ("Schedule rho", json!(0)),
        ("VAE Encoder", json!("Full")),
        ("VAE Decoder", json!("Full")),
        ("FP8 weight", json!("Disable")),
        ("Refiner switch by sampling steps", json!(false)),
    ]
}

fn png_info(call: &Call<(Fields, Option<QueuePlace>)>) -> Result<Answer, Failure> {
    let (fields, _) = &call.input;
    let old = call.server.profile() < Profile::V1_8;
    let image = fields.text("image");
    if image.trim().is_empty() && old {
        return Ok(Answer::json(&json!({ "info": "" })));
    }
    if image.trim().is_empty() && call.server.profile().is_sd_next() {
        return Ok(Answer::json(
            &json!({ "info": "", "items": {}, "parameters": {} }),
        ));
    }
    let source = input_picture::decode(call.server.profile(), image)?;
    let mut info = String::new();
    let mut items = Map::new();
    for (keyword, text) in source.texts {
        if keyword == "parameters" {
            info = text;
        } else {
            items.insert(keyword, Value::from(text));
        }
    }
    let mut body = json!({ "info": info, "items": items });
    if call.server.profile().is_sd_next() {
        body["parameters"] = Value::Object(parameters_of_sd_next(&info));
    } else if !old {
        let mut parameters = parameters(&info);
        if call.server.profile().is_forge() {
            parameters.insert("Hires VAE/TE".to_owned(), json!(["Use same choices"]));
            parameters.shift_remove("Model");
        }
        body["parameters"] = Value::Object(parameters);
    }
    Ok(Answer::json(&body))
}

/// The entries of an infotext as the web page would paste them.
fn parameters(info: &str) -> Map<String, Value> {
    let parsed = infotext_reader::parse(info);
    let mut entries: Map<String, Value> = parsed
        .entries
        .into_iter()
        .map(|(name, value)| (name, Value::from(value)))
        .collect();
    entries.insert("Prompt".to_owned(), Value::from(parsed.prompt));
    entries.insert("Negative prompt".to_owned(), Value::from(parsed.negative));
    for (name, value) in defaults() {
        entries.entry(name).or_insert(value);
    }
    entries
}

/// SD.Next adds no defaults, and makes numbers of numerals.
fn parameters_of_sd_next(info: &str) -> Map<String, Value> {
    if info.trim().is_empty() {
        return Map::new();
    }
    let parsed = infotext_reader::parse(info);
    let mut entries = Map::new();
    for (name, value) in parsed.entries {
        let number = value.parse::<i64>().map(Value::from);
        let number = number.or_else(|_| value.parse::<f64>().map(Value::from));
        entries.insert(name, number.unwrap_or(Value::from(value)));
    }
    let text = |text: String| {
        if text.is_empty() {
            Value::Null
        } else {
            Value::from(text)
        }
    };
    entries.insert("Prompt".to_owned(), text(parsed.prompt));
    entries.insert("Negative prompt".to_owned(), text(parsed.negative));
    entries
}

async fn interrogate(call: Call<(Fields, Option<QueuePlace>)>) -> Result<Answer, Failure> {
    let (fields, place) = call.input;
    let source = input_picture::decode(call.server.profile(), fields.text("image"))?;
    let caption = match fields.text("model") {
        "clip" => "a picture of colourful circles in front of a gradient",
        "deepdanbooru" => "circle, gradient, no humans, simple background",
        _ => return Err(Failure::deliberate(StatusCode::NOT_FOUND, "Model not found")),
    };
    if let Some(place) = &place {
        place.turn().await;
    }
    let (width, height) = (source.picture.width, source.picture.height);
    Ok(Answer::json(
        &json!({ "caption": format!("{caption}, {width} by {height} pixels") }),
    ))
}

fn preprocess(_: Call<Map<String, Value>>) -> Later {
    async { Ok(Answer::json(&json!({ "info": "preprocess complete" }))) }.boxed()
}
