//! Where the pictures of an answer go: inline, re-encoded, or into a bucket.

mod refused;

use std::collections::VecDeque;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mock_webui::MockWebUi;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::monitor::{lines, scrape};
use crate::support::{
    EXAMPLE, RawWebUi, Reply, S3, Stage, Tap, Uploads, aside, error_of, get, png_64, soon, verdict,
};

const SMALL: &str = r#"{"prompt": "x", "steps": 1, "width": 64, "height": 64, "seed": 5}"#;
/// `{"output": ` and `}`.
const AROUND: usize = 12;

/// Variables of a worker with a bucket and these options.
fn with<'a>(s3: &'a S3, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    s3.variables().iter().chain(more).copied().collect()
}

/// The api form of a txt2img request, with the job's own options.
fn with_options(payload: &str, options: &Value) -> String {
    let payload: Value = serde_json::from_str(payload).unwrap();
    json!({ "api": { "endpoint": "txt2img" }, "payload": payload, "worker": options }).to_string()
}

fn parsed(output: &[u8]) -> Value {
    serde_json::from_slice(output).unwrap()
}

fn file(base64: &Value) -> Vec<u8> {
    STANDARD.decode(base64.as_str().unwrap()).unwrap()
}

/// A WebUI that answers its renders with these bodies, one after the other.
async fn answering(bodies: impl IntoIterator<Item = String>) -> RawWebUi {
    let bodies: Mutex<VecDeque<String>> = Mutex::new(bodies.into_iter().collect());
    RawWebUi::start(move |request| {
        if request.start() != "POST /sdapi/v1/txt2img" {
            return aside(&request);
        }
        let body = bodies.lock().unwrap().pop_front().unwrap();
        Box::pin(async move { Reply::json(200, body) })
    })
    .await
}

/// An answer with one picture that makes a result of exactly so many bytes.
fn answer_of(result: usize) -> String {
    let answer = |picture: &[u8], pad: &str| {
        let picture = STANDARD.encode(picture);
        format!(r#"{{"images":["{picture}"],"parameters":{{"pad":"{pad}"}},"info":"{{}}"}}"#)
    };
    let left = result - AROUND - answer(b"", "").len();
    let mut picture = vec![0; left / 4 * 3];
    fastrand::Rng::with_seed(1).fill(&mut picture);
    picture[..8].copy_from_slice(b"\x89PNG\r\n\x1a\n");
    answer(&picture, &"x".repeat(left % 4))
}

/// A picture whose file is far larger than it has to be, with the answer around it.
fn wasteful_answer() -> (Vec<u8>, String) {
    const SIDE: u32 = 1900;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, SIDE, SIDE);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::NoCompression);
    let pixels: Vec<u8> = (0..SIDE * SIDE)
        .flat_map(|n| {
            let [fast, slow, ..] = n.to_le_bytes();
            [fast, slow, 7]
        })
        .collect();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    let info = json!({ "all_seeds": [5], "index_of_first_image": 0, "infotexts": ["x\nSteps: 1"] });
    let answer = json!({ "images": [STANDARD.encode(&file)], "parameters": {}, "info": info.to_string() });
    (pixels, answer.to_string())
}

#[tokio::test]
async fn animations_and_videos_are_uploaded_by_their_type_and_the_rest_is_listed() {
    let mut files = vec![
        STANDARD.encode(b"GIF89a and so on"),
        STANDARD.encode(b"\0\0\0\x18ftypisom"),
    ];
    files.push("/tmp/a.png".to_owned());
    let answer = json!({ "images": files, "parameters": {}, "info": "{}" });
    let (webui, s3) = (
        answering([answer.to_string()]).await,
        S3::start(Uploads::Stored).await,
    );
    let stage = Stage::with(&webui.url, &with(&s3, &[("SD_WORKER_OUTPUT", "upload")])).await;
    let output = parsed(&stage.complete(SMALL).await);
    for (index, ending, media_type) in [(0, "0.gif", "image/gif"), (1, "1.mp4", "video/mp4")] {
        let entry = &output["pictures"][index];
        assert_eq!(entry["media_type"], media_type);
        let url = entry["url"].as_str().unwrap();
        assert!(url.split('?').next().unwrap().ends_with(ending), "{url}");
        assert_eq!(output["images"][index], entry["url"]);
    }
    assert_eq!(output["images"][2], "/tmp/a.png");
    assert_eq!(
        output["not_uploaded"],
        json!([{ "index": 2, "found": "a text that is not base64" }])
    );
}

#[tokio::test]
async fn the_bucket_has_the_pictures_and_the_answer_their_links() {
    let (webui, s3) = (MockWebUi::start().await, S3::start(Uploads::Stored).await);
    let tap = Tap::before(webui.address()).await;
    let variables = with(
        &s3,
        &[
            ("SD_WORKER_OUTPUT", "upload"),
            ("RUNPOD_WORKER_METRICS", "127.0.0.1:0"),
        ],
    );
    let stage = Stage::with(&format!("http://{}", tap.address), &variables).await;
    // Saving adds a grid, which comes first.
    let input = r#"{"prompt": "two cats", "steps": 1, "width": 64, "height": 64, "seed": 5, "batch_size": 2,
        "save_images": true}"#;
    let job = stage.submit(input).await;
    let report = soon(job.wait()).await.unwrap();
    let output = String::from_utf8(report.raw_output().unwrap().to_vec()).unwrap();
    let rendered = String::from_utf8(tap.render().1.body).unwrap();

    let (told, original) = (parsed(output.as_bytes()), parsed(rendered.as_bytes()));
    let links = told["images"].as_array().unwrap();
    assert_eq!(links.len(), 3);
    let mut expected = rendered;
    for (index, (link, picture)) in links
        .iter()
        .zip(original["images"].as_array().unwrap())
        .enumerate()
    {
        let link = link.as_str().unwrap();
        let key = format!("{}/{index}.png", job.id());
        assert!(link.starts_with(&format!("{}/pics/{key}?", s3.url)), "{link}");
        assert!(s3.object(&key) == file(picture), "the very picture");
        assert!(get(link).await == file(picture), "the link leads to it");
        assert_eq!(told["pictures"][index]["url"], link);
        assert_eq!(told["pictures"][index]["bytes"], file(picture).len());
        expected = expected.replacen(picture.as_str().unwrap(), link, 1);
    }
    let (before, _) = output.split_once(r#","pictures":"#).unwrap();
    assert!(
        before == expected.strip_suffix('}').unwrap(),
        "every other byte is as the WebUI wrote it"
    );
    insta::assert_json_snapshot!(told["pictures"], { "[].url" => "[url]", "[].bytes" => "[bytes]" });

    let timeline = stage.worker.says("job timeline").await;
    assert!(
        timeline.contains("upload_started=") && timeline.contains("upload_finished="),
        "{timeline}"
    );
    let figures = scrape(&stage).await;
    assert_eq!(
        lines(&figures, &["sd_worker_upload_seconds_count"]),
        "sd_worker_upload_seconds_count 1"
    );
    assert!(
        !stage.worker.log().contains("X-Amz-Signature"),
        "links are secrets"
    );
}

#[tokio::test]
async fn one_byte_decides_between_inline_and_upload() {
    let s3 = S3::start(Uploads::Stored).await;
    let bodies = [10_000_000, 10_000_001, 20_000_000, 20_000_001].map(answer_of);
    let webui = answering(bodies.clone()).await;
    let stage = Stage::with(&webui.url, &with(&s3, &[("SD_WORKER_OUTPUT", "auto")])).await;
    for (number, body) in bodies.iter().enumerate() {
        let input: Box<RawValue> = serde_json::from_str(SMALL).unwrap();
        let report = if number < 2 {
            stage.run(SMALL).await
        } else {
            soon(stage.client.run_sync(&input)).await.unwrap()
        };
        let output = report.raw_output().unwrap();
        if number % 2 == 0 {
            assert!(output == body.as_bytes(), "it fits, and is as it came");
            assert_eq!(s3.uploads(), number / 2);
        } else {
            let (told, original) = (parsed(output), parsed(body.as_bytes()));
            assert!(told["images"][0].as_str().unwrap().starts_with("http://"));
            let key = format!("{}/0.png", report.id);
            assert!(s3.object(&key) == file(&original["images"][0]));
        }
    }
}

#[tokio::test]
async fn what_the_owner_takes_for_too_large_is_uploaded_and_not_failed() {
    let s3 = S3::start(Uploads::Stored).await;
    let bodies = [400_000, 400_001].map(answer_of);
    let webui = answering(bodies.clone()).await;
    let options = [
        ("SD_WORKER_OUTPUT", "auto"),
        ("RUNPOD_WORKER_LARGEST_RESULT", "400000"),
    ];
    let stage = Stage::with(&webui.url, &with(&s3, &options)).await;
    assert!(stage.complete(SMALL).await == bodies[0].as_bytes());
    let told = parsed(&stage.complete(SMALL).await);
    assert!(
        told["images"][0].as_str().unwrap().starts_with("http://"),
        "{told}"
    );
    assert_eq!(s3.uploads(), 1);
}

#[tokio::test]
async fn pictures_are_re_encoded_only_where_that_is_allowed() {
    let (pixels, body) = wasteful_answer();
    let webui = answering(std::iter::repeat_n(body.clone(), 6)).await;
    let auto = ("SD_WORKER_OUTPUT", "auto");
    let stage = Stage::with(&webui.url, &[auto]).await;
    let error = stage.fail(SMALL).await;
    assert_eq!(verdict(&error), ["OUTPUT_TOO_LARGE", "user", "final"]);
    let bytes = body.len() + AROUND;
    assert_eq!(error["details"], json!({ "bytes": bytes, "limit": 10_000_000 }));
    insta::assert_snapshot!(error["error_message"].as_str().unwrap());
    let hint = error["hint"].as_str().unwrap();
    for remedy in ["s3Config", "worker.reencode", "BUCKET_ENDPOINT_URL"] {
        assert!(hint.contains(remedy), "{hint}");
    }

    let webp = stage
        .complete(&with_options(SMALL, &json!({ "reencode": "webp" })))
        .await;
    let webp = parsed(&webp);
    let mut decoder = image_webp::WebPDecoder::new(std::io::Cursor::new(file(&webp["images"][0]))).unwrap();
    let mut read = vec![0; decoder.output_buffer_size().unwrap()];
    decoder.read_image(&mut read).unwrap();
    assert!(read == pixels, "WebP loses nothing");

    let sizes = [95, 20].map(|quality| json!({ "reencode": "jpeg", "quality": quality }));
    let mut files = Vec::new();
    for options in sizes {
        let jpeg = parsed(&stage.complete(&with_options(SMALL, &options)).await);
        let file = file(&jpeg["images"][0]);
        assert!(file.starts_with(b"\xff\xd8\xff"));
        let expected = json!([{
            "index": 0, "seed": 5, "infotext": "x\nSteps: 1", "media_type": "image/jpeg", "bytes": file.len(),
        }]);
        assert_eq!(jpeg["pictures"], expected);
        files.push(file.len());
    }
    assert!(files[0] > files[1], "{files:?}");

    let allowed = Stage::with(&webui.url, &[auto, ("SD_WORKER_REENCODE", "webp")]).await;
    let by_owner = parsed(&allowed.complete(SMALL).await);
    assert_eq!(by_owner["images"], webp["images"]);
    let error = allowed
        .fail(&with_options(SMALL, &json!({ "reencode": "off" })))
        .await;
    assert_eq!(verdict(&error), ["OUTPUT_TOO_LARGE", "user", "final"]);
}

#[tokio::test]
async fn what_re_encoding_can_not_make_small_enough_is_uploaded_as_it_was() {
    let s3 = S3::start(Uploads::Stored).await;
    // Noise behind a PNG's first bytes can't be read, nor made smaller.
    let body = answer_of(12_000_000);
    let webui = answering([body.clone(), body.clone()]).await;
    let options = [("SD_WORKER_OUTPUT", "auto"), ("SD_WORKER_REENCODE", "jpeg")];
    let stage = Stage::with(&webui.url, &with(&s3, &options)).await;
    let report = stage.run(SMALL).await;
    let told: Value = report.output().unwrap();
    assert_eq!(told["pictures"][0]["media_type"], "image/png");
    let key = format!("{}/0.png", report.id);
    assert!(s3.object(&key) == file(&parsed(body.as_bytes())["images"][0]));

    let without = Stage::with(&webui.url, &options).await;
    let error = without.fail(SMALL).await;
    assert_eq!(verdict(&error), ["OUTPUT_TOO_LARGE", "user", "final"]);
    assert!(
        error["details"]["reencoded_bytes"].as_u64().unwrap() > 10_000_000,
        "{error}"
    );
}

#[tokio::test]
async fn a_jobs_own_bucket_comes_first() {
    let (webui, ours, theirs) = (
        MockWebUi::start().await,
        S3::start(Uploads::Stored).await,
        S3::start(Uploads::Stored).await,
    );
    // The job's bucket is on loopback here.
    let options = [
        ("SD_WORKER_OUTPUT", "upload"),
        ("RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS", "1"),
    ];
    let stage = Stage::with(webui.url(), &with(&ours, &options)).await;
    let input: Value = serde_json::from_str(SMALL).unwrap();
    let config = theirs.config().object_path("a/b");
    let job = stage.client.job(&input).unwrap().s3_config(config).run();
    let report = soon(soon(job).await.unwrap().wait()).await.unwrap();
    assert_eq!(report.status.as_str(), "COMPLETED", "{:?}", report.error());
    let told: Value = report.output().unwrap();
    let key = format!("a/b/{}/0.png", report.id);
    assert!(told["images"][0].as_str().unwrap().contains(&key), "{told}");
    assert_eq!(theirs.object(&key).len(), told["pictures"][0]["bytes"]);
    assert_eq!((ours.uploads(), theirs.uploads()), (0, 1));

    let wrong = theirs.config_with("not the secret");
    let job = stage.client.job(&input).unwrap().s3_config(wrong).run();
    let report = soon(soon(job).await.unwrap().wait()).await.unwrap();
    let error = error_of(&report);
    assert_eq!(verdict(&error), ["UPLOAD_REFUSED", "user", "final"], "{error}");
    assert!(!stage.worker.log().contains("not the secret"));
}

#[tokio::test]
async fn storage_that_fails_fails_the_job_and_says_whose_mistake_it_is() {
    let webui = MockWebUi::start().await;
    for (status, expected) in [
        (503, ["UPLOAD_FAILED", "backend", "retryable"]),
        (403, ["UPLOAD_REFUSED", "worker", "final"]),
    ] {
        let s3 = S3::start(Uploads::Failed(status)).await;
        let stage = Stage::with(webui.url(), &with(&s3, &[("SD_WORKER_OUTPUT", "upload")])).await;
        let report = stage.run(SMALL).await;
        let error = error_of(&report);
        assert_eq!(verdict(&error), expected, "{error}");
        assert!(report.raw_output().is_none(), "no half answer");
        let message = error["error_message"].as_str().unwrap();
        assert!(
            message.starts_with("picture 0 could not be uploaded: "),
            "{message}"
        );
    }
}

#[tokio::test]
async fn several_pictures_are_uploaded_at_once_but_never_more_than_four() {
    let (webui, s3) = (MockWebUi::start().await, S3::start(Uploads::Together(4)).await);
    let stage = Stage::with(webui.url(), &with(&s3, &[("SD_WORKER_OUTPUT", "upload")])).await;
    let input = r#"{"prompt": "x", "steps": 1, "width": 64, "height": 64, "batch_size": 6}"#;
    let told = parsed(&stage.complete(input).await);
    assert_eq!(told["pictures"].as_array().unwrap().len(), 6);
    assert_eq!((s3.uploads(), s3.most_at_once()), (6, 4));
}

#[tokio::test]
async fn img2img_and_extras_are_uploaded_too() {
    let (webui, s3) = (MockWebUi::start().await, S3::start(Uploads::Stored).await);
    let stage = Stage::with(webui.url(), &with(&s3, &[("SD_WORKER_OUTPUT", "upload")])).await;
    let png = png_64();
    let again = json!({ "steps": 1, "width": 64, "height": 64, "seed": 5, "init_images": [png] });
    let told = parsed(&stage.complete(&again.to_string()).await);
    assert_eq!(told["pictures"][0]["seed"], 5);

    let extras = |endpoint: &str, payload: Value| {
        json!({ "api": { "endpoint": endpoint }, "payload": payload }).to_string()
    };
    let single = extras(
        "extra-single-image",
        json!({ "image": png, "upscaler_1": "Lanczos" }),
    );
    let told = parsed(&stage.complete(&single).await);
    assert!(told["image"].as_str().unwrap().starts_with("http://"), "{told}");
    insta::assert_json_snapshot!(told, { ".image" => "[url]", ".pictures[].url" => "[url]", ".pictures[].bytes" => "[bytes]" });

    let list = json!({ "imageList": [{ "data": png, "name": "a" }, { "data": png, "name": "b" }] });
    let told = parsed(&stage.complete(&extras("extra-batch-images", list)).await);
    assert_eq!(told["pictures"].as_array().unwrap().len(), 2);
    assert_eq!(told["images"][1], told["pictures"][1]["url"]);
    assert_eq!(s3.uploads(), 4);
}

#[tokio::test]
async fn uploads_of_streamed_pictures_are_timed_as_well() {
    let (webui, s3) = (MockWebUi::start().await, S3::start(Uploads::Stored).await);
    let metrics = ("RUNPOD_WORKER_METRICS", "127.0.0.1:0");
    let stage = Stage::with(webui.url(), &with(&s3, &[metrics])).await;
    let input = r#"{"prompt": "x", "steps": 1, "width": 64, "height": 64, "seed": 5, "n_iter": 2}"#;
    let options = json!({ "output": "upload", "stream": true, "aggregate": true });
    let job = stage.submit(&with_options(input, &options)).await;
    let chunks: Value = soon(job.output()).await.unwrap();
    for index in 0..2 {
        let key = format!("{}/{index}.png", job.id());
        assert!(chunks[index]["url"].as_str().unwrap().contains(&key), "{chunks}");
        assert_eq!(s3.object(&key).len(), chunks[index]["bytes"]);
    }
    let timeline = stage.worker.says("job timeline").await;
    assert_eq!(timeline.matches("upload_finished=").count(), 2, "{timeline}");
    assert_eq!(timeline.matches("part_finished=").count(), 2, "{timeline}");
    let figures = scrape(&stage).await;
    assert_eq!(
        lines(&figures, &["sd_worker_upload_seconds_count"]),
        "sd_worker_upload_seconds_count 1"
    );
}

#[tokio::test]
async fn a_cancelled_job_stops_its_upload_and_the_next_one_runs() {
    let (webui, s3) = (MockWebUi::start().await, S3::start(Uploads::Held).await);
    let stage = Stage::with(webui.url(), &with(&s3, &[("SD_WORKER_OUTPUT", "upload")])).await;
    let job = stage.submit(EXAMPLE).await;
    s3.uploads_reach(1).await;
    soon(job.cancel()).await.unwrap();
    let inline = stage
        .complete(&with_options(SMALL, &json!({ "output": "inline" })))
        .await;
    assert!(
        parsed(&inline)["images"][0]
            .as_str()
            .unwrap()
            .starts_with("iVBOR")
    );
    assert_eq!(soon(job.status()).await.unwrap().status.as_str(), "CANCELLED");
}
