//! All that is wrong, so that a person sees it in one go.

use std::fmt::Display;

use quote::ToTokens;

#[derive(Default)]
pub(super) struct Faults(Option<syn::Error>);

impl Faults {
    /// Notes a fault of the code in `at`, all of which is underlined.
    pub(super) fn at(&mut self, at: impl ToTokens, message: impl Display) {
        self.push(syn::Error::new_spanned(at, message));
    }

    pub(super) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(faults) => faults.combine(error),
            none => *none = Some(error),
        }
    }

    pub(super) fn into_error(self) -> Option<syn::Error> {
        self.0
    }
}
