//! The WebUI's lists: their routes, their entries, and the names that an entry has.

use serde_json::Value;

/// One of the WebUI's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum List {
    Samplers,
    Schedulers,
    /// Checkpoints by the names that a second pass and the refiner take.
    Checkpoints,
    /// Checkpoints by the names that `override_settings` takes. Any other is passed over there.
    OverrideCheckpoints,
    Vaes,
    /// Forge's text encoders and VAEs.
    Modules,
    Presets,
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

/// An entry, with all names that the WebUI accepts for it. Messages show the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListEntry {
    names: Vec<String>,
    /// More names, which count only at the end of a sampler's name.
    aliases: Vec<String>,
    /// A style's own texts.
    style: Option<Value>,
}

impl ListEntry {
    fn of(value: &Value, keys: &[&str]) -> Self {
        let names = keys
            .iter()
            .filter_map(|key| value.get(key)?.as_str())
            .filter(|name| !name.is_empty());
        Self {
            names: names.map(str::to_owned).collect(),
            aliases: Vec::new(),
            style: None,
        }
    }

    fn named(name: &str) -> Self {
        Self {
            names: vec![name.to_owned()],
            aliases: Vec::new(),
            style: None,
        }
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The first name.
    pub(super) fn title(&self) -> &str {
        self.names.first().map(String::as_str).unwrap_or_default()
    }

    /// The names of a scheduler at the end of a sampler's name.
    pub(super) fn endings(&self) -> impl Iterator<Item = &str> {
        self.names.iter().chain(&self.aliases).map(String::as_str)
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
pub(super) type Source = (&'static str, fn(&Value) -> Vec<ListEntry>);

impl List {
    /// The routes that the list comes from. Some lists are joined of several.
    pub(super) fn routes(self) -> Vec<Source> {
        const MODULES: Source = ("/sdapi/v1/sd-modules", |list| objects(list, &["model_name"]));
        const UPSCALERS: Source = ("/sdapi/v1/upscalers", |list| objects(list, &["name"]));
        match self {
            Self::Samplers => vec![("/sdapi/v1/samplers", |list| objects(list, &["name"]))],
            Self::Schedulers => vec![("/sdapi/v1/schedulers", schedulers)],
            Self::Checkpoints => vec![("/sdapi/v1/sd-models", checkpoints)],
            Self::OverrideCheckpoints => vec![("/sdapi/v1/sd-models", override_checkpoints)],
            Self::Modules => vec![MODULES],
            // It is a setting of Forge, which has no list of them.
            Self::Presets => vec![("/sdapi/v1/sd-modules", |_| {
                ["sd", "xl", "flux", "all"].map(ListEntry::named).into()
            })],
            Self::Vaes => vec![
                ("/sdapi/v1/sd-vae", |list| objects(list, &["model_name"])),
                MODULES,
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
    pub(super) fn may_be_empty(self) -> bool {
        matches!(
            self,
            Self::Loras | Self::Hypernetworks | Self::Styles | Self::Vaes | Self::Modules | Self::Embeddings
        )
    }

    /// Whether the WebUI uses this entry for `name`.
    pub(super) fn has(self, entry: &ListEntry, name: &str) -> bool {
        match self {
            // It also takes any part of a title, and leaves a hash in brackets out of the comparison.
            Self::Checkpoints => {
                let title = entry.title();
                entry.is(name) || title.contains(name) || title.contains(without_hash(name))
            }
            // It looks at the file's name alone.
            Self::Modules => entry.is(name.rsplit(['/', '\\']).next().unwrap_or(name)),
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

    /// What its entries are called in messages.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Samplers => "sampler",
            Self::Schedulers => "scheduler",
            Self::Checkpoints | Self::OverrideCheckpoints => "checkpoint",
            Self::Vaes => "VAE",
            Self::Modules => "module",
            Self::Presets => "preset",
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

fn objects(list: &Value, keys: &[&str]) -> Vec<ListEntry> {
    let items = list.as_array().into_iter().flatten();
    items.map(|item| ListEntry::of(item, keys)).collect()
}

fn texts(list: &Value) -> Vec<ListEntry> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(ListEntry::named).collect()
}

fn styles(list: &Value) -> Vec<ListEntry> {
    let items = list.as_array().into_iter().flatten();
    let entry = |item: &Value| ListEntry {
        style: Some(item.clone()),
        ..ListEntry::of(item, &["name"])
    };
    items.map(entry).collect()
}

/// The keys of an object; of SD.Next a list of names.
fn keys(object: &Value) -> Vec<ListEntry> {
    let items = object.as_object().into_iter().flatten();
    let keys = items.map(|(name, _)| ListEntry::named(name));
    keys.chain(texts(object)).collect()
}

/// A scheduler goes by its label and its name.
fn schedulers(list: &Value) -> Vec<ListEntry> {
    let items = list.as_array().into_iter().flatten();
    let entry = |item: &Value| ListEntry {
        aliases: texts_of(&item["aliases"]),
        ..ListEntry::of(item, &["label", "name"])
    };
    items.map(entry).collect()
}

fn texts_of(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A name without a hash in brackets at its end.
fn without_hash(name: &str) -> &str {
    name.strip_suffix(']')
        .and_then(|name| name.rsplit_once(" ["))
        .map_or(name, |(name, _)| name)
}

/// A checkpoint of `override_settings` goes by its title, with and without hash, its name, its file's name without the
/// extension, and its hashes (§9).
fn override_checkpoints(list: &Value) -> Vec<ListEntry> {
    let mut entries = objects(list, &["title", "model_name", "hash", "sha256"]);
    for (entry, item) in entries.iter_mut().zip(list.as_array().into_iter().flatten()) {
        let file = item["filename"].as_str().unwrap_or_default();
        let file = file.rsplit(['/', '\\']).next().unwrap_or_default();
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        for name in [
            without_hash(entry.title()).to_owned(),
            stem.to_owned(),
            file.to_owned(),
        ] {
            if !name.is_empty() && !entry.is(&name) {
                entry.names.push(name);
            }
        }
    }
    entries
}

/// A checkpoint goes by its title, its file, its name and its hashes (§9).
fn checkpoints(list: &Value) -> Vec<ListEntry> {
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
fn fields(page: &Value, route: &str) -> Vec<ListEntry> {
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
        .map(|(name, _)| ListEntry::named(name))
        .collect()
}

/// A name in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) field: String,
    pub(super) name: String,
    pub(super) list: List,
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
            [ListEntry::named("prompt"), ListEntry::named("steps")]
        );
        assert!(fields(&page, "/sdapi/v1/img2img").is_empty());
    }
}
