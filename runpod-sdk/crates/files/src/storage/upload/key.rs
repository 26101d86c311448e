//! The keys of objects.

use object_store::path::Path;
use runpod_protocol::JobId;

use super::error::UploadError;

/// The most bytes of a key, as S3 has it.
const LONGEST: usize = 1024;
/// The most bytes of a job's id in a key.
const LONGEST_ID: usize = 128;
/// The name of an object without one.
const NAMELESS: &str = "file";

/// Checks a key and takes it as it is.
pub(super) fn parse(key: &str) -> Result<Path, UploadError> {
    let bad = |problem: &str| UploadError::BadKey {
        key: key.chars().filter(|c| !c.is_control()).take(100).collect(),
        problem: problem.to_owned(),
    };
    if key.is_empty() {
        return Err(bad("it is empty"));
    }
    if key.len() > LONGEST {
        return Err(bad("it is longer than 1024 bytes"));
    }
    if key.chars().any(char::is_control) {
        return Err(bad("it holds a control character"));
    }
    if key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(bad("a part between its slashes is empty, . or .."));
    }
    Path::parse(key).map_err(|problem| bad(&problem.to_string()))
}

/// `<job id>/<name>`, made safe.
pub(super) fn of_job(job: &JobId, name: &str) -> String {
    let mut id = plain(job.as_str(), "");
    let mut end = id.len().min(LONGEST_ID);
    while !id.is_char_boundary(end) {
        end -= 1;
    }
    id.truncate(end);
    let parts: Vec<String> = name
        .split(['/', '\\'])
        .map(|part| plain(part, " +()@"))
        .filter(|part| !part.is_empty())
        .collect();
    let name = if parts.is_empty() {
        NAMELESS.to_owned()
    } else {
        parts.join("/")
    };
    let id = if id.is_empty() { "job" } else { &id };
    format!("{id}/{name}")
}

/// `text` with all characters replaced by `_` except letters, digits, `-`, `_`, `.` and those in `more`.
fn plain(text: &str, more: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "-_.".contains(c) || more.contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    plain.trim_matches(['.', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_jobs_key_stays_under_the_job() {
        for (id, name, key) in [
            ("9f0c-u1", "a.png", "9f0c-u1/a.png"),
            ("sync-9f0c", "steps/1/a b.png", "sync-9f0c/steps/1/a b.png"),
            ("a/../b", "../../x.png", "a_.._b/x.png"),
            ("..", "", "job/file"),
            ("j", "/etc/passwd", "j/etc/passwd"),
            ("j", "..\\x\0y.png", "j/x_y.png"),
            ("j", "übersicht?.png", "j/übersicht_.png"),
        ] {
            assert_eq!(of_job(&JobId::from(id), name), key);
        }
    }

    #[test]
    fn keys_that_lead_elsewhere_are_refused() {
        let long = "x".repeat(1025);
        for key in [
            "", "/a", "a/", "a//b", "a/../b", "..", "./a", "a\nb", "a\0", &long,
        ] {
            assert!(matches!(parse(key), Err(UploadError::BadKey { .. })), "{key:?}");
        }
        for key in ["a", "a b/ü~*#?.png", "a/...b"] {
            assert_eq!(parse(key).unwrap().as_ref(), key);
        }
    }

    proptest! {
        #[test]
        fn every_jobs_key_is_a_key(id in ".{0,200}", name in ".{0,200}") {
            let key = of_job(&JobId::from(id.as_str()), &name);
            prop_assert_eq!(parse(&key).unwrap().parts().count(), key.matches('/').count() + 1);
        }
    }
}
