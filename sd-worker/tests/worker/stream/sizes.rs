//! Pictures that are too large for a chunk, or are to be uploaded anyway.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mock_webui::MockWebUi;
use serde_json::json;

use super::{answering, chunks, four, pictures, read, streaming};
use crate::support::{RawWebUi, S3, Stage, Uploads, error_of, get, soon, verdict};

/// A WebUI whose pictures are files of so many bytes.
async fn drawing(bytes: usize) -> RawWebUi {
    let mut file = vec![0; bytes];
    fastrand::Rng::with_seed(1).fill(&mut file);
    file[..8].copy_from_slice(b"\x89PNG\r\n\x1a\n");
    showing(&file).await
}

/// A WebUI that answers with this file.
async fn showing(file: &[u8]) -> RawWebUi {
    let info = json!({ "seed": 7, "all_seeds": [7], "infotexts": ["a fox"], "index_of_first_image": 0 });
    let answer = json!({ "images": [STANDARD.encode(file)], "info": info.to_string() }).to_string();
    answering(answer).await
}

#[tokio::test]
async fn a_picture_too_large_for_a_chunk_fails_the_job_at_once_and_says_what_to_do() {
    let webui = drawing(750_000).await;
    let stage = Stage::new(&webui.url).await;
    let error = stage.fail(&streaming(&four(&json!({})), &json!({}))).await;
    assert_eq!(verdict(&error), ["OUTPUT_TOO_LARGE", "user", "final"]);
    let message = error["error_message"].as_str().unwrap();
    assert!(message.starts_with("picture 0 takes 1000002 bytes"), "{message}");
    assert!(
        error["hint"].as_str().unwrap().contains("worker.output"),
        "{error}"
    );
    assert_eq!(webui.renders().len(), 1, "the other three are not rendered");

    let error = stage
        .fail(&streaming(&four(&json!({})), &json!({ "output": "auto" })))
        .await;
    assert_eq!(verdict(&error), ["OUTPUT_TOO_LARGE", "user", "final"]);
    assert!(
        error["hint"].as_str().unwrap().contains("worker.reencode"),
        "{error}"
    );
}

/// A picture whose file is far larger than it has to be.
fn wasteful() -> Vec<u8> {
    const SIDE: u32 = 600;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, SIDE, SIDE);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::NoCompression);
    let mut writer = encoder.write_header().unwrap();
    writer
        .write_image_data(&vec![90; (SIDE * SIDE * 3) as usize])
        .unwrap();
    writer.finish().unwrap();
    file
}

#[tokio::test]
async fn a_picture_too_large_for_a_chunk_is_re_encoded_where_that_is_allowed() {
    let webui = showing(&wasteful()).await;
    let stage = Stage::new(&webui.url).await;
    let wishes = json!({ "output": "auto", "reencode": "webp" });
    let chunks = chunks(&stage, &streaming(&four(&json!({ "n_iter": 2 })), &wishes)).await;
    assert_eq!(chunks.len(), 2);
    for chunk in &chunks {
        let file = STANDARD.decode(chunk["image"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&chunk["media_type"], &chunk["bytes"]),
            (&json!("image/webp"), &json!(file.len()))
        );
        assert_eq!(&file[8..12], b"WEBP");
    }
}

#[tokio::test]
async fn pictures_that_are_uploaded_are_streamed_as_their_urls() {
    let s3 = S3::start(Uploads::Stored).await;
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &s3.variables()).await;
    let payload = four(&json!({}));
    let chunks = chunks(&stage, &streaming(&payload, &json!({ "output": "upload" }))).await;
    assert!(chunks.iter().all(|chunk| chunk["image"].is_null()));
    let mut uploaded = Vec::new();
    for chunk in &chunks {
        let file = get(chunk["url"].as_str().unwrap()).await;
        assert_eq!(chunk["bytes"], file.len());
        uploaded.push(json!([
            chunk["index"],
            STANDARD.encode(file),
            chunk["seed"],
            chunk["infotext"]
        ]));
    }
    assert_eq!(uploaded, pictures(&stage, &payload).await);

    // What is too large for a chunk goes the same way.
    let large = drawing(750_000).await;
    let stage = Stage::with(&large.url, &s3.variables()).await;
    let chunks = super::chunks(&stage, &streaming(&payload, &json!({ "output": "auto" }))).await;
    assert!(chunks.iter().all(|chunk| chunk["url"].is_string()));
    assert_eq!(s3.uploads(), 8);
}

#[tokio::test]
async fn a_cancel_during_an_upload_renders_no_further_picture() {
    let s3 = S3::start(Uploads::Held).await;
    let webui = MockWebUi::start().await;
    let stage = Stage::with(webui.url(), &s3.variables()).await;
    let job = stage
        .submit(&streaming(&four(&json!({})), &json!({ "output": "upload" })))
        .await;
    s3.uploads_reach(1).await;
    soon(job.cancel()).await.unwrap();
    stage.worker.says("Job stopped.").await;
    // The GPU is free for the next job, and nothing of this one is left.
    stage.complete(&four(&json!({ "n_iter": 1 })).to_string()).await;
    assert_eq!(webui.gpu().renders(), 2);
}

#[tokio::test]
async fn the_list_of_all_chunks_never_grows_beyond_a_result() {
    // Ten of them fit into 10 MB.
    let webui = drawing(740_000).await;
    let s3 = S3::start(Uploads::Stored).await;
    let stage = Stage::with(&webui.url, &s3.variables()).await;
    let twelve = four(&json!({ "n_iter": 12 }));
    let job = stage
        .submit(&streaming(&twelve, &json!({ "aggregate": true })))
        .await;
    let (streamed, error) = read(&job).await;
    assert!(error.is_some());
    assert_eq!((streamed.len(), webui.renders().len()), (10, 11), "it ends there");
    let error = error_of(&soon(job.wait()).await.unwrap());
    assert_eq!(verdict(&error), ["OUTPUT_TOO_LARGE", "user", "final"]);
    let message = error["error_message"].as_str().unwrap();
    assert!(message.starts_with("picture 10 takes 986670 bytes"), "{message}");
    assert!(message.contains("the list of all chunks"), "{message}");
    assert!(
        error["hint"].as_str().unwrap().contains("worker.aggregate"),
        "{error}"
    );

    let wishes = json!({ "aggregate": true, "output": "auto" });
    let report = stage.run(&streaming(&twelve, &wishes)).await;
    let output = report.raw_output().unwrap();
    assert!(output.len() < 10_000_000, "{}", output.len());
    let list: Vec<serde_json::Value> = serde_json::from_slice(output).unwrap();
    let uploaded: Vec<bool> = list.iter().map(|chunk| chunk["url"].is_string()).collect();
    assert_eq!(uploaded, [vec![false; 10], vec![true; 2]].concat());

    // Without the list there is nothing that grows.
    assert_eq!(chunks(&stage, &streaming(&twelve, &json!({}))).await.len(), 12);
}

#[tokio::test]
async fn a_picture_that_just_fits_is_streamed() {
    let webui = drawing(749_000).await;
    let stage = Stage::new(&webui.url).await;
    let chunks = chunks(&stage, &streaming(&four(&json!({})), &json!({}))).await;
    assert_eq!(chunks.len(), 4);
    assert!(chunks.iter().all(|chunk| chunk["bytes"] == 749_000));
}
