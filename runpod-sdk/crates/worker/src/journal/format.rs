//! The file format of a stored result: a line with sizes and checksum, a header, the body.
//!
//! ```text
//! runpod-journal 1 CRC32 HEADER-LENGTH BODY-LENGTH\n
//! {"job":"…","stream":false,"failed":false,"worker":"…"}{"output": …}
//! ```
//!
//! The checksum covers header and body, and the lengths must add up. A file that was cut or lost blocks is thus never
//! taken for a result.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::job::{JobId, JobReport};

const MAGIC: &str = "runpod-journal 1";
/// The longest first line.
pub(super) const FIRST_LINE: usize = 100;

/// A stored result.
#[derive(Debug)]
pub(super) struct StoredResult {
    pub(super) job: JobId,
    pub(super) report: JobReport,
}

#[derive(Serialize, Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    job: std::borrow::Cow<'a, str>,
    stream: bool,
    failed: bool,
    /// The worker that ran the job: the platform expects the result from it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    worker: Option<std::borrow::Cow<'a, str>>,
}

/// The reason why a file holds no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it does not begin like a journal entry")]
    Foreign,
    #[error("it is not as long as it says")]
    Length,
    #[error("its checksum is wrong")]
    Checksum,
    #[error("its header makes no sense")]
    Header,
}

/// Encodes a report, in pieces. The report's own pieces are not copied.
pub(super) fn encode(job: &JobId, report: &JobReport) -> Vec<Bytes> {
    let header = Header {
        job: job.as_str().into(),
        stream: report.is_stream(),
        failed: report.is_failure(),
        worker: report.worker().map(Into::into),
    };
    let header = serde_json::to_vec(&header).expect("strings and booleans are JSON");
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&header);
    for piece in report.pieces() {
        checksum.update(piece);
    }
    let first = format!(
        "{MAGIC} {:08x} {} {}\n",
        checksum.finalize(),
        header.len(),
        report.len()
    );
    let mut pieces = vec![first.into(), header.into()];
    pieces.extend(report.pieces().iter().cloned());
    pieces
}

/// The numbers in the first line of a file.
struct FirstLine {
    /// The bytes of the line itself.
    len: usize,
    checksum: u32,
    header_len: usize,
    body_len: usize,
}

/// Checks that a file of `bytes` bytes that begins with `head` may be a stored result. `head` has [`FIRST_LINE`] bytes of
/// it, or the whole.
pub(super) fn check_head(head: &[u8], bytes: u64) -> Result<(), Unreadable> {
    let line = FirstLine::read(head)?;
    let content = line.header_len.checked_add(line.body_len);
    let whole = content.and_then(|content| content.checked_add(line.len));
    if whole.and_then(|whole| u64::try_from(whole).ok()) == Some(bytes) {
        Ok(())
    } else {
        Err(Unreadable::Length)
    }
}

impl FirstLine {
    fn read(file: &[u8]) -> Result<Self, Unreadable> {
        let start = &file[..file.len().min(FIRST_LINE)];
        let end = start
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or(Unreadable::Foreign)?;
        let first = std::str::from_utf8(&start[..end]).map_err(|_| Unreadable::Foreign)?;
        let numbers = first
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or(Unreadable::Foreign)?;
        let mut numbers = numbers.split(' ');
        let mut next = || numbers.next().ok_or(Unreadable::Foreign);
        Ok(Self {
            len: end + 1,
            checksum: u32::from_str_radix(next()?, 16).map_err(|_| Unreadable::Foreign)?,
            header_len: next()?.parse().map_err(|_| Unreadable::Foreign)?,
            body_len: next()?.parse().map_err(|_| Unreadable::Foreign)?,
        })
    }
}

/// Decodes a stored result. Its body shares the buffer of `file`.
pub(super) fn decode(file: &Bytes) -> Result<StoredResult, Unreadable> {
    let FirstLine {
        len,
        checksum,
        header_len,
        body_len,
    } = FirstLine::read(file)?;
    let rest = file.slice(len..);
    if header_len.checked_add(body_len) != Some(rest.len()) {
        return Err(Unreadable::Length);
    }
    if crc32fast::hash(&rest) != checksum {
        return Err(Unreadable::Checksum);
    }
    let header: Header<'_> = serde_json::from_slice(&rest[..header_len]).map_err(|_| Unreadable::Header)?;
    Ok(StoredResult {
        job: header.job.as_ref().into(),
        report: JobReport::stored(rest.slice(header_len..), header.stream, header.failed)
            .of_worker(header.worker.as_deref()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::{JobError, Outcome, WorkerIdentity};
    use crate::json::RawJson;

    fn file(job: &str, report: &JobReport) -> Bytes {
        encode(&job.into(), report).concat().into()
    }

    fn report(output: &str) -> JobReport {
        let outcome = Outcome::Completed(RawJson::from(serde_json::json!(output)));
        JobReport::of(&outcome, false, &WorkerIdentity::default()).unwrap()
    }

    #[test]
    fn an_entry_is_what_was_reported_byte_for_byte() {
        let outcomes = [
            Outcome::Completed(RawJson::parse(r#"{"a":  1.0}"#).unwrap()),
            Outcome::Streamed(RawJson::parse("[1, 2]").unwrap()),
            Outcome::Failed(JobError::invalid_input("no \"prompt\"")),
            Outcome::StreamFailed(JobError::message_only("line\nbreak")),
        ];
        for outcome in outcomes {
            let report = JobReport::of(&outcome, false, &WorkerIdentity::default()).unwrap();
            let entry = decode(&file("a/b \"c\"\n", &report)).unwrap();
            assert_eq!(entry.job.as_str(), "a/b \"c\"\n");
            assert_eq!(entry.report.pieces().concat(), report.pieces().concat());
            assert_eq!(entry.report.is_stream(), report.is_stream());
            assert_eq!(entry.report.is_failure(), report.is_failure());
            assert_eq!(entry.report.worker(), None);
        }
    }

    #[test]
    fn an_entry_knows_whose_result_it_is() {
        let report = report("x").of_worker(Some("pod-\"1\""));
        let entry = decode(&file("j", &report)).unwrap();
        assert_eq!(entry.report.worker(), Some("pod-\"1\""));
    }

    #[test]
    fn a_large_result_is_not_copied() {
        let output = RawJson::from(serde_json::json!("x".repeat(1000)));
        let report = JobReport::of(
            &Outcome::Completed(output.clone()),
            false,
            &WorkerIdentity::default(),
        )
        .unwrap();
        let pieces = encode(&"j".into(), &report);
        assert!(
            pieces
                .iter()
                .any(|piece| piece.as_ptr() == output.as_bytes().as_ptr())
        );
        let file: Bytes = pieces.concat().into();
        let entry = decode(&file).unwrap();
        assert!(file.as_ptr_range().contains(&entry.report.pieces()[0].as_ptr()));
    }

    #[test]
    fn a_file_cut_at_any_byte_is_no_result() {
        let whole = file("job-1", &report("a result of some length"));
        for length in 0..whole.len() {
            assert!(decode(&whole.slice(..length)).is_err(), "cut at {length}");
        }
        let longer: Bytes = [whole.as_ref(), b" "].concat().into();
        assert_eq!(decode(&longer).unwrap_err(), Unreadable::Length);
    }

    proptest! {
        #[test]
        fn a_file_with_a_wrong_byte_anywhere_is_no_other_result(
            output in ".{0,50}", place: prop::sample::Index, wrong in 1_u8..=255
        ) {
            let report = report(&output);
            let whole = file("job-1", &report);
            let mut bytes = whole.to_vec();
            let place = place.index(bytes.len());
            bytes[place] ^= wrong;
            // Only the case of a hexadecimal digit may change without an error.
            if let Ok(entry) = decode(&bytes.into()) {
                prop_assert_eq!(entry.job.as_str(), "job-1");
                prop_assert_eq!(entry.report.pieces().concat(), report.pieces().concat());
            }
        }

        #[test]
        fn a_file_whose_tail_never_reached_the_disk_is_no_result(
            output in ".{1,50}", place: prop::sample::Index
        ) {
            let whole = file("job-1", &report(&output));
            let place = place.index(whole.len());
            let mut bytes = whole.to_vec();
            bytes[place..].fill(0);
            prop_assert!(decode(&bytes.into()).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused_and_nothing_else(bytes: Vec<u8>) {
            let _ = decode(&bytes.into());
        }
    }
}
