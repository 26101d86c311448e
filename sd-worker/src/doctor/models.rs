//! Checks that checkpoints are whole, and where the WebUI looks for them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::checkpoint::{fault, has_name_of_one};
use super::finding::{Finding, Section};

/// The size from which a file is taken for a checkpoint. Low-rank adapters, VAEs and embeddings are smaller.
const LIKE_A_CHECKPOINT: u64 = 1 << 30;
/// The most files that are listed for one fault. A folder may hold hundreds.
const MOST: usize = 10;

/// Folders with checkpoints.
#[derive(Debug, Default, Clone)]
pub(super) struct Folders {
    /// The folder that the WebUI reads.
    pub(super) checkpoints: Option<PathBuf>,
    /// Folders into which they are put by mistake.
    pub(super) elsewhere: Vec<PathBuf>,
}

/// `listed`: the file names that the WebUI itself lists, if it could be asked.
pub(super) fn look(folders: &Folders, listed: Option<&BTreeSet<String>>) -> Section {
    let mut findings = Vec::new();
    match listed {
        Some(listed) if listed.is_empty() => findings.push(Finding::failure(
            "the WebUI lists no checkpoint, so every render will fail",
            format!(
                "put one into {}",
                folders.checkpoints.as_deref().map_or_else(
                    || "the WebUI's models/Stable-diffusion".to_owned(),
                    |folder| folder.display().to_string()
                )
            ),
        )),
        Some(listed) => findings.push(Finding::good(format!(
            "the WebUI lists {} checkpoint(s)",
            listed.len()
        ))),
        None => {}
    }
    match &folders.checkpoints {
        None => findings.push(Finding::note(
            "where the WebUI keeps its checkpoints is not known; name the folder with --models-dir",
        )),
        Some(folder) if !folder.is_dir() => findings.push(Finding::note(format!(
            "{} is not to be seen from here, so its files are not checked",
            folder.display()
        ))),
        Some(folder) => {
            let files = files_below(folder, 2);
            findings.extend(files.iter().filter_map(|file| broken(file)).take(MOST));
            findings.extend(unlisted(&files, listed).take(MOST));
        }
    }
    findings.extend(misplaced(folders).take(MOST));
    if findings.is_empty() {
        findings.push(Finding::good("every checkpoint is whole"));
    }
    Section {
        title: "Models",
        findings,
    }
}

fn broken(file: &Path) -> Option<Finding> {
    let why = fault(file)?;
    Some(Finding::failure(
        format!("{}: {why}", file.display()),
        "download the file again, or take it away",
    ))
}

/// Files that are whole and yet not in the WebUI's list: it lists what was there when it started.
fn unlisted<'a>(
    files: &'a [PathBuf],
    listed: Option<&'a BTreeSet<String>>,
) -> impl Iterator<Item = Finding> + 'a {
    let listed = listed.into_iter();
    listed.flat_map(move |listed| {
        files.iter().filter_map(move |file| {
            let name = file.file_name()?.to_string_lossy().into_owned();
            (has_name_of_one(file) && fault(file).is_none() && !listed.contains(&name)).then(|| {
                Finding::warning(
                    format!("{}: not in the WebUI's list", file.display()),
                    "restart the WebUI, or POST /sdapi/v1/refresh-checkpoints",
                )
            })
        })
    })
}

/// Files as large as checkpoints in folders where the WebUI does not look for them.
fn misplaced(folders: &Folders) -> impl Iterator<Item = Finding> + '_ {
    let home = folders.checkpoints.as_deref();
    let seen: BTreeSet<PathBuf> = folders
        .elsewhere
        .iter()
        .flat_map(|folder| files_below(folder, 2))
        .collect();
    seen.into_iter().filter_map(move |file| {
        let inside = home.is_some_and(|home| file.starts_with(home));
        let large = std::fs::metadata(&file).is_ok_and(|facts| facts.len() >= LIKE_A_CHECKPOINT);
        (!inside && large && has_name_of_one(&file)).then(|| {
            Finding::warning(
                format!(
                    "{}: as large as a checkpoint, and not where the WebUI looks for one",
                    file.display()
                ),
                home.map_or_else(
                    || {
                        "move it to the WebUI's models/Stable-diffusion, or start the WebUI with --ckpt-dir"
                            .to_owned()
                    },
                    |home| {
                        format!(
                            "move it to {}, or start the WebUI with --ckpt-dir",
                            home.display()
                        )
                    },
                ),
            )
        })
    })
}

/// Files in a folder, and in its folders down to the given number of levels. Unreadable ones are left out.
fn files_below(folder: &Path, levels: u32) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_file() {
            files.push(path);
        } else if levels > 0 && path.is_dir() {
            files.extend(files_below(&path, levels - 1));
        }
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::super::finding::Verdict;
    use super::*;

    /// A file of that size that takes no room.
    fn file(path: &Path, size: u64) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path).unwrap().set_len(size).unwrap();
    }

    #[test]
    fn missing_unlisted_misplaced_and_broken_models_are_named_with_the_remedy() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("models/Stable-diffusion");
        file(&home.join("good.ckpt"), 100);
        file(&home.join("new.ckpt"), 100);
        file(&home.join("empty.safetensors"), 0);
        file(
            &root.path().join("models/Lora/model.safetensors"),
            LIKE_A_CHECKPOINT,
        );
        file(&root.path().join("models/Lora/lora.safetensors"), 1 << 20);
        let folders = Folders {
            checkpoints: Some(home),
            elsewhere: vec![root.path().join("models")],
        };
        let listed = BTreeSet::from(["good.ckpt".to_owned()]);
        let text = format!("{:#?}", look(&folders, Some(&listed)).findings);
        insta::assert_snapshot!(text.replace(root.path().to_str().unwrap(), "[webui]"));

        let nothing = look(&folders, Some(&BTreeSet::new())).findings;
        assert_eq!(nothing[0].verdict, Verdict::Failure);
        assert!(
            nothing[0]
                .fix
                .as_ref()
                .unwrap()
                .ends_with("models/Stable-diffusion")
        );
    }
}
