//! Pages of `docs` that are written from tables. Tests compare them; with `INSTA_UPDATE=always` they write them.

use std::path::PathBuf;

/// Before and after a list on a page whose other words are written by hand.
const LIST: [&str; 2] = ["<!-- list -->\n", "<!-- end of list -->"];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name)
}

/// The page as it is.
pub(crate) fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_default()
}

/// Compares a whole page.
pub(crate) fn assert_page(name: &str, expected: &str) {
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(path(name), expected).unwrap();
    }
    let page = read(name);
    let mut lines = page.lines().zip(expected.lines());
    if let Some((is, expected)) = lines.find(|(is, expected)| is != expected) {
        panic!("docs/{name} says\n{is}\nand should say\n{expected}\n\nINSTA_UPDATE=always writes it");
    }
    assert_eq!(page, expected, "docs/{name}: INSTA_UPDATE=always writes it");
}

/// Compares the list on a page.
pub(crate) fn assert_list(name: &str, expected: &str) {
    let page = read(name);
    let (before, rest) = page.split_once(LIST[0]).unwrap();
    let (_, after) = rest.split_once(LIST[1]).unwrap();
    assert_page(name, &[before, LIST[0], expected, LIST[1], after].concat());
}
