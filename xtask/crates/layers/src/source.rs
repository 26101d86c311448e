//! The modules of a crate, read from its sources as the compiler reads them: from the root of each target along its
//! `mod` declarations. Code that only tests compile is left out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use syn::{Attribute, Expr, Item, ItemMod, Lit, Meta};

use crate::condition::only_for_tests;
use crate::imports::{self, Import, Mention};

/// The number of a module in [`Source::modules`].
pub(crate) type ModuleId = usize;

/// All modules of a crate's library and program.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) modules: Vec<Module>,
    /// The root of the library, which the program names by [`library_name`](Self::library_name).
    pub(crate) library: Option<ModuleId>,
    pub(crate) library_name: String,
}

/// One module with what it declares and what it mentions.
#[derive(Debug)]
pub(crate) struct Module {
    /// The names from the root to this module; empty for a root.
    pub(crate) path: Vec<String>,
    /// The source file, relative to the workspace where it lies in it.
    pub(crate) file: PathBuf,
    pub(crate) parent: Option<ModuleId>,
    pub(crate) children: Vec<ModuleId>,
    /// The items declared here, modules aside.
    pub(crate) items: BTreeSet<String>,
    pub(crate) imports: Vec<Import>,
    pub(crate) mentions: Vec<Mention>,
}

impl Module {
    pub(crate) fn name(&self) -> &str {
        self.path.last().map_or("the root", String::as_str)
    }

    pub(crate) fn top(&self) -> Option<&str> {
        self.path.first().map(String::as_str)
    }
}

impl Source {
    /// Reads a crate. `folder` holds its `Cargo.toml`; `workspace` is taken off the files' names.
    pub(crate) fn read(package: &str, folder: &Path, workspace: &Path) -> anyhow::Result<Self> {
        let mut source = Self {
            modules: Vec::new(),
            library: None,
            library_name: package.replace('-', "_"),
        };
        for root in ["lib.rs", "main.rs"] {
            let file = folder.join("src").join(root);
            if file.is_file() {
                let id = source.file(None, Vec::new(), &file, &folder.join("src"), workspace)?;
                if root == "lib.rs" {
                    source.library = Some(id);
                }
            }
        }
        anyhow::ensure!(!source.modules.is_empty(), "{} has no source", folder.display());
        Ok(source)
    }

    /// Reads a module's file; `children` is the folder of the files of its submodules.
    fn file(
        &mut self,
        parent: Option<ModuleId>,
        path: Vec<String>,
        file: &Path,
        children: &Path,
        workspace: &Path,
    ) -> anyhow::Result<ModuleId> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let parsed =
            syn::parse_file(&text).with_context(|| format!("{} is not Rust code", file.display()))?;
        let place = Place {
            file,
            children,
            workspace,
        };
        self.module(parent, path, &parsed.items, place)
    }

    fn module(
        &mut self,
        parent: Option<ModuleId>,
        path: Vec<String>,
        items: &[Item],
        place: Place<'_>,
    ) -> anyhow::Result<ModuleId> {
        let id = self.modules.len();
        let found = imports::of(items);
        self.modules.push(Module {
            path,
            file: place
                .file
                .strip_prefix(place.workspace)
                .unwrap_or(place.file)
                .to_owned(),
            parent,
            children: Vec::new(),
            items: found.items,
            imports: found.imports,
            mentions: found.mentions,
        });
        for item in items {
            if let Item::Mod(item) = item
                && !only_for_tests(&item.attrs)
            {
                let child = self.child(id, item, place)?;
                self.modules[id].children.push(child);
            }
        }
        Ok(id)
    }

    /// Reads a submodule, inline or in a file of its own.
    fn child(&mut self, parent: ModuleId, item: &ItemMod, place: Place<'_>) -> anyhow::Result<ModuleId> {
        let name = item.ident.to_string();
        let mut path = self.modules[parent].path.clone();
        path.push(name.clone());
        let folder = place.children.join(&name);
        if let Some((_, items)) = &item.content {
            let place = Place {
                children: &folder,
                ..place
            };
            return self.module(Some(parent), path, items, place);
        }
        let (file, children) = if let Some(given) = path_attribute(&item.attrs) {
            let file = place.file.parent().unwrap_or(place.file).join(given);
            let children = file.parent().unwrap_or(&file).to_owned();
            (file, children)
        } else {
            let beside = place.children.join(format!("{name}.rs"));
            let inside = folder.join("mod.rs");
            (if beside.is_file() { beside } else { inside }, folder)
        };
        self.file(Some(parent), path, &file, &children, place.workspace)
    }

    /// The module and all modules above it, from the root down.
    pub(crate) fn lineage(&self, id: ModuleId) -> Vec<ModuleId> {
        let mut lineage: Vec<_> = std::iter::successors(Some(id), |&id| self.modules[id].parent).collect();
        lineage.reverse();
        lineage
    }
}

/// Where a module's text is.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: &'a Path,
    children: &'a Path,
    workspace: &'a Path,
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}
