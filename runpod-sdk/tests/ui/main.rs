//! Handlers that compile and run, and what the compiler says of those that do not.
#![expect(
    clippy::unwrap_used,
    reason = "what fails here is a failed test, in helpers as well"
)]

mod compiler;
mod message;
// Public, as items of a crate are: lints on what is public look at them.
pub mod pass;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use compiler::Compiler;

/// The files with this ending in a folder of this test, in the order of their names.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = Path::new("tests/ui").join(folder);
    let mut files: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(&folder))
        .unwrap()
        .map(|entry| folder.join(entry.unwrap().file_name()))
        .filter(|file| file.extension().is_some_and(|found| found == ending))
        .collect();
    files.sort();
    files
}

#[test]
fn handlers_that_are_right_compile_and_run() {
    let files: Vec<_> = files("pass", "rs")
        .iter()
        .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "mod")
        .collect();
    assert_eq!(files, pass::NAMES, "tests/ui/pass/mod.rs lists the files");
    pass::run();
}

#[test]
fn each_mistake_has_a_message_that_helps() {
    let cases = files("fail", "rs");
    let compiler = Compiler::of_this_workspace();
    let next = AtomicUsize::new(0);
    let check = || {
        let mut faults = String::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            faults.push_str(&fault(&compiler, case));
        }
        faults
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let faults: String = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(check)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{faults}");
}

/// What differs between the compiler's message on a case and the expected one; empty if nothing does.
///
/// `INSTA_UPDATE=always` writes what the compiler says, as it does for every other snapshot.
fn fault(compiler: &Compiler, case: &Path) -> String {
    let said = compiler.complaint(case);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(case.with_extension("stderr"));
    let expected = fs::read_to_string(&file).unwrap_or_default();
    let mut fault = String::new();
    if said.is_empty() {
        writeln!(fault, "{} compiles", case.display()).unwrap();
    } else if said != expected {
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            fs::write(&file, &said).unwrap();
        } else {
            let name = case.display();
            writeln!(
                fault,
                "{name}: expected\n{expected}\n{name}: the compiler says\n{said}"
            )
            .unwrap();
        }
    }
    fault
}
