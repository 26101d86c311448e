//! Finds a model that the platform has cached on this machine (`docs/protocol/worker-protocol.md` §15).
//!
//! The search stands in the place of `hf-hub`. Release 1.0 has no form without tokio and reqwest (224 packages).
//! Release 0.5 has one (6 packages), but its cache finds a file and not a folder, only by the exact spelling, and
//! neither by a shortened commit nor by the first snapshot. It would save only the folder's name and one
//! `read_to_string`.

use std::fs;
use std::path::{Path, PathBuf};

use runpod_protocol::ranked;

/// The platform's cache of Hugging Face models.
///
/// ```no_run
/// use runpod_sdk::model_cache::ModelCache;
///
/// let folder = ModelCache::default().find("stabilityai/sdxl-turbo")?;
/// # Ok::<(), runpod_sdk::model_cache::ModelNotCached>(())
/// ```
#[derive(Debug, Clone)]
pub struct ModelCache {
    hub: PathBuf,
    old: PathBuf,
}

impl Default for ModelCache {
    /// The platform's folders: `/runpod-volume/huggingface-cache/hub`, and the older `/runpod/cache`.
    fn default() -> Self {
        Self::at("/runpod-volume/huggingface-cache/hub", "/runpod/cache")
    }
}

/// A model that is not in the cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; looked at {}{}", joined(.looked_at), suggestion(.near))]
#[non_exhaustive]
pub struct ModelNotCached {
    /// What is wrong, in words.
    pub reason: String,
    /// The paths that were searched.
    pub looked_at: Vec<PathBuf>,
    /// Similar models or revisions in the cache, the most similar first, at most three models.
    pub near: Vec<String>,
}

/// The paths in one line.
fn joined(paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return "nothing".to_owned();
    }
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}

/// The similar names as the end of a message.
fn suggestion(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    format!("; there is {}", names.join(", "))
}

/// The parts of `org/name:revision`.
#[derive(Debug, PartialEq, Eq)]
struct ModelName<'a> {
    model: &'a str,
    revision: Option<&'a str>,
}

impl<'a> ModelName<'a> {
    /// Splits the text at the last colon. Each part must be an ordinary name, because it becomes a part of a path.
    fn parse(text: &'a str) -> Option<Self> {
        let (model, revision) = match text.rsplit_once(':') {
            Some((model, "")) => (model, None),
            Some((model, revision)) => (model, Some(revision)),
            None => (text, None),
        };
        let parts = |text: &str| text.split('/').all(is_name);
        let fits = parts(model) && model.split('/').count() <= 2 && revision.is_none_or(parts);
        fits.then_some(Self { model, revision })
    }

    /// The model's folder in Hugging Face's layout.
    fn folder(&self) -> String {
        format!("models--{}", self.model.replace('/', "--"))
    }
}

fn is_name(part: &str) -> bool {
    !part.is_empty()
        && part != "."
        && part != ".."
        && part
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

impl ModelCache {
    /// A cache in other folders: `hub` in Hugging Face's layout, `old` in the layout `{model}/{revision}`.
    pub fn at(hub: impl Into<PathBuf>, old: impl Into<PathBuf>) -> Self {
        Self {
            hub: hub.into(),
            old: old.into(),
        }
    }

    /// Finds the folder with the files of `model`: `org/name` or `org/name:revision`. Case does not matter.
    ///
    /// A revision is a branch, a tag or a commit. Seven or more digits of a commit are enough. Without a revision it is
    /// `main`, or else the first snapshot. The old folder comes last.
    ///
    /// # Errors
    ///
    /// The model is not in the cache. The error lists the searched paths and similar models.
    #[doc(alias = "resolve_model_cache_path_from_hugginface_repository")]
    pub fn find(&self, model: &str) -> Result<PathBuf, ModelNotCached> {
        let Some(wanted) = ModelName::parse(model) else {
            return Err(ModelNotCached {
                reason: format!("{model:?} names no model; write org/name or org/name:revision"),
                looked_at: Vec::new(),
                near: Vec::new(),
            });
        };
        let mut looked_at = Vec::new();
        let mut near = Vec::new();
        match entry(&self.hub, &wanted.folder()) {
            Some(folder) => match snapshot(&folder, wanted.revision, &mut looked_at) {
                Some(found) => return Ok(found),
                None => near = revisions(&folder),
            },
            None => looked_at.push(self.hub.join(wanted.folder())),
        }
        let old = self
            .old
            .join(wanted.model)
            .join(wanted.revision.unwrap_or("main"));
        if old.is_dir() {
            return Ok(old);
        }
        looked_at.push(old);
        if near.is_empty() {
            near = ranked(&wanted.folder(), models(&self.hub), SUGGESTIONS)
                .into_iter()
                .filter_map(|name| Some(name.strip_prefix("models--")?.replacen("--", "/", 1)))
                .collect();
        }
        Err(ModelNotCached {
            reason: format!("the model {model} is not cached"),
            looked_at,
            near,
        })
    }
}

/// The most cached models that an error suggests.
const SUGGESTIONS: usize = 3;

/// The folder of a revision. Searched paths go into `looked_at`.
fn snapshot(folder: &Path, revision: Option<&str>, looked_at: &mut Vec<PathBuf>) -> Option<PathBuf> {
    let snapshots = folder.join("snapshots");
    let named = folder.join("refs").join(revision.unwrap_or("main"));
    if let Ok(commit) = fs::read_to_string(&named)
        && is_name(commit.trim())
        && let Some(found) = entry(&snapshots, commit.trim())
    {
        return Some(found);
    }
    looked_at.push(named);
    match revision {
        // Another revision is another model, so only the commit itself fits.
        Some(revision) => {
            looked_at.push(snapshots.join(revision));
            let mut fitting = names(&snapshots)
                .into_iter()
                .filter(|name| is_commit(revision) && name.starts_with(&revision.to_ascii_lowercase()));
            match (entry(&snapshots, revision), fitting.next(), fitting.next()) {
                (Some(found), ..) => Some(found),
                (None, Some(only), None) => Some(snapshots.join(only)),
                _ => None,
            }
        }
        None => match names(&snapshots).first() {
            Some(first) => Some(snapshots.join(first)),
            None => {
                looked_at.push(snapshots);
                None
            }
        },
    }
}

/// Whether the text is a commit's hash, or enough of its beginning.
fn is_commit(text: &str) -> bool {
    text.len() >= 7 && text.chars().all(|c| c.is_ascii_hexdigit())
}

/// The folder in `parent` with this name: in the same case, or else in another.
fn entry(parent: &Path, name: &str) -> Option<PathBuf> {
    let exact = parent.join(name);
    if is_name(name) && exact.is_dir() {
        return Some(exact);
    }
    let found = names(parent)
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(name))?;
    Some(parent.join(found))
}

/// The names of the folders in `parent`, in order.
fn names(parent: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// The names of the models' folders in the cache.
fn models(hub: &Path) -> Vec<String> {
    let mut models = names(hub);
    models.retain(|name| name.starts_with("models--"));
    models
}

/// The revisions of a model: the named ones, then the commits.
fn revisions(folder: &Path) -> Vec<String> {
    let refs = fs::read_dir(folder.join("refs"));
    let mut found: Vec<String> = refs
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    found.sort();
    found.extend(names(&folder.join("snapshots")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    struct Disk(tempfile::TempDir);

    impl Disk {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn folder(self, path: &str) -> Self {
            fs::create_dir_all(self.0.path().join(path)).unwrap();
            self
        }

        fn file(self, path: &str, text: &str) -> Self {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            self
        }

        fn find(&self, model: &str) -> Result<String, ModelNotCached> {
            let root = self.0.path();
            let found = ModelCache::at(root.join("hub"), root.join("old")).find(model)?;
            Ok(found.strip_prefix(root).unwrap().display().to_string())
        }

        fn said(&self, model: &str) -> String {
            let root = self.0.path().display().to_string();
            self.find(model).unwrap_err().to_string().replace(&root, "")
        }
    }

    fn cached() -> Disk {
        Disk::new()
            .folder(&format!("hub/models--Org--Name/snapshots/{COMMIT}"))
            .folder("hub/models--Org--Name/snapshots/ffff")
            .file("hub/models--Org--Name/refs/main", "ffff\n")
            .file("hub/models--Org--Name/refs/v1", COMMIT)
    }

    #[test]
    fn a_model_is_found_by_its_reference_in_any_case() {
        let disk = cached();
        let main = "hub/models--Org--Name/snapshots/ffff";
        let tagged = format!("hub/models--Org--Name/snapshots/{COMMIT}");
        assert_eq!(disk.find("Org/Name").unwrap(), main);
        assert_eq!(disk.find("org/NAME:main").unwrap(), main);
        assert_eq!(disk.find("Org/Name:").unwrap(), main, "an empty revision is none");
        assert_eq!(disk.find("Org/Name:v1").unwrap(), tagged);
        assert_eq!(disk.find(&format!("Org/Name:{COMMIT}")).unwrap(), tagged);
        assert_eq!(disk.find("Org/Name:01234567").unwrap(), tagged);
    }

    #[test]
    fn without_a_usable_reference_it_is_the_first_snapshot() {
        for reference in ["", "gone", "../../../etc", "a/b"] {
            let disk = Disk::new()
                .folder("hub/models--gpt2/snapshots/bbb")
                .folder("hub/models--gpt2/snapshots/aaa")
                .file("hub/models--gpt2/refs/main", reference);
            assert_eq!(
                disk.find("gpt2").unwrap(),
                "hub/models--gpt2/snapshots/aaa",
                "{reference}"
            );
        }
    }

    #[test]
    fn the_old_path_comes_last() {
        let disk = Disk::new().folder("old/org/name/main").folder("old/org/name/v2");
        assert_eq!(disk.find("org/name").unwrap(), "old/org/name/main");
        assert_eq!(disk.find("org/name:v2").unwrap(), "old/org/name/v2");
    }

    #[test]
    fn another_revision_is_not_taken_for_the_one_that_was_named() {
        assert_eq!(
            cached().said("Org/Name:v2"),
            format!(
                "the model Org/Name:v2 is not cached; looked at /hub/models--Org--Name/refs/v2, \
                 /hub/models--Org--Name/snapshots/v2, /old/Org/Name/v2; there is main, v1, {COMMIT}, ffff"
            )
        );
    }

    #[test]
    fn a_missing_model_names_those_that_are_like_it() {
        assert_eq!(
            cached().folder("hub/models--other--thing").said("Org/Nam"),
            "the model Org/Nam is not cached; looked at /hub/models--Org--Nam, /old/Org/Nam/main; \
             there is Org/Name, other/thing"
        );
    }

    #[test]
    fn a_name_that_would_lead_elsewhere_is_none() {
        for name in [
            "", ":main", "../x", "a/../b", "/etc", "a/b/c", "a//b", "a/b:../c", "a\\b", "a\0b",
        ] {
            let said = cached().said(name);
            assert!(said.contains("names no model"), "{name:?}: {said}");
        }
    }
}
