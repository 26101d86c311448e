//! The WebUI's lists. They are kept, and fetched once more when a name is missing.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Mutex;
use tracing::debug;

use super::finding::Finding;
use super::names::Named;
use super::scripts::Script;
use crate::nearest::nearest;
use crate::webui::WebUi;

/// One of the WebUI's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum List {
    Samplers,
    Schedulers,
    Checkpoints,
    Vaes,
    Loras,
    Hypernetworks,
    FaceRestorers,
    Embeddings,
    /// Embeddings that exist and do not fit the current model.
    SkippedEmbeddings,
    Upscalers,
    /// The upscalers, with those that work on the unfinished picture.
    HiresUpscalers,
    Styles,
    TextScripts,
    PictureScripts,
    ControlModules,
    ControlModels,
    /// The fields of a route.
    TextFields,
    PictureFields,
}

/// A list as it was last fetched; `None` if this WebUI has no such list.
type Seen = Option<Arc<Vec<Entry>>>;

/// An entry, with all names that the WebUI accepts for it. Messages show the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    names: Vec<String>,
    /// A style's own texts.
    style: Option<Value>,
}

#[derive(Debug)]
pub(super) struct Catalogue {
    webui: WebUi,
    seen: Mutex<HashMap<List, Seen>>,
    scripts: Mutex<Option<Arc<Vec<Script>>>>,
}

impl Catalogue {
    pub(super) fn new(webui: WebUi) -> Self {
        Self {
            webui,
            seen: Mutex::default(),
            scripts: Mutex::default(),
        }
    }

    /// A finding if a name is missing. The list is fetched again before, because a file may have been added since.
    /// `None` also if there is no list.
    pub(super) async fn look_up(&self, named: Named) -> Option<Finding> {
        let Named { field, name, list } = named;
        for fresh in [false, true] {
            let entries = self.list(list, fresh).await?;
            if entries.iter().any(|entry| list.has(entry, &name)) || self.is_split(list, &name).await {
                return None;
            }
            if fresh {
                let known = entries.iter().flat_map(|entry| &entry.names);
                let meant = nearest(&name, known.map(String::as_str));
                return Some(Finding::unknown(field, list.kind(), &name, meant));
            }
        }
        None
    }

    /// Whether the WebUI splits the name itself, such as "DPM++ 2M Karras": 1.10 and later do.
    async fn is_split(&self, list: List, name: &str) -> bool {
        if list != List::Samplers {
            return false;
        }
        let Some(schedulers) = self.list(List::Schedulers, false).await else {
            return false;
        };
        let Some(samplers) = self.list(List::Samplers, false).await else {
            return false;
        };
        schedulers.iter().any(|entry| entry.is("align_your_steps"))
            && schedulers.iter().flat_map(|entry| &entry.names).any(|ending| {
                name.strip_suffix(ending.as_str())
                    .and_then(|name| name.strip_suffix(' '))
                    .is_some_and(|name| samplers.iter().any(|sampler| sampler.is(name)))
            })
    }

    /// The entry that the WebUI uses for a name.
    pub(super) async fn find(&self, list: List, name: &str) -> Option<Entry> {
        let entries = self.list(list, false).await?;
        let exact = entries.iter().find(|entry| entry.is(name));
        exact
            .or_else(|| entries.iter().find(|entry| list.has(entry, name)))
            .cloned()
    }

    /// Whether the WebUI's settings leave `LoRA`s out of infotexts.
    pub(super) async fn hides_loras(&self) -> bool {
        let options: Result<Value, _> = self.webui.list("/sdapi/v1/options").await;
        options.is_ok_and(|options| options["lora_add_hashes_to_infotext"] == false)
    }

    /// The scripts with their arguments; `None` if this WebUI does not list them.
    pub(super) async fn scripts(&self) -> Option<Arc<Vec<Script>>> {
        let mut known = self.scripts.lock().await;
        if known.is_none() {
            match self.webui.list::<Vec<Script>>("/sdapi/v1/script-info").await {
                Ok(scripts) => *known = Some(Arc::new(scripts)),
                Err(error) => debug!(%error, "the arguments of scripts are not checked"),
            }
        }
        known.clone()
    }

    pub(super) async fn list(&self, list: List, fresh: bool) -> Seen {
        let known = self.seen.lock().await.get(&list).cloned();
        match known {
            Some(seen) if !fresh => seen,
            _ => {
                let seen = self.ask(list).await?;
                let seen = seen.map(Arc::new);
                self.seen.lock().await.insert(list, seen.clone());
                seen
            }
        }
    }

    /// Fetches a list. The outer `None` means that the WebUI could not be asked now.
    async fn ask(&self, list: List) -> Option<Option<Vec<Entry>>> {
        let mut entries = Vec::new();
        let mut answered = false;
        for (route, read) in list.routes() {
            match self.webui.list::<Value>(route).await {
                Ok(answer) => {
                    answered = true;
                    entries.extend(read(&answer).into_iter().filter(|entry| !entry.names.is_empty()));
                }
                // Another version's, or an extension that is not there.
                Err(error) if matches!(error.status(), Some(404 | 405)) => {}
                Err(error) => {
                    debug!(%error, route, "a list can't be had, so its names are not checked");
                    return None;
                }
            }
        }
        let is_known = !entries.is_empty() || (answered && list.may_be_empty());
        Some(is_known.then_some(entries))
    }
}

impl Entry {
    fn of(value: &Value, keys: &[&str]) -> Self {
        let names = keys
            .iter()
            .filter_map(|key| value.get(key)?.as_str())
            .filter(|name| !name.is_empty());
        Self {
            names: names.map(str::to_owned).collect(),
            style: None,
        }
    }

    fn named(name: &str) -> Self {
        Self {
            names: vec![name.to_owned()],
            style: None,
        }
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The texts of a style.
    pub(super) fn style(&self) -> Option<&Value> {
        self.style.as_ref()
    }

    /// Whether it is the checkpoint that an answer calls `got`: by its file's name without folder and extension.
    pub(super) fn is_checkpoint(&self, got: &str) -> bool {
        self.names.iter().any(|name| {
            let file = name.split(" [").next().unwrap_or(name);
            let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
            name == got || stem == got || stem.rsplit(['/', '\\']).next() == Some(got)
        })
    }
}

/// The route of a list, and the function that reads it.
type Source = (&'static str, fn(&Value) -> Vec<Entry>);

impl List {
    fn routes(self) -> Vec<Source> {
        const UPSCALERS: Source = ("/sdapi/v1/upscalers", |list| objects(list, &["name"]));
        match self {
            Self::Samplers => vec![("/sdapi/v1/samplers", |list| objects(list, &["name"]))],
            Self::Schedulers => vec![("/sdapi/v1/schedulers", |list| objects(list, &["label", "name"]))],
            Self::Checkpoints => vec![("/sdapi/v1/sd-models", checkpoints)],
            Self::Vaes => vec![
                ("/sdapi/v1/sd-vae", |list| objects(list, &["model_name"])),
                ("/sdapi/v1/sd-modules", |list| objects(list, &["model_name"])),
            ],
            Self::Loras => vec![("/sdapi/v1/loras", |list| objects(list, &["name", "alias"]))],
            Self::Hypernetworks => vec![("/sdapi/v1/hypernetworks", |list| objects(list, &["name"]))],
            Self::FaceRestorers => vec![("/sdapi/v1/face-restorers", |list| objects(list, &["name"]))],
            Self::Embeddings => vec![("/sdapi/v1/embeddings", |list| keys(&list["loaded"]))],
            Self::SkippedEmbeddings => vec![("/sdapi/v1/embeddings", |list| keys(&list["skipped"]))],
            Self::Upscalers => vec![UPSCALERS],
            Self::HiresUpscalers => vec![
                UPSCALERS,
                ("/sdapi/v1/latent-upscale-modes", |list| objects(list, &["name"])),
            ],
            Self::Styles => vec![("/sdapi/v1/prompt-styles", styles)],
            Self::TextScripts => vec![("/sdapi/v1/scripts", |list| texts(&list["txt2img"]))],
            Self::PictureScripts => vec![("/sdapi/v1/scripts", |list| texts(&list["img2img"]))],
            Self::ControlModules => vec![("/controlnet/module_list", |list| texts(&list["module_list"]))],
            Self::ControlModels => vec![("/controlnet/model_list", |list| texts(&list["model_list"]))],
            Self::TextFields => vec![("/openapi.json", |page| fields(page, "/sdapi/v1/txt2img"))],
            Self::PictureFields => vec![("/openapi.json", |page| fields(page, "/sdapi/v1/img2img"))],
        }
    }

    /// Whether an empty list means that there are no entries. Other empty lists count as unreadable.
    fn may_be_empty(self) -> bool {
        matches!(
            self,
            Self::Loras | Self::Hypernetworks | Self::Styles | Self::Vaes | Self::Embeddings
        )
    }

    /// Whether the WebUI uses this entry for `name`.
    fn has(self, entry: &Entry, name: &str) -> bool {
        match self {
            // It also takes any part of a title.
            Self::Checkpoints => {
                entry.is(name) || entry.names.first().is_some_and(|title| title.contains(name))
            }
            Self::TextScripts | Self::PictureScripts | Self::ControlModules => {
                entry.names.iter().any(|own| own.eq_ignore_ascii_case(name))
            }
            // "canny [d14c016b]" is found without its hash, too.
            Self::ControlModels => entry.names.iter().any(|own| {
                let stem = own.rsplit_once(" [").map_or(own.as_str(), |(stem, _)| stem);
                own.eq_ignore_ascii_case(name) || stem.eq_ignore_ascii_case(name)
            }),
            _ => entry.is(name),
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Samplers => "sampler",
            Self::Schedulers => "scheduler",
            Self::Checkpoints => "checkpoint",
            Self::Vaes => "VAE",
            Self::Loras => "LoRA",
            Self::Hypernetworks => "hypernetwork",
            Self::FaceRestorers => "face restorer",
            Self::Embeddings | Self::SkippedEmbeddings => "embedding",
            Self::Upscalers | Self::HiresUpscalers => "upscaler",
            Self::Styles => "style",
            Self::TextScripts | Self::PictureScripts => "script",
            Self::ControlModules => "ControlNet preprocessor",
            Self::ControlModels => "ControlNet model",
            Self::TextFields | Self::PictureFields => "field",
        }
    }
}

fn objects(list: &Value, keys: &[&str]) -> Vec<Entry> {
    let items = list.as_array().into_iter().flatten();
    items.map(|item| Entry::of(item, keys)).collect()
}

fn texts(list: &Value) -> Vec<Entry> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(Entry::named).collect()
}

fn styles(list: &Value) -> Vec<Entry> {
    let items = list.as_array().into_iter().flatten();
    let entry = |item: &Value| Entry {
        style: Some(item.clone()),
        ..Entry::of(item, &["name"])
    };
    items.map(entry).collect()
}

fn keys(object: &Value) -> Vec<Entry> {
    let items = object.as_object().into_iter().flatten();
    items.map(|(name, _)| Entry::named(name)).collect()
}

/// A checkpoint goes by its title, its file, its name and its hashes (§9).
fn checkpoints(list: &Value) -> Vec<Entry> {
    let mut entries = objects(list, &["title", "model_name", "hash", "sha256", "filename"]);
    for entry in &mut entries {
        let files: Vec<String> = entry
            .names
            .iter()
            .filter_map(|name| name.rsplit(['/', '\\']).next())
            .map(str::to_owned)
            .collect();
        entry.names.extend(files);
    }
    entries
}

/// The fields of a route's body, from the page that the web framework makes of the running server.
fn fields(page: &Value, route: &str) -> Vec<Entry> {
    let path = route.replace('/', "~1");
    let schema = page
        .pointer(&format!(
            "/paths/{path}/post/requestBody/content/application~1json/schema"
        ))
        .and_then(|schema| match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => page.pointer(reference.trim_start_matches('#')),
            None => Some(schema),
        });
    let properties = schema.and_then(|schema| schema.get("properties")?.as_object());
    properties
        .into_iter()
        .flatten()
        .map(|(name, _)| Entry::named(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_checkpoint_has_many_names() {
        let entries = checkpoints(&json!([{
            "title": "sd/model.safetensors [0123456789]", "model_name": "sd_model", "hash": "0123456789",
            "sha256": null, "filename": "/models/sd/model.safetensors"
        }]));
        for name in [
            "sd/model.safetensors [0123456789]",
            "sd_model",
            "0123456789",
            "model.safetensors",
            "sd/model",
        ] {
            assert!(List::Checkpoints.has(&entries[0], name), "{name}");
        }
        assert!(!List::Checkpoints.has(&entries[0], "other"));
    }

    #[test]
    fn fields_come_from_the_server_s_own_page() {
        let page = json!({
            "paths": { "/sdapi/v1/txt2img": { "post": { "requestBody": { "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/Txt" } } } } } } },
            "components": { "schemas": { "Txt": { "properties": { "prompt": {}, "steps": {} } } } },
        });
        assert_eq!(
            fields(&page, "/sdapi/v1/txt2img"),
            [Entry::named("prompt"), Entry::named("steps")]
        );
        assert!(fields(&page, "/sdapi/v1/img2img").is_empty());
    }
}
