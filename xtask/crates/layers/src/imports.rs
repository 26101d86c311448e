//! What the items of one module declare, import and mention.

use std::collections::BTreeSet;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, UseTree};

use crate::condition::only_for_tests;

/// A name that a `use` declaration brings into a module.
#[derive(Debug)]
pub(crate) struct Import {
    /// The name by which the module knows it; `None` for a glob.
    pub(crate) name: Option<String>,
    pub(crate) path: Vec<String>,
}

/// A path to something else in the crate, in a `use` declaration or in the code.
#[derive(Debug)]
pub(crate) struct Mention {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

/// What was found in the items of a module. The contents of inline modules are not in it.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) items: BTreeSet<String>,
    pub(crate) imports: Vec<Import>,
    pub(crate) mentions: Vec<Mention>,
}

/// Reads the items of a module.
pub(crate) fn of(items: &[Item]) -> Found {
    let mut found = Found::default();
    for item in items {
        if let Item::Use(import) = item
            && !only_for_tests(&import.attrs)
        {
            found.use_tree(&mut Vec::new(), &import.tree, true);
        } else {
            found.items.extend(declared(item));
            found.visit_item(item);
        }
    }
    found
}

fn declared(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

impl Found {
    /// Takes a `use` declaration apart. Names that a function imports for itself are mentions only.
    fn use_tree(&mut self, path: &mut Vec<Ident>, tree: &UseTree, of_module: bool) {
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.clone());
                self.use_tree(path, &tree.tree, of_module);
                path.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(path, tree, of_module);
                }
            }
            UseTree::Name(leaf) => self.leaf(path, &leaf.ident, &leaf.ident, of_module),
            UseTree::Rename(leaf) => self.leaf(path, &leaf.ident, &leaf.rename, of_module),
            UseTree::Glob(_) => {
                self.mention(path);
                if of_module {
                    let path = words(path);
                    self.imports.push(Import { name: None, path });
                }
            }
        }
    }

    fn leaf(&mut self, path: &mut Vec<Ident>, last: &Ident, name: &Ident, of_module: bool) {
        // `use a::b::{self}` is `use a::b`.
        let of_itself = last == "self" && !path.is_empty();
        if !of_itself {
            path.push(last.clone());
        }
        self.mention(path);
        if of_module && let Some(own) = path.last() {
            let name = if of_itself && name == "self" { own } else { name };
            self.imports.push(Import {
                name: Some(name.to_string()),
                path: words(path),
            });
        }
        if !of_itself {
            path.pop();
        }
    }

    /// Keeps a path of the code that begins at a root or at this module. One that begins with an imported name
    /// leads where the import leads.
    fn mention_in_code(&mut self, path: &[Ident]) {
        let relative = |first: &Ident| *first == "crate" || *first == "self" || *first == "super";
        if path.len() > 1 && path.first().is_some_and(relative) {
            self.mention(path);
        }
    }

    fn mention(&mut self, path: &[Ident]) {
        if let Some(last) = path.last() {
            self.mentions.push(Mention {
                path: words(path),
                line: last.span().start().line,
            });
        }
    }

    /// Finds the paths in the text of a macro, which has no structure before it is expanded.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let colon =
            |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(colon)) if colon.as_char() == ':');
        let ident = |at: usize| match tokens.get(at) {
            Some(TokenTree::Ident(ident)) => Some(ident.clone()),
            _ => None,
        };
        let mut at = 0;
        while at < tokens.len() {
            if let TokenTree::Group(group) = &tokens[at] {
                self.tokens(group.stream());
            }
            let mut path = Vec::from_iter(ident(at));
            while !path.is_empty() && colon(at + 1) && colon(at + 2) {
                match ident(at + 3) {
                    Some(next) => path.push(next),
                    None => break,
                }
                at += 3;
            }
            self.mention_in_code(&path);
            at += 1;
        }
    }
}

fn words(path: &[Ident]) -> Vec<String> {
    path.iter().map(ToString::to_string).collect()
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item(&mut self, item: &'ast Item) {
        if !only_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes = match item {
            syn::ImplItem::Const(item) => &item.attrs,
            syn::ImplItem::Fn(item) => &item.attrs,
            syn::ImplItem::Macro(item) => &item.attrs,
            syn::ImplItem::Type(item) => &item.attrs,
            _ => return,
        };
        if !only_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !only_for_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if !only_for_tests(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    /// Inline modules are modules of their own.
    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&mut Vec::new(), &item.tree, false);
    }

    /// `pub(in crate::a)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let words: Vec<_> = path
                .segments
                .iter()
                .map(|segment| segment.ident.clone())
                .collect();
            self.mention_in_code(&words);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.visit_path(&item.path);
        self.tokens(item.tokens.clone());
    }
}

fn attributes(item: &Item) -> &[syn::Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
