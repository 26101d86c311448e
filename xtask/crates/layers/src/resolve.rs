//! Where a path leads: the modules that it passes through and the one that declares its item.

use crate::source::{ModuleId, Source};

/// How many re-exports of re-exports are followed.
const DEEPEST: usize = 16;

/// Follows a path of the module `module`. Returns the modules whose names or re-exports it uses, the declaring one
/// last; nothing for a path into another crate.
pub(crate) fn modules(source: &Source, module: ModuleId, path: &[String]) -> Vec<ModuleId> {
    let mut way = Vec::new();
    let found = follow(source, module, path, &mut way, DEEPEST);
    // A root may export everything again.
    way.retain(|&module| source.modules[module].parent.is_some());
    if let Some(found) = found.map(Named::module) {
        // A module and those inside it are one place.
        let lineage = source.lineage(found);
        way.retain(|module| !lineage.contains(module));
        way.push(found);
    }
    way
}

/// What a path names.
#[derive(Clone, Copy)]
enum Named {
    Module(ModuleId),
    /// An item that this module declares.
    ItemOf(ModuleId),
}

impl Named {
    fn module(self) -> ModuleId {
        match self {
            Self::Module(module) | Self::ItemOf(module) => module,
        }
    }
}

fn follow(
    source: &Source,
    module: ModuleId,
    path: &[String],
    way: &mut Vec<ModuleId>,
    depth: usize,
) -> Option<Named> {
    let mut words = path.iter().map(String::as_str).peekable();
    let mut at = module;
    let mut absolute = false;
    while let Some(&word) = words.peek() {
        match word {
            "crate" => at = *source.lineage(at).first()?,
            "self" => {}
            "super" => at = source.modules[at].parent?,
            name if !absolute
                && name == source.library_name
                && lookup(source, at, name, way, depth).is_none() =>
            {
                at = source.library?;
            }
            _ => break,
        }
        absolute = true;
        words.next();
    }
    let mut named = Named::Module(at);
    for word in words {
        let Named::Module(at) = named else {
            // An associated item or a variant.
            return Some(named);
        };
        match lookup(source, at, word, way, depth) {
            Some(Entry::Named(found)) => named = found,
            Some(Entry::Import(of, path)) => {
                way.push(of);
                named = follow(source, of, path, way, depth.checked_sub(1)?)?;
            }
            // What a macro declares is not seen: it is in the module that was reached.
            None => return absolute.then_some(named),
        }
        absolute = true;
    }
    Some(named)
}

enum Entry<'a> {
    Named(Named),
    /// A `use` declaration of this module.
    Import(ModuleId, &'a [String]),
}

/// What a name means in a module.
fn lookup<'a>(
    source: &'a Source,
    at: ModuleId,
    name: &str,
    way: &mut Vec<ModuleId>,
    depth: usize,
) -> Option<Entry<'a>> {
    let module = &source.modules[at];
    let child = module
        .children
        .iter()
        .find(|child| source.modules[**child].name() == name);
    if let Some(&child) = child {
        return Some(Entry::Named(Named::Module(child)));
    }
    if module.items.contains(name) {
        return Some(Entry::Named(Named::ItemOf(at)));
    }
    let named = module
        .imports
        .iter()
        .find(|import| import.name.as_deref() == Some(name));
    if let Some(import) = named {
        return Some(Entry::Import(at, &import.path));
    }
    let depth = depth.checked_sub(1)?;
    let globs = module.imports.iter().filter(|import| import.name.is_none());
    for glob in globs {
        let from = follow(source, at, &glob.path, &mut Vec::new(), depth).map(Named::module);
        if let Some(from) = from.filter(|from| *from != at)
            && let Some(entry) = lookup(source, from, name, way, depth)
        {
            way.push(at);
            return Some(entry);
        }
    }
    None
}
