//! The `#[handler]` attribute of `runpod-sdk`.

mod handler;

use proc_macro::TokenStream;

/// Makes a worker of a function.
#[proc_macro_attribute]
pub fn handler(options: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(options.into(), &item.into()).into()
}
