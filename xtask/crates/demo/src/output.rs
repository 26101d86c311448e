//! The files a demo leaves behind.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use runpod_sdk::client::JobReport;
use serde::Deserialize;

use crate::pictures::Picture;

/// Writes a job's result as received, and its pictures. Returns the files.
pub(crate) fn write(report: &JobReport, folder: &Path, number: usize) -> anyhow::Result<Vec<PathBuf>> {
    #[derive(Deserialize)]
    struct Pictures {
        images: Vec<String>,
    }
    let mut files = Vec::new();
    let mut save = |name: String, bytes: &[u8]| {
        let file = folder.join(name);
        std::fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
        files.push(file);
        anyhow::Ok(())
    };
    let result = report.raw_output().context("the job completed without output")?;
    save(format!("job-{number}.json"), result)?;
    let pictures: Pictures = report.output().context("the result holds no pictures")?;
    for (index, text) in (1..).zip(&pictures.images) {
        let picture = Picture::decode(text)
            .with_context(|| format!("picture {index} of job {number} is no PNG file"))?;
        let name = match pictures.images.len() {
            1 => format!("job-{number}.png"),
            _ => format!("job-{number}-{index}.png"),
        };
        save(name, &picture.bytes)?;
    }
    Ok(files)
}
