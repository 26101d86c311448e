//! Saving pictures as the real server does with `save_images`.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::request::Mode;

/// Writes the files of one job: the grids that come first, and then the pictures with their seeds.
pub(super) fn save(
    directory: &Path,
    mode: Mode,
    format: &str,
    files: &[Vec<u8>],
    grids: usize,
    seeds: &[i64],
) -> io::Result<()> {
    let kind = mode.name();
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let day = now.split('T').next().unwrap_or_default();
    let (grid_files, pictures) = files.split_at(grids.min(files.len()));
    let seeds = seeds.iter().copied().chain(std::iter::repeat(0));
    write(
        &directory.join(format!("{kind}-images")).join(day),
        pictures,
        |number, index| {
            let seed = seeds.clone().nth(index).unwrap_or_default();
            format!("{number:05}-{seed}.{format}")
        },
    )?;
    write(
        &directory.join(format!("{kind}-grids")).join(day),
        grid_files,
        |number, _| format!("grid-{number:04}.{format}"),
    )
}

/// Numbers go on where those of earlier jobs ended.
fn write(directory: &Path, files: &[Vec<u8>], name: impl Fn(usize, usize) -> String) -> io::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    let taken = fs::read_dir(directory)?.count();
    for (index, file) in files.iter().enumerate() {
        fs::write(directory.join(name(taken + index, index)), file)?;
    }
    Ok(())
}
