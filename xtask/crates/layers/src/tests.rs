//! The check of this workspace, and of small trees that were made for it.

use std::path::Path;

use crate::findings::{self, Finding};
use crate::program::{self, Options};
use crate::source::Source;
use crate::table::Table;

/// A crate `tree` of the given files, checked against a table.
fn found(files: &[(&str, &str)], order: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join("src").join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let source = Source::read("the-tree", folder.path(), folder.path()).unwrap();
    let table: Table = toml::from_str(&format!("[the-tree]\n{order}")).unwrap();
    findings::of(&source, &table.crates["the-tree"])
        .iter()
        .map(Finding::to_string)
        .collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn the_modules_of_this_workspace_import_only_from_below() {
    let report = program::check(&Options::everything()).unwrap();
    assert!(report.passes(), "cargo xtask layers says why: {report:#?}");
}

#[test]
fn an_import_from_below_is_in_order() {
    let files = [
        ("lib.rs", "mod high; mod low;"),
        ("high.rs", "use crate::low::Low; pub struct High(Low);"),
        ("low.rs", "pub struct Low;"),
    ];
    assert_eq!(found(&files, r#"layers = ["low", "high"]"#), NOTHING);
}

#[test]
fn an_upward_import_is_named_with_its_line() {
    let files = [
        ("lib.rs", "mod high; mod low;"),
        ("high/mod.rs", "pub struct High;"),
        ("low/mod.rs", "mod deep;"),
        ("low/deep.rs", "\n\nuse crate::high::High;\npub struct Low(High);"),
    ];
    assert_eq!(
        found(&files, r#"layers = ["low", "high"]"#),
        ["src/low/deep.rs:3: low::deep → high (`crate::high::High`): high stands above low"]
    );
}

#[test]
fn modules_of_one_line_do_not_import_each_other() {
    let files = [
        ("lib.rs", "mod one; mod other;"),
        ("one.rs", "fn f() { crate::other::g() }"),
        ("other.rs", "pub fn g() {}"),
    ];
    assert_eq!(
        found(&files, r#"layers = ["one, other"]"#),
        ["src/one.rs:1: one → other (`crate::other::g`): other and one share a line of the table"]
    );
}

#[test]
fn each_name_of_a_group_over_several_lines_is_an_import_of_its_own() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::{\n    b::{self, B as _},\n    c::*,\n};"),
        ("b.rs", "pub struct B;"),
        ("c.rs", ""),
    ];
    assert_eq!(
        found(&files, r#"layers = ["a", "b", "c"]"#),
        [
            "src/a.rs:2: a → b (`crate::b`): b stands above a",
            "src/a.rs:2: a → b (`crate::b::B`): b stands above a",
            "src/a.rs:3: a → c (`crate::c`): c stands above a",
        ]
    );
}

#[test]
fn super_leads_out_of_a_directory() {
    let files = [
        ("lib.rs", "mod high; mod low;"),
        ("high.rs", "pub fn f() {}"),
        ("low/mod.rs", "mod deep;"),
        ("low/deep.rs", "fn g() {\n    super::super::high::f();\n}"),
    ];
    assert_eq!(
        found(&files, r#"layers = ["low", "high"]"#),
        ["src/low/deep.rs:2: low::deep → high (`super::super::high::f`): high stands above low"]
    );
}

#[test]
fn paths_in_types_in_macros_and_in_functions_are_imports() {
    let files = [
        ("lib.rs", "mod high; mod low;"),
        ("high.rs", "pub struct High; pub fn f() {}"),
        (
            "low.rs",
            "fn a(_: crate::high::High) {}\nfn b() { println!(\"{}\", [crate::high::f()]); }\n\
             fn c() { use crate::high::f; f() }\nimpl From<u8> for super::high::High {}\n",
        ),
    ];
    let lines: Vec<_> = found(&files, r#"layers = ["low", "high"]"#)
        .iter()
        .map(|finding| finding.split(": ").next().unwrap().to_owned())
        .collect();
    assert_eq!(
        lines,
        ["src/low.rs:1", "src/low.rs:2", "src/low.rs:3", "src/low.rs:4"]
    );
}

#[test]
fn what_the_root_exports_again_counts_where_it_is_declared() {
    let files = [
        (
            "lib.rs",
            "mod high; mod low; pub use high::{High, inner::Deep}; pub use low::Low;",
        ),
        ("high/mod.rs", "pub(crate) mod inner; pub struct High;"),
        ("high/inner.rs", "pub struct Deep; use crate::Low;"),
        ("low.rs", "use crate::Deep;\npub struct Low;"),
    ];
    assert_eq!(
        found(&files, r#"layers = ["low", "high"]"#),
        ["src/low.rs:1: low → high::inner (`crate::Deep`): high stands above low"]
    );
}

#[test]
fn a_module_that_exports_again_from_below_is_imported_too() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "pub struct A;"),
        ("b.rs", "use crate::c::A;"),
        ("c.rs", "pub use crate::a::*;"),
    ];
    assert_eq!(
        found(&files, r#"layers = ["a", "b", "c"]"#),
        ["src/b.rs:1: b → c (`crate::c::A`): c stands above b"]
    );
}

#[test]
fn an_item_of_the_root_stands_above_all_modules() {
    let files = [("main.rs", "mod low; struct Cli;"), ("low.rs", "use crate::Cli;")];
    assert_eq!(
        found(&files, r#"layers = ["low"]"#),
        ["src/low.rs:1: low → the root (`crate::Cli`): the root of the crate stands above its modules"]
    );
}

#[test]
fn a_program_beside_a_library_imports_by_the_librarys_name() {
    let files = [
        ("lib.rs", "pub mod low; pub mod high;"),
        ("low.rs", ""),
        ("high.rs", ""),
        ("main.rs", "mod middle; use the_tree::high;"),
        ("middle.rs", "use the_tree::{high, low};"),
    ];
    assert_eq!(
        found(&files, r#"layers = ["low", "middle", "high"]"#),
        ["src/middle.rs:1: middle → high (`the_tree::high`): high stands above middle"]
    );
}

#[test]
fn code_for_tests_may_import_from_everywhere() {
    let files = [
        ("lib.rs", "mod high; mod low; #[cfg(test)] mod fixtures;"),
        ("high.rs", "pub fn f() {}"),
        (
            "low.rs",
            "#[cfg(test)] use crate::high;\n#[cfg(all(test, unix))] fn g() { crate::high::f() }\n\
             #[cfg(test)]\nmod tests { use crate::high::f; }\nstruct S; impl S { #[cfg(test)] fn h() { crate::high::f() } }",
        ),
    ];
    assert_eq!(found(&files, r#"layers = ["low", "high"]"#), NOTHING);
}

#[test]
fn code_for_tests_and_for_a_feature_is_checked() {
    let files = [
        ("lib.rs", "mod high; mod low;"),
        ("high.rs", "pub fn f() {}"),
        (
            "low.rs",
            r#"#[cfg(any(test, feature = "testing"))] fn g() { crate::high::f() }"#,
        ),
    ];
    assert_eq!(found(&files, r#"layers = ["low", "high"]"#).len(), 1);
}

#[test]
fn a_module_that_the_table_lacks_or_the_crate_is_named() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", ""),
        ("b/mod.rs", "mod c;"),
        ("b/c.rs", ""),
    ];
    assert_eq!(
        found(&files, r#"layers = ["a", "a", "d"]"#),
        [
            "src/b/mod.rs: the table lacks the module b",
            "the table names the module d, which does not exist",
            "the table names the module a twice",
        ]
    );
}

const CIRCLE: [(&str, &str); 6] = [
    ("lib.rs", "mod m;"),
    ("m/mod.rs", "mod a; mod b; mod c; mod d; pub struct M;"),
    ("m/a.rs", "use super::b::B; use super::M; pub struct A;"),
    ("m/b.rs", "use super::{c::C, d}; pub struct B;"),
    ("m/c/mod.rs", "use crate::m::a::A; pub struct C;"),
    ("m/d.rs", ""),
];

#[test]
fn a_circle_among_neighbours_is_named_with_all_its_imports() {
    assert_eq!(
        found(&CIRCLE, r#"layers = ["m"]"#),
        ["a circle among 3 neighbours, m::a, m::b, m::c:\
          \n    src/m/a.rs:1: m::a → m::b (`super::b::B`)\
          \n    src/m/b.rs:1: m::b → m::c (`super::c::C`)\
          \n    src/m/c/mod.rs:1: m::c → m::a (`crate::m::a::A`)"]
    );
}

#[test]
fn a_circle_through_the_parents_exports_is_found() {
    let files = [
        ("lib.rs", "mod m;"),
        ("m/mod.rs", "mod a; mod b; pub use a::A; use b::B;"),
        ("m/a.rs", "use super::B; pub struct A;"),
        ("m/b.rs", "use crate::m::A; pub struct B;"),
    ];
    let found = found(&files, r#"layers = ["m"]"#);
    assert!(found[0].starts_with("a circle among 2 neighbours"), "{found:?}");
}

#[test]
fn a_module_and_its_parent_are_one_idea() {
    let files = [
        ("lib.rs", "mod m;"),
        ("m/mod.rs", "mod a; use a::A; pub struct M;"),
        ("m/a.rs", "use super::M; pub struct A;"),
    ];
    assert_eq!(found(&files, r#"layers = ["m"]"#), NOTHING);
}

#[test]
fn a_pair_of_the_table_may_import_each_other_and_has_to() {
    let files = [
        ("lib.rs", "mod m;"),
        ("m/mod.rs", "mod a; mod b; mod c;"),
        ("m/a.rs", "use super::b;"),
        ("m/b.rs", "use super::{a, c};"),
        ("m/c.rs", ""),
    ];
    let pairs = |pairs: &str| found(&files, &format!("layers = [\"m\"]\npairs = [{pairs}]"));
    assert_eq!(pairs(r#"["m::b", "m::a"]"#), NOTHING);
    assert_eq!(
        pairs(r#"["m::b", "m::a"], ["m::b", "m::c"]"#),
        ["the table has the pair m::b, m::c, which is no circle"]
    );
}

#[test]
fn files_are_found_as_the_compiler_finds_them() {
    let files = [
        (
            "lib.rs",
            r#"#[path = "odd.rs"] mod low; mod high; mod inline { mod deep; }"#,
        ),
        ("odd.rs", "use crate::inline;"),
        ("high.rs", ""),
        ("inline/deep.rs", "use super::super::high;"),
    ];
    assert_eq!(
        found(&files, r#"layers = ["low", "inline", "high"]"#),
        [
            "src/inline/deep.rs:1: inline::deep → high (`super::super::high`): high stands above inline",
            "src/odd.rs:1: low → inline (`crate::inline`): inline stands above low",
        ]
    );
}

#[test]
fn a_source_that_is_missing_is_an_error_with_its_name() {
    let error = Source::read("gone", Path::new("/nowhere/gone"), Path::new("/nowhere")).unwrap_err();
    assert_eq!(error.to_string(), "/nowhere/gone has no source");
}
