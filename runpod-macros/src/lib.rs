//! The `#[handler]` attribute of `runpod-sdk`, which re-exports it. Depend on that crate.

mod handler;

use proc_macro::TokenStream;

// The examples need the SDK, and run with its own.
#[cfg_attr(not(doctest), doc = include_str!("handler.md"))]
#[proc_macro_attribute]
pub fn handler(options: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(options.into(), &item.into()).into()
}
