//! Links for clients without credentials.

use std::time::Duration;

use super::*;

async fn get(url: &str) -> (u16, Option<String>, String) {
    let response = reqwest::get(url).await.unwrap();
    let status = response.status().as_u16();
    let media_type = response
        .headers()
        .get("content-type")
        .map(|value| value.to_str().unwrap().to_owned());
    (status, media_type, response.text().await.unwrap())
}

#[tokio::test]
async fn a_presigned_link_needs_no_key() {
    let server = S3Server::start().await;
    let uploaded = bucket(&server)
        .put("job-1/a b+ü.jpg", "a picture", None)
        .await
        .unwrap();
    assert!(uploaded.url.contains("X-Amz-Expires=604800"), "{}", uploaded.url);
    let (status, media_type, body) = get(&uploaded.url).await;
    assert_eq!(
        (status, media_type.as_deref(), body.as_str()),
        (200, Some("image/jpeg"), "a picture")
    );
}

#[tokio::test]
async fn a_given_content_type_is_what_readers_see() {
    let server = S3Server::start().await;
    for (length, media_type) in [(3, "image/webp"), (8 << 20, "application/x-large")] {
        let uploaded = bucket(&server)
            .put("a.png", vec![b'x'; length], media_type)
            .await
            .unwrap();
        assert_eq!(get(&uploaded.url).await.1.as_deref(), Some(media_type));
    }
}

#[tokio::test]
async fn a_link_lasts_as_long_as_is_said_and_at_most_a_week() {
    let server = S3Server::start().await;
    for (time, seconds) in [(60, 60), (0, 1), (10_000_000, 604_800)] {
        let bucket = bucket(&server).link(Link::Presigned(Duration::from_secs(time)));
        let uploaded = bucket.put("a.png", "x", None).await.unwrap();
        assert!(
            uploaded.url.contains(&format!("X-Amz-Expires={seconds}&")),
            "{}",
            uploaded.url
        );
    }
}

#[tokio::test]
async fn a_changed_link_is_refused() {
    let server = S3Server::start().await;
    let uploaded = bucket(&server).put("a.png", "x", None).await.unwrap();
    let longer = uploaded
        .url
        .replace("X-Amz-Expires=604800", "X-Amz-Expires=604799");
    assert_eq!(get(&longer).await.0, 403);
    assert_eq!(get(&uploaded.url.replace("/a.png", "/b.png")).await.0, 403);
}

#[tokio::test]
async fn a_plain_link_is_the_objects_address() {
    let server = S3Server::start().await;
    let uploaded = bucket(&server)
        .link(Link::Plain)
        .put("job-1/a b.png", "x", None)
        .await
        .unwrap();
    assert_eq!(uploaded.url, format!("{}/pics/job-1/a%20b.png", server.url()));
    assert_eq!(get(&uploaded.url).await.0, 403, "the storage wants a signature");
}

#[tokio::test]
async fn a_links_signature_is_in_no_debug_output() {
    let server = S3Server::start().await;
    let uploaded = bucket(&server).put("a.png", "x", None).await.unwrap();
    let shown = format!("{uploaded:?}");
    assert!(
        shown.contains("/pics/a.png?…") && !shown.contains("Signature"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_secret_is_in_no_debug_output() {
    let builder = at("http://127.0.0.1:9");
    assert!(!format!("{builder:?}").contains(SECRET));
    assert!(!format!("{:?}", builder.build().unwrap()).contains(SECRET));
}

#[tokio::test]
async fn links_follow_the_style_of_the_endpoint() {
    for (endpoint, bucket, url) in [
        (
            "https://s3.eu-west-1.amazonaws.com",
            "pics",
            "https://pics.s3.eu-west-1.amazonaws.com/a.png",
        ),
        (
            "https://s3.eu-west-1.amazonaws.com",
            "my.pics",
            "https://s3.eu-west-1.amazonaws.com/my.pics/a.png",
        ),
        (
            "https://pics.nyc3.digitaloceanspaces.com",
            "pics",
            "https://pics.nyc3.digitaloceanspaces.com/a.png",
        ),
        (
            "https://nyc3.digitaloceanspaces.com",
            "pics",
            "https://nyc3.digitaloceanspaces.com/pics/a.png",
        ),
        (
            "https://x.supabase.co/storage/v1/s3",
            "pics",
            "https://x.supabase.co/storage/v1/s3/pics/a.png",
        ),
    ] {
        let bucket = Bucket::explicit(endpoint, ACCESS_ID, SECRET.to_owned())
            .bucket(bucket)
            .build()
            .unwrap();
        let super::super::bucket::StorageBackend::S3(s3) = &*bucket.backend else {
            panic!("no S3")
        };
        let path = "a.png".into();
        assert_eq!(s3.link(&path, Link::Plain).await.unwrap(), url);
        let signed = s3.link(&path, Link::default()).await.unwrap();
        let region = if endpoint.contains("nyc3") {
            "nyc3"
        } else if endpoint.contains("eu-west-1") {
            "eu-west-1"
        } else {
            "us-east-1"
        };
        assert!(
            signed.contains(&format!("%2F{region}%2Fs3%2Faws4_request")),
            "{signed}"
        );
    }
}
