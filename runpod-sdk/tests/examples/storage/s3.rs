use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use serde_json::json;
use tokio::net::TcpListener;

use super::{failure, run};

const SECRET: &str = "hunter2hunter2";

/// A real S3 server with a bucket `pics`, as long as the test's runtime lives.
async fn s3(root: &std::path::Path) -> String {
    std::fs::create_dir(root.join("pics")).unwrap();
    let mut service = S3ServiceBuilder::new(FileSystem::new(root).unwrap());
    service.set_auth(SimpleAuth::from_single("AKIATEST", SECRET));
    let service = service.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_output_gives_a_link_that_works() {
    let root = tempfile::tempdir().unwrap();
    let url = s3(root.path()).await;
    let job = json!({ "id": "job-1", "input": { "shade": 7 } });
    let mut variables = [
        ("BUCKET_ENDPOINT_URL", url.as_str()),
        ("BUCKET_ACCESS_KEY_ID", "AKIATEST"),
        ("BUCKET_SECRET_ACCESS_KEY", SECRET),
        ("BUCKET_NAME", "pics"),
    ];
    let (code, result) = run("s3_output", &job, &variables);
    assert_eq!(code, 0, "{result}");
    let link = result["output"]["url"].as_str().unwrap();
    assert!(
        link.starts_with(&format!("{url}/pics/job-1/picture.pgm?")),
        "{link}"
    );
    // This test's own client wants a provider for TLS that it never uses.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let picture = reqwest::get(link).await.unwrap().bytes().await.unwrap();
    assert!(picture.starts_with(b"P5 16 16 255\n\x07\x07"));

    variables[2].1 = "not the secret";
    let (code, result) = run("s3_output", &job, &variables);
    assert_eq!(code, 1);
    assert_eq!(failure(&result)["code"], "UPLOAD_REFUSED");
    let hint = failure(&result)["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("BUCKET_SECRET_ACCESS_KEY"), "{hint}");
}

#[test]
fn s3_output_without_storage_says_what_to_set() {
    let job = json!({ "input": { "shade": 7 } });
    let (code, result) = run("s3_output", &job, &[]);
    assert_eq!(
        (code, &failure(&result)["code"]),
        (1, &json!("UPLOAD_NOT_CONFIGURED"))
    );
}
