//! Checks the bucket for pictures.

use runpod_sdk::IntoJobError as _;
use runpod_sdk::storage::{Bucket, Origin, ProbeStep, UploadError};

use super::finding::{Finding, Section};
use crate::settings::OutputMode;

/// `output`: where the pictures of a job go that names no place itself.
pub(super) async fn look(configured: Result<Option<Bucket>, UploadError>, output: OutputMode) -> Section {
    let origin = configured
        .as_ref()
        .ok()
        .and_then(|bucket| bucket.as_ref()?.origin());
    let finding = match configured {
        Ok(None) if output == OutputMode::Upload => Finding::warning(
            "no bucket is configured: with --output upload, jobs without an s3Config are refused",
            "set BUCKET_ENDPOINT_URL, BUCKET_ACCESS_KEY_ID and BUCKET_SECRET_ACCESS_KEY, or --output auto",
        ),
        Ok(None) => {
            Finding::note("no bucket is configured (BUCKET_ENDPOINT_URL): pictures can't be uploaded")
        }
        Err(error) => Finding::failure(error.to_string(), fix(&error)),
        Ok(Some(bucket)) => match bucket.probe().await {
            Ok(()) => Finding::good("the bucket takes, gives back and deletes an object"),
            Err(failed) if failed.step == ProbeStep::Put => {
                Finding::failure(failed.to_string(), fix(&failed.source))
            }
            Err(failed) => Finding::warning(
                format!("pictures can be stored, but {failed}"),
                "that is enough for uploads; links can be read only if the key may read",
            ),
        },
    };
    let mut findings = vec![finding];
    if origin == Some(Origin::AwsEnvironment) {
        findings.push(Finding::note(format!(
            "the bucket is the one of {}",
            Origin::AwsEnvironment
        )));
    }
    Section {
        title: "Storage",
        findings,
    }
}

fn fix(error: &UploadError) -> String {
    error
        .hint()
        .unwrap_or("look at the BUCKET_… variables".into())
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[tokio::test]
    async fn a_bucket_that_is_not_there_is_told_apart_from_none() {
        assert_eq!(
            look(Ok(None), OutputMode::Auto).await.findings[0].verdict,
            Verdict::Note
        );
        let wanted = look(Ok(None), OutputMode::Upload).await;
        assert_eq!(wanted.findings[0].verdict, Verdict::Warning);
        let folder = tempfile::tempdir().unwrap();
        let found = look(Ok(Some(Bucket::directory(folder.path()))), OutputMode::Auto).await;
        assert_eq!(found.findings[0].verdict, Verdict::Good);
        std::fs::write(folder.path().join("file"), "").unwrap();
        let found = look(
            Ok(Some(Bucket::directory(folder.path().join("file")))),
            OutputMode::Auto,
        )
        .await;
        assert_eq!(found.findings[0].verdict, Verdict::Failure);
        assert!(found.findings[0].fix.is_some());
    }
}
