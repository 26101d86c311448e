//! The names of all tests in the workspace, read from its sources as the compiler reads them: from the root of each
//! target along its `mod` declarations, so that a file that no target includes has no tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Expr, Item, ItemMacro, Lit, Meta};

/// The folders of the packages.
fn packages(workspace: &Path) -> Vec<PathBuf> {
    let mut folders = files(workspace);
    let parts: Vec<_> = folders
        .iter()
        .flat_map(|folder| files(&folder.join("crates")))
        .collect();
    folders.extend(parts);
    folders.retain(|folder| folder.join("Cargo.toml").is_file());
    folders
}

/// The name of a package, by its manifest.
fn name_of(folder: &Path) -> String {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let name = manifest.lines().find_map(|line| line.strip_prefix("name = \""));
    name.and_then(|name| name.strip_suffix('"')).unwrap().to_owned()
}

/// Every test of the workspace, named as `docs/coverage/README.md` says. Ignored tests are not among them.
pub(crate) fn tests(workspace: &Path) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for package in packages(workspace) {
        for (prefix, root) in roots(&package) {
            Reader { tests: &mut tests }.file(&prefix, &root, root.parent().unwrap());
        }
        for kind in ["pass", "fail"] {
            let folder = package.join("tests/ui").join(kind);
            for file in files(&folder) {
                tests.insert(format!(
                    "{}/tests/ui/{kind}/{}",
                    name_of(&package),
                    file.file_name().unwrap().to_string_lossy()
                ));
            }
        }
    }
    tests.extend(conformance(workspace));
    tests
}

/// The root file of each target, and what the names of its tests begin with.
fn roots(folder: &Path) -> Vec<(String, PathBuf)> {
    let package = name_of(folder);
    let mut roots: Vec<_> = ["src/lib.rs", "src/main.rs"]
        .map(|root| (package.clone(), folder.join(root)))
        .into();
    for kind in ["tests", "examples"] {
        for path in files(&folder.join(kind)) {
            let name = path.file_stem().unwrap().to_string_lossy();
            let prefix = format!("{package}/{kind}/{name}");
            let root = if path.is_dir() { path.join("main.rs") } else { path };
            roots.push((prefix, root));
        }
    }
    roots.retain(|(_, root)| root.is_file() && root.extension().is_some_and(|extension| extension == "rs"));
    roots
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The cases of the workers' table, by the name of the run and the case.
fn conformance(workspace: &Path) -> Vec<String> {
    let table = fs::read_to_string(workspace.join("xtask/crates/conformance/workers.json")).unwrap();
    let runs: Vec<serde_json::Value> = serde_json::from_str(&table).unwrap();
    let mut names = Vec::new();
    for run in &runs {
        let cases = ["jobs", "process"]
            .into_iter()
            .filter_map(|kind| run[kind].as_array())
            .flatten();
        for case in cases {
            let (run, case) = (run["name"].as_str().unwrap(), case["case"].as_str().unwrap());
            names.push(format!("cargo xtask conformance: {run}: {case}"));
        }
    }
    names
}

struct Reader<'a> {
    tests: &'a mut BTreeSet<String>,
}

impl Reader<'_> {
    /// Reads one file, whose own modules are in `folder`.
    fn file(&mut self, prefix: &str, path: &Path, folder: &Path) {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.items(prefix, &file.items, path.parent().unwrap(), folder);
    }

    fn items(&mut self, prefix: &str, items: &[Item], beside: &Path, folder: &Path) {
        let making_tests: Vec<String> = items.iter().filter_map(makes_tests).collect();
        for item in items {
            match item {
                Item::Fn(function) if is_test(&function.attrs) => {
                    self.tests.insert(format!("{prefix}::{}", function.sig.ident));
                }
                Item::Mod(module) => {
                    let name = module.ident.to_string();
                    let prefix = format!("{prefix}::{name}");
                    if let Some((_, items)) = &module.content {
                        self.items(&prefix, items, beside, &folder.join(&name));
                    } else if let Some(path) = given_path(&module.attrs) {
                        let path = beside.join(path);
                        self.file(&prefix, &path, path.parent().unwrap());
                    } else {
                        let within = folder.join(&name);
                        let alone = within.with_extension("rs");
                        let path = if alone.is_file() {
                            alone
                        } else {
                            within.join("mod.rs")
                        };
                        self.file(&prefix, &path, &within);
                    }
                }
                Item::Macro(call) => {
                    for name in tests_of_call(call, &making_tests) {
                        self.tests.insert(format!("{prefix}::{name}"));
                    }
                }
                _ => {}
            }
        }
    }
}

/// `#[test]`, `#[tokio::test]`, and not ignored.
fn is_test(attributes: &[Attribute]) -> bool {
    let last = |attribute: &Attribute| attribute.path().segments.last().unwrap().ident.to_string();
    attributes.iter().any(|attribute| last(attribute) == "test")
        && !attributes.iter().any(|attribute| last(attribute) == "ignore")
}

/// The file of `#[path = "…"]`.
fn given_path(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("path") => match &meta.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(path) => Some(path.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}

/// The name of a `macro_rules!` that turns its first argument into the name of a test.
fn makes_tests(item: &Item) -> Option<String> {
    let Item::Macro(definition) = item else {
        return None;
    };
    let name = definition.ident.as_ref()?.to_string();
    has_test_attribute(&definition.mac.tokens).then_some(name)
}

fn has_test_attribute(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Group(group) => {
            group.stream().to_string() == "test" || has_test_attribute(&group.stream())
        }
        _ => false,
    })
}

/// The tests that a macro's call makes: those written in it, as in `proptest!`, or the one it is given the name of.
fn tests_of_call(call: &ItemMacro, making_tests: &[String]) -> Vec<String> {
    let called = call.mac.path.segments.last().unwrap().ident.to_string();
    let mut tokens = call.mac.tokens.clone().into_iter();
    if called == "macro_rules" {
        return Vec::new();
    }
    if making_tests.contains(&called) {
        return match tokens.next() {
            Some(TokenTree::Ident(name)) => vec![name.to_string()],
            _ => Vec::new(),
        };
    }
    let (mut names, mut marked) = (Vec::new(), false);
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) if group.stream().to_string() == "test" => marked = true,
            TokenTree::Ident(word) if word == "fn" => {
                if let (true, Some(TokenTree::Ident(name))) = (marked, tokens.next()) {
                    names.push(name.to_string());
                }
                marked = false;
            }
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<String> {
        let file = syn::parse_file(source).unwrap();
        let mut tests = BTreeSet::new();
        let nowhere = Path::new("nowhere");
        Reader { tests: &mut tests }.items("crate", &file.items, nowhere, nowhere);
        tests.into_iter().collect()
    }

    #[test]
    fn functions_with_a_tests_attribute_are_tests_unless_ignored() {
        let source = "
            fn helper() {}
            #[test] fn plain() {}
            #[cfg(test)] mod tests {
                #[tokio::test(start_paused = true)] async fn paused() {}
                #[test] #[ignore = \"slow\"] fn slow() {}
                mod inner { #[test] fn deep() {} }
            }";
        assert_eq!(
            found(source),
            [
                "crate::plain",
                "crate::tests::inner::deep",
                "crate::tests::paused"
            ]
        );
    }

    #[test]
    fn the_tests_in_a_proptest_and_of_a_macro_count() {
        let source = "
            proptest! {
                #![proptest_config(Config::with_cases(3))]
                #[test] fn any_number(n in 0..9u8) { fn inner() {} prop_assert!(n < 9); }
                fn no_test(n in 0..9u8) {}
            }
            macro_rules! runs { ($test:ident, $name:literal) => { #[test] fn $test() { run($name) } }; }
            macro_rules! other { ($name:ident) => { fn $name() {} }; }
            runs!(hello_runs, \"hello\");
            other!(nothing);";
        assert_eq!(found(source), ["crate::any_number", "crate::hello_runs"]);
    }
}
