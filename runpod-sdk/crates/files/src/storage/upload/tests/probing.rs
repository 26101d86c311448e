//! A probe stores, reads and deletes, and says which of them failed.

use super::server::S3Server;
use super::{ACCESS_ID, Bucket, bucket};
use crate::storage::{ProbeStep, UploadError};

#[tokio::test]
async fn storage_that_works_passes_and_nothing_is_left_behind() {
    let server = S3Server::start().await;
    bucket(&server).probe().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    Bucket::directory(folder.path()).probe().await.unwrap();
    let left = std::fs::read_dir(folder.path().join("probe")).unwrap();
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn a_wrong_secret_fails_at_the_first_step() {
    let server = S3Server::start().await;
    let wrong = Bucket::explicit(&server.url(), ACCESS_ID, "wrong".to_owned())
        .bucket("pics")
        .without_pauses()
        .build()
        .unwrap();
    let failed = wrong.probe().await.unwrap_err();
    assert_eq!(failed.step, ProbeStep::Put);
    assert!(
        matches!(failed.source, UploadError::Refused { status: 403, .. }),
        "{failed}"
    );
    assert!(failed.to_string().starts_with("storing an object: "), "{failed}");
}
