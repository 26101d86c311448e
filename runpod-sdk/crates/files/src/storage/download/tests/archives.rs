//! Honest archives and hostile ones.

use std::io::{Cursor, Write as _};
use std::path::PathBuf;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::super::{DownloadedFile, UnzipError, ZipLimits};
use runpod_worker::{ErrorClass, JobError};

/// A directory for an archive and its content.
struct Unpacking {
    place: tempfile::TempDir,
}

impl Unpacking {
    fn new() -> Self {
        Self {
            place: tempfile::tempdir().unwrap(),
        }
    }

    fn out(&self) -> PathBuf {
        self.place.path().join("out")
    }

    async fn of(&self, archive: &[u8], limits: ZipLimits) -> Result<Vec<PathBuf>, UnzipError> {
        let path = self.place.path().join("in.zip");
        std::fs::write(&path, archive).unwrap();
        let file = DownloadedFile {
            path,
            original_name: None,
            media_type: None,
            bytes: archive.len() as u64,
        };
        file.unzip(self.out(), limits).await
    }
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The same archive with another name of the same length, as no honest program writes it.
fn renamed(archive: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = archive.to_vec();
    for at in 0..=bytes.len() - from.len() {
        if &bytes[at..at + from.len()] == from.as_bytes() {
            bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        }
    }
    bytes
}

#[tokio::test]
async fn an_archive_is_unpacked_in_its_order() {
    let place = Unpacking::new();
    let bytes = archive(&[("b.txt", b"two"), ("dir/a.txt", b"one")]);
    let files = place.of(&bytes, ZipLimits::default()).await.unwrap();
    assert_eq!(files, [place.out().join("b.txt"), place.out().join("dir/a.txt")]);
    assert_eq!(std::fs::read(&files[1]).unwrap(), b"one");
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_refused_and_nothing_stays() {
    for name in ["../xx", "/xx.x", "a/../", "a\\..x", "c:\\xx", "./x/x"] {
        let honest = "@".repeat(name.len());
        let bytes = renamed(&archive(&[("first", b"x"), (&honest, b"x")]), &honest, name);
        let place = Unpacking::new();
        let error = place.of(&bytes, ZipLimits::default()).await.unwrap_err();
        assert!(matches!(error, UnzipError::Entry { .. }), "{name}: {error}");
        assert!(!place.out().exists(), "{name}");
        let error = JobError::from(error);
        assert_eq!(
            (error.code().as_str(), error.class()),
            ("ARCHIVE_REFUSED", ErrorClass::User)
        );
    }
}

#[tokio::test]
async fn a_link_is_refused() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer
        .add_symlink("link", "/etc", SimpleFileOptions::default())
        .unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    let place = Unpacking::new();
    let error = place.of(&bytes, ZipLimits::default()).await.unwrap_err();
    assert!(
        matches!(
            error,
            UnzipError::Entry {
                reason: "it is a link",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn an_entry_with_a_password_is_refused_and_nothing_stays() {
    let mut bytes = archive(&[("open", b"x"), ("closed", b"x")]);
    // The flag of encryption, beside the entry and in the index: `PK\x03\x04` and `PK\x01\x02`.
    for (signature, flags) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let second = bytes.windows(4).rposition(|window| window == signature).unwrap();
        bytes[second + flags] |= 1;
    }
    let place = Unpacking::new();
    let error = place.of(&bytes, ZipLimits::default()).await.unwrap_err();
    assert!(
        matches!(&error, UnzipError::Entry { name, reason: "it has a password" } if name == "number 2"),
        "{error}"
    );
    assert!(!place.out().exists());
    assert_eq!(JobError::from(error).class(), ErrorClass::User);
}

#[tokio::test]
async fn a_file_that_is_there_twice_is_refused() {
    let bytes = renamed(
        &archive(&[("one.txt", b"x"), ("two.txt", b"y")]),
        "two.txt",
        "one.txt",
    );
    let error = Unpacking::new()
        .of(&bytes, ZipLimits::default())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            UnzipError::Entry {
                reason: "it is there twice",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn each_limit_holds() {
    let bomb = archive(&[("zeros", &vec![0; 4 << 20])]);
    assert!(bomb.len() < 10_000);
    let open = ZipLimits::default().ratio(u64::MAX);
    let two = archive(&[("a", b"x"), ("b", b"x")]);
    for (bytes, limits, expected) in [
        (
            &bomb,
            ZipLimits::default(),
            "the archive unpacks to more than 200 times its size",
        ),
        (
            &bomb,
            open.bytes((4 << 20) - 1),
            "the archive unpacks to more than 4194303 bytes",
        ),
        (&two, open.entries(1), "the archive has more than 1 entries"),
    ] {
        let place = Unpacking::new();
        let error = place.of(bytes, limits).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(!place.out().exists());
    }
    Unpacking::new().of(&bomb, open.bytes(4 << 20)).await.unwrap();
}

#[tokio::test]
async fn what_is_no_archive_is_refused() {
    let whole = archive(&[("a", &[7; 1000])]);
    for bytes in [&b""[..], b"not a zip file", &whole[..whole.len() - 30]] {
        let error = Unpacking::new()
            .of(bytes, ZipLimits::default())
            .await
            .unwrap_err();
        assert!(matches!(error, UnzipError::Broken(_)), "{error}");
    }
}

#[tokio::test]
async fn a_directory_that_is_there_is_left_alone() {
    let place = Unpacking::new();
    std::fs::create_dir(place.out()).unwrap();
    std::fs::write(place.out().join("mine"), "x").unwrap();
    let error = place
        .of(&archive(&[("a", b"x")]), ZipLimits::default())
        .await
        .unwrap_err();
    assert!(matches!(error, UnzipError::NotStored { .. }), "{error}");
    assert!(place.out().join("mine").exists());
}
