//! The conditions under which code is compiled.

use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token};

/// Whether an item is compiled for tests alone.
pub(crate) fn only_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && attribute.parse_args::<Meta>().is_ok_and(|meta| needs_test(&meta)))
    })
}

/// Whether a condition of `cfg` holds in tests alone.
fn needs_test(condition: &Meta) -> bool {
    let inner = || {
        condition
            .require_list()
            .and_then(|list| list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated))
            .unwrap_or_default()
    };
    let path = condition.path();
    if path.is_ident("all") {
        inner().iter().any(needs_test)
    } else if path.is_ident("any") {
        let inner = inner();
        !inner.is_empty() && inner.iter().all(needs_test)
    } else {
        path.is_ident("test")
    }
}
