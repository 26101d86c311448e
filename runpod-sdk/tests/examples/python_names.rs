//! The names of Python's SDK lead to their Rust counterparts: on the page for those who move, and in the search of the docs.

use std::path::Path;

/// Names that a program or its configuration has in Python.
const NAMES: [&str; 17] = [
    "serverless",
    "progress_update",
    "return_aggregate_stream",
    "concurrency_modifier",
    "register_fitness_check",
    "rp_cleanup",
    "rp_debugger",
    "rp_download",
    "rp_fastapi",
    "rp_serve_api",
    "rp_upload",
    "rp_validator",
    "download_files_from_urls",
    "upload_file_to_bucket",
    "upload_image",
    "upload_in_memory_object",
    "resolve_model_cache_path_from_hugginface_repository",
];

fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_name_is_on_the_page_and_is_a_search_word_of_the_docs() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(here.join("../docs/moving-from-python.md")).unwrap();
    let mut crates = String::new();
    sources(&here.join("crates"), &mut crates);
    for name in NAMES {
        assert!(page.contains(name), "the page does not mention {name}");
        assert!(
            crates.contains(&format!("#[doc(alias = \"{name}\")]")),
            "{name} is no alias"
        );
    }
}
