//! How single pictures are delivered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runpod_sdk::json::RawJson;
use serde_json::json;

use super::super::storage::OwnBucket;
use super::*;
use crate::code::Explain as _;

const PNG: &[u8] = include_bytes!("../../../../tests/fixtures/webui/v1.10.1/txt2img-minimal.png");

fn picture() -> Picture {
    let answer = json!({ "images": [STANDARD.encode(PNG)] });
    Picture::all_of(&RawJson::from(answer)).remove(0)
}

fn delivery(mode: OutputMode, encoding: Option<Encoding>, bucket: Option<Bucket>) -> Delivery {
    Delivery {
        mode,
        encoding,
        storage: Storage::for_test(bucket, &OwnBucket::default()),
        job: "job-1".into(),
        limit: 10_000_000,
        ctx: None,
    }
}

/// Bytes of JSON that the picture takes as it is.
fn whole() -> usize {
    STANDARD.encode(PNG).len() + 2
}

fn code(error: &OutputError) -> (String, String) {
    (error.code().code().to_string(), error.to_string())
}

#[tokio::test]
async fn a_picture_that_fits_goes_as_it_is() {
    for mode in [OutputMode::Inline, OutputMode::Auto] {
        let delivered = delivery(mode, Some(Encoding::WebP), None)
            .picture(&picture(), whole())
            .await
            .unwrap();
        assert_eq!(delivered.base64(), Some(STANDARD.encode(PNG).as_str()));
        assert_eq!(
            (delivered.media_type(), delivered.bytes()),
            ("image/png", PNG.len())
        );
        assert_eq!(delivered.url(), None);
    }
}

#[tokio::test]
async fn one_byte_too_many_is_re_encoded_if_that_is_allowed() {
    let encoding = Encoding::Jpeg { quality: 50 };
    let auto = delivery(OutputMode::Auto, Some(encoding), None);
    let delivered = auto.picture(&picture(), whole() - 1).await.unwrap();
    let file = STANDARD.decode(delivered.base64().unwrap()).unwrap();
    assert_eq!(PictureKind::of(&file), Some(PictureKind::Jpeg));
    assert_eq!(
        (delivered.media_type(), delivered.bytes()),
        ("image/jpeg", file.len())
    );
}

#[tokio::test]
async fn a_codec_that_panics_leaves_the_picture_as_it_was() {
    let delivered = made_smaller(picture(), PictureKind::WebP, |_| panic!("a codec's mistake")).await;
    assert!(delivered.is_as_it_was());
    assert_eq!(delivered.media_type(), "image/png");
}

#[tokio::test]
async fn one_byte_too_many_is_uploaded_if_there_is_a_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = || Some(Bucket::directory(folder.path()));
    for (mode, room) in [(OutputMode::Auto, whole() - 1), (OutputMode::Upload, usize::MAX)] {
        let delivered = delivery(mode, None, bucket())
            .picture(&picture(), room)
            .await
            .unwrap();
        let url = delivered.url().unwrap();
        assert!(url.ends_with("job-1/0.png"), "{url}");
        assert_eq!(std::fs::read(url).unwrap(), PNG);
        std::fs::remove_file(url).unwrap();
    }
    // Too small a room for what re-encoding gives.
    let jpeg = Some(Encoding::Jpeg { quality: 50 });
    let delivered = delivery(OutputMode::Auto, jpeg, bucket())
        .picture(&picture(), 100)
        .await
        .unwrap();
    assert_eq!((delivered.url().is_some(), delivered.bytes()), (true, PNG.len()));
}

#[tokio::test]
async fn a_picture_that_can_t_be_made_to_fit_is_an_error_with_its_sizes() {
    let error = delivery(OutputMode::Inline, None, None)
        .picture(&picture(), 100)
        .await
        .unwrap_err();
    let (code_of_it, message) = code(&error);
    assert_eq!(code_of_it, "OUTPUT_TOO_LARGE");
    assert_eq!(
        message,
        format!(
            "picture 0 takes {} bytes, more than the 100 that the platform takes",
            whole()
        )
    );
    let webp = Some(Encoding::WebP);
    let error = delivery(OutputMode::Auto, webp, None)
        .picture(&picture(), 100)
        .await
        .unwrap_err();
    let (_, message) = code(&error);
    assert!(
        message.contains("re-encoded still") && message.ends_with("no bucket to upload to"),
        "{message}"
    );
}

#[tokio::test]
async fn an_upload_without_a_bucket_is_an_error() {
    let error = delivery(OutputMode::Upload, None, None)
        .picture(&picture(), 100)
        .await
        .unwrap_err();
    assert_eq!(code(&error).0, "UPLOAD_NOT_CONFIGURED");
}
