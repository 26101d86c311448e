//! Divides the GPUs of a process among its children.

/// The variable that tells CUDA which GPUs a process may see.
pub(crate) const VARIABLE: &str = "CUDA_VISIBLE_DEVICES";

/// GPUs as `CUDA_VISIBLE_DEVICES` names them: by number, or as `GPU-…` or `MIG-…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisibleGpus(Vec<String>);

impl VisibleGpus {
    /// The GPUs that this process sees: those that its `CUDA_VISIBLE_DEVICES` names, or all `count` of the machine where
    /// that is not set.
    pub fn inherited(count: usize) -> Self {
        let variable = std::env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned());
        Self::of(variable.as_deref(), count)
    }

    /// The GPUs that a value of the variable names; `count` GPUs by number if it is `None`.
    ///
    /// As for CUDA, the list ends at the first entry that names no GPU, so that an empty value and `-1` name none.
    ///
    /// ```
    /// # use runpod_child::VisibleGpus;
    /// assert_eq!(VisibleGpus::of(Some("2,3,-1,0"), 8).value(), "2,3");
    /// assert_eq!(VisibleGpus::of(None, 3).value(), "0,1,2");
    /// ```
    pub fn of(variable: Option<&str>, count: usize) -> Self {
        let Some(variable) = variable else {
            return Self((0..count).map(|number| number.to_string()).collect());
        };
        let entries = variable.split(',').map(str::trim);
        Self(
            entries
                .take_while(|entry| names_a_gpu(entry))
                .map(str::to_owned)
                .collect(),
        )
    }

    /// The shares of the children, in order. Their sizes differ by at most one GPU. Where there are fewer GPUs than
    /// children, neighbours share one.
    #[must_use]
    pub fn divided(&self, children: usize) -> Vec<Self> {
        let gpus = self.0.len();
        let share = |child: usize| {
            let start = child * gpus / children;
            let end = ((child + 1) * gpus / children).max(start + 1).min(gpus);
            Self(self.0[start.min(end)..end].to_vec())
        };
        (0..children).map(share).collect()
    }

    /// The number of GPUs.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The value of `CUDA_VISIBLE_DEVICES` that shows these GPUs and no other. It is empty for none.
    pub fn value(&self) -> String {
        self.0.join(",")
    }
}

fn names_a_gpu(entry: &str) -> bool {
    let is_number = !entry.is_empty() && entry.bytes().all(|byte| byte.is_ascii_digit());
    is_number || entry.starts_with("GPU-") || entry.starts_with("MIG-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(variable: Option<&str>, count: usize, children: usize) -> Vec<String> {
        let shares = VisibleGpus::of(variable, count).divided(children);
        shares.iter().map(VisibleGpus::value).collect()
    }

    #[test]
    fn children_get_the_gpus_that_were_inherited_and_no_other() {
        assert_eq!(shares(None, 4, 2), ["0,1", "2,3"]);
        assert_eq!(shares(Some("2,3"), 8, 2), ["2", "3"]);
        assert_eq!(
            shares(Some("GPU-8932f937, MIG-1/0/1,5"), 8, 2),
            ["GPU-8932f937", "MIG-1/0/1,5"]
        );
        assert_eq!(shares(Some("4,5,6"), 8, 1), ["4,5,6"]);
    }

    #[test]
    fn more_children_than_gpus_share_them() {
        assert_eq!(shares(Some("7"), 8, 3), ["7", "7", "7"]);
        assert_eq!(shares(None, 2, 4), ["0", "0", "1", "1"]);
    }

    #[test]
    fn where_none_is_visible_no_child_sees_one() {
        for none in ["", " ", "-1", "none", "-1,0"] {
            assert_eq!(shares(Some(none), 8, 2), ["", ""], "{none:?}");
        }
        assert_eq!(shares(None, 0, 1), [""]);
        assert!(shares(None, 4, 0).is_empty());
    }

    proptest! {
        #[test]
        fn each_gpu_goes_to_one_child_unless_there_are_too_few(gpus in 0_usize..20, children in 1_usize..20) {
            let shares = VisibleGpus::of(None, gpus).divided(children);
            let sizes: Vec<usize> = shares.iter().map(VisibleGpus::count).collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            if gpus >= children {
                let all: Vec<String> = shares.into_iter().flat_map(|share| share.0).collect();
                prop_assert_eq!(all, VisibleGpus::of(None, gpus).0);
            } else {
                prop_assert!(sizes.iter().all(|size| *size == gpus.min(1)));
            }
        }
    }
}
