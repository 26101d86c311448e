//! Checks whether a file is a whole checkpoint.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde_json::Value;

/// A safetensors header above this size is no header. Real ones have a few MB.
const LARGEST_HEADER: u64 = 100 << 20;

/// Extensions of unfinished downloads.
const UNFINISHED: [&str; 6] = ["aria2", "crdownload", "download", "incomplete", "part", "tmp"];

/// Whether the WebUI lists a file with this name.
pub(super) fn has_name_of_one(file: &Path) -> bool {
    file.extension()
        .is_some_and(|ending| ending == "safetensors" || ending == "ckpt")
}

/// What is wrong with a file in the folder of checkpoints. `None` if it is whole, or clearly something else.
pub(super) fn fault(file: &Path) -> Option<String> {
    let ending = file
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    if UNFINISHED.contains(&ending.as_str()) {
        return Some("its download has not ended".to_owned());
    }
    if !has_name_of_one(file) {
        let stem = Path::new(file.file_stem()?);
        return has_name_of_one(stem)
            .then(|| format!("its name ends in .{ending}, so the WebUI does not list it"));
    }
    match read(file, ending == "safetensors") {
        Ok(fault) => fault,
        Err(error) => Some(format!("it can't be read: {error}")),
    }
}

fn read(file: &Path, safetensors: bool) -> io::Result<Option<String>> {
    let mut source = File::open(file)?;
    let size = source.metadata()?.len();
    if size == 0 {
        return Ok(Some("it is empty".to_owned()));
    }
    let mut start = [0; 64];
    let read = source.read(&mut start)?;
    let start = &start[..read];
    if start.starts_with(b"version https://git-lfs") {
        return Ok(Some("it is a Git LFS pointer; run `git lfs pull`".to_owned()));
    }
    let text = String::from_utf8_lossy(start).trim_start().to_lowercase();
    if text.starts_with("<!doctype") || text.starts_with("<html") {
        return Ok(Some(
            "it is a web page, most likely a login page that was downloaded".to_owned(),
        ));
    }
    if !safetensors {
        return Ok(None);
    }
    let Some(header) = start.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)) else {
        return Ok(Some(format!("it is cut off: only {size} bytes")));
    };
    if header == 0 || header > LARGEST_HEADER {
        return Ok(Some("it is no safetensors file".to_owned()));
    }
    if size < 8 + header {
        return Ok(Some(format!("it is cut off after {size} bytes")));
    }
    let mut text = Vec::new();
    let mut source = File::open(file)?;
    io::copy(&mut source.by_ref().take(8), &mut io::sink())?;
    source.take(header).read_to_end(&mut text)?;
    let Ok(Value::Object(tensors)) = serde_json::from_slice(&text) else {
        return Ok(Some("it is no safetensors file".to_owned()));
    };
    let end = tensors
        .values()
        .filter_map(|tensor| tensor["data_offsets"][1].as_u64())
        .max()
        .unwrap_or_default();
    let whole = end.saturating_add(8 + header);
    Ok((size < whole).then(|| format!("it is cut off: {size} of {whole} bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn safetensors(data: usize) -> Vec<u8> {
        let header = br#"{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#;
        let mut file = u64::try_from(header.len()).unwrap().to_le_bytes().to_vec();
        file.extend_from_slice(header);
        file.extend(std::iter::repeat_n(7, data));
        file
    }

    #[test]
    fn each_kind_of_broken_file_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let fault_of = |name: &str, content: &[u8]| {
            let file = folder.path().join(name);
            std::fs::write(&file, content).unwrap();
            fault(&file).unwrap_or_else(|| "none".to_owned())
        };
        let found = [
            fault_of("whole.safetensors", &safetensors(16)),
            fault_of("cut.safetensors", &safetensors(9)),
            fault_of("cut-in-the-header.safetensors", &safetensors(16)[..20]),
            fault_of("cut-at-once.safetensors", b"abc"),
            fault_of("noise.safetensors", &[0xff; 80]),
            fault_of("empty.safetensors", b""),
            fault_of(
                "pointer.safetensors",
                b"version https://git-lfs.github.com/spec/v1\n",
            ),
            fault_of("page.ckpt", b"\n<!DOCTYPE html><html>"),
            fault_of("pickle.ckpt", b"PK\x03\x04"),
            fault_of("model.safetensors.part", b"x"),
            fault_of("model.safetensors.txt", b"x"),
            fault_of("put models here.txt", b""),
        ];
        insta::assert_debug_snapshot!(found);
    }
}
