//! The `#[handler]` attribute of `runpod-sdk`.

use proc_macro::TokenStream;

/// Placeholder.
#[proc_macro_attribute]
pub fn handler(_options: TokenStream, item: TokenStream) -> TokenStream {
    item
}
