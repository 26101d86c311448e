//! `#[handler]` in three steps: parse ([`options`], [`signature`]), [`check`] whether the parts fit
//! together, and [`emit`].

mod check;
mod emit;
mod faults;
mod options;
mod signature;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Item, ItemFn};

use check::check;
use emit::emit;
use faults::Faults;
use options::Options;
use signature::Signature;

/// The item as it was written, and beside it what makes it a worker, or else the reasons why not.
pub(crate) fn expand(options: TokenStream, item: &TokenStream) -> TokenStream {
    let function = match parse_function(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#item #error);
        }
    };
    let mut faults = Faults::default();
    let options = Options::parse(options, &mut faults);
    let signature = Signature::read(&function, &mut faults);
    let plan = check(&options, &signature, &mut faults);
    match (plan, faults.into_error()) {
        (Some(plan), None) => {
            let worker = emit(&plan);
            quote! {
                #[allow(
                    clippy::needless_pass_by_value,
                    clippy::unnecessary_wraps,
                    clippy::unused_async,
                    reason = "a handler's shape is given"
                )]
                #item
                #worker
            }
        }
        (_, error) => {
            let errors = error.map(syn::Error::into_compile_error);
            let stand_in = emit::stand_in(&options, &signature);
            quote!(#item #errors #stand_in)
        }
    }
}

fn parse_function(item: TokenStream) -> syn::Result<ItemFn> {
    match syn::parse2::<Item>(item)? {
        Item::Fn(function) => Ok(function),
        other => Err(syn::Error::new_spanned(
            other,
            "`#[handler]` goes on a function, such as `async fn greet(input: Greeting) -> JobResult<String>`",
        )),
    }
}

#[cfg(test)]
mod tests;
