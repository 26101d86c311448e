//! File names of the journal: the job and the owner of a file.

use std::fmt;

use crate::job::JobId;

/// The longest key. Names may have 255 bytes, of which the owner takes 33.
const LONGEST: usize = 160;
/// The bytes that remain of a longer key, before its hash.
const KEPT: usize = 120;

/// The owner of a file: one run of one process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Owner(String);

impl Owner {
    /// A new, unique owner.
    pub(super) fn new() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }

    /// The owner of results that were delivered.
    pub(super) fn delivered() -> Self {
        Self("delivered".to_owned())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Owner {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The folder if no endpoint is named. No endpoint's folder has this name, because their names have no `@`.
const NO_ENDPOINT: &str = "@no-endpoint";

/// The folder of an endpoint. Results are kept apart by endpoint, because another endpoint does not know the jobs and
/// would drop the results.
pub(super) fn folder_of(endpoint: Option<&str>) -> String {
    endpoint.map_or_else(|| NO_ENDPOINT.to_owned(), as_file_name)
}

/// A job's id as part of a file name. Ids are opaque and may hold anything; very long ids could share a key, so a
/// stored result names its job in full.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct JobKey(String);

impl JobKey {
    pub(super) fn of(job: &JobId) -> Self {
        Self(as_file_name(job.as_str()))
    }

    /// The name of this job's file with this owner.
    pub(super) fn owned_by(&self, owner: &Owner) -> FileName {
        FileName {
            key: self.clone(),
            owner: owner.clone(),
        }
    }
}

/// An id, which may hold any characters, as a name of letters, digits and `-_%~`.
fn as_file_name(id: &str) -> String {
    use std::fmt::Write as _;

    let mut name = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02X}");
        }
    }
    if name.len() > LONGEST {
        // FNV-1a.
        let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        name.truncate(KEPT);
        let _ = write!(name, "~{hash:016x}");
    }
    name
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a file: `KEY@OWNER`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FileName {
    pub(super) key: JobKey,
    pub(super) owner: Owner,
}

impl FileName {
    /// Whether it names a result that was delivered after its process had died.
    pub(super) fn is_delivered(&self) -> bool {
        self.owner == Owner::delivered()
    }

    /// Parses a name; `None` for a file that is not the journal's.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (key, owner) = text.split_once('@')?;
        let whole = !key.is_empty() && !owner.is_empty() && !owner.contains('@');
        whole.then(|| Self {
            key: JobKey(key.to_owned()),
            owner: owner.into(),
        })
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.key, self.owner.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_id_makes_a_harmless_file_name_that_can_be_read_again(id in "\\PC{1,300}") {
            let name = JobKey::of(&id.as_str().into()).owned_by(&Owner::new());
            let text = name.to_string();
            prop_assert!(text.len() <= 255 && !text.starts_with('.') && !text.contains(['/', '\0']));
            prop_assert_eq!(FileName::read(&text), Some(name));
        }

        #[test]
        fn any_endpoint_has_one_harmless_folder_of_its_own(id in "\\PC{1,300}") {
            let folder = folder_of(Some(&id));
            prop_assert!(folder.len() <= 255 && !folder.starts_with('.') && !folder.contains(['/', '\0']));
            prop_assert_ne!(folder, folder_of(None));
        }

        #[test]
        fn different_ids_have_different_keys(one in "[a-z@/.%-]{1,40}", other in "[a-z@/.%-]{1,40}") {
            prop_assume!(one != other);
            prop_assert_ne!(JobKey::of(&one.as_str().into()), JobKey::of(&other.as_str().into()));
        }
    }

    #[test]
    fn names_of_other_files_are_not_ours() {
        for name in ["", "README", "@", "key@", "@owner", "a@b@c"] {
            assert_eq!(FileName::read(name), None, "{name}");
        }
    }
}
