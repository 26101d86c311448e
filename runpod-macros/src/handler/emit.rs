//! What is written beside the function.
//!
//! The generated code calls each trait on the type as the user wrote it, so that a type that does not
//! fit is an error at that type, and an alias is as good as the type itself.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::visit::Visit;
use syn::{Attribute, Type, TypeImplTrait, Visibility};

use super::check::{Merge, Mode, Plan};
use super::options::Options;
use super::signature::Signature;

/// The type that shares the function's name, and `worker()` on it.
pub(super) fn emit(plan: &Plan<'_>) -> TokenStream {
    let Plan { sdk, state, name, .. } = plan;
    let worker = worker(plan);
    let concurrency = plan.concurrency.map(|jobs| quote!(.concurrency(#jobs)));
    let timeout = plan.timeout.map(|limit| {
        let limit = duration(limit);
        quote!(.timeout(#limit))
    });
    let errors = plan
        .errors
        .iter()
        .map(|error| quote!(#sdk::job::keep_code_of::<#error>();));
    let doc = format!(" The worker that runs the handler `{name}`, with the options of its attribute.");
    beside(
        plan.conditions,
        plan.visibility,
        name,
        &quote! {
            #[doc = #doc]
            pub fn worker() -> #sdk::Worker<#state> {
                #(#errors)*
                #worker #concurrency #timeout
            }
        },
    )
}

/// Stands in for a worker that could not be made, so that `greet::worker()` elsewhere is not an
/// error of its own: the reasons have been given already.
pub(super) fn stand_in(options: &Options, signature: &Signature) -> Option<TokenStream> {
    if signature.is_method {
        return None;
    }
    let sdk = &options.sdk;
    Some(beside(
        &signature.conditions,
        &signature.visibility,
        &signature.name,
        &quote! {
            pub fn worker<S>() -> #sdk::Worker<S> {
                ::core::unreachable!()
            }
        },
    ))
}

/// A struct with braces has no constructor among the values, so the function keeps its name; one
/// `use` brings both.
fn beside(
    conditions: &[Attribute],
    visibility: &Visibility,
    name: &Ident,
    methods: &TokenStream,
) -> TokenStream {
    let doc = format!(" Makes the worker of the handler [`{name}`](fn@{name}).");
    quote! {
        #(#conditions)*
        #[doc = #doc]
        #[allow(dead_code, missing_debug_implementations, non_camel_case_types, reason = "a name to hang `worker()` on")]
        #visibility struct #name {}

        #(#conditions)*
        const _: () = {
            #[allow(deprecated, reason = "that is for callers of the function to know")]
            impl #name {
                #methods
            }
        };
    }
}

fn worker(plan: &Plan<'_>) -> TokenStream {
    let Plan {
        sdk,
        state,
        input: input_type,
        ..
    } = plan;
    let schema = quote!(<#input_type as #sdk::__private::JobInput>::schema);
    let [input, context, rest] = ["input", "context", "state"].map(local);
    let arguments = arguments(plan, &input, &context, &rest);
    let result = result(plan);
    match plan.mode {
        Mode::Async | Mode::Stream { .. } => quote! {
            #sdk::__private::worker::<#state, _, _>(#schema, |#input, #context, #rest| async move {
                #arguments
                #result
            })
        },
        Mode::Blocking => quote! {
            #sdk::__private::blocking_worker::<#state, _>(#schema, |#input, #context, #rest| {
                #arguments
                #result
            })
        },
    }
}

/// Makes the arguments, and keeps nothing else while the handler works.
fn arguments(plan: &Plan<'_>, input: &Ident, context: &Ident, state: &Ident) -> TokenStream {
    let Plan {
        sdk,
        state: state_type,
        ..
    } = plan;
    let first = argument_name(0);
    let input_type = plan.input;
    let rest = plan.arguments.iter().enumerate().map(|(index, argument)| {
        let name = argument_name(index + 1);
        quote! {
            let #name = <#argument as #sdk::__private::FromContext<#state_type>>::from_context(&#context, &#state);
        }
    });
    quote! {
        let #first = <#input_type as #sdk::__private::JobInput>::read(#input)?;
        #(#rest)*
        ::core::mem::drop((#context, #state));
    }
}

/// Calls the function, and encodes what it returns.
fn result(plan: &Plan<'_>) -> TokenStream {
    let Plan {
        sdk, name, output, ..
    } = plan;
    let arguments = (0..=plan.arguments.len()).map(argument_name);
    let called = under(name, quote!(#name(#(#arguments),*)));
    let private = quote!(#sdk::__private);
    // The parentheses are one token for `under`; a path would be underlined from its middle on.
    let awaited = quote!((#private::future(#called)).await);
    let (function, returned) = match plan.mode {
        Mode::Async => (produce(&private, output), awaited),
        Mode::Blocking => (produce(&private, output), called),
        Mode::Stream { is_async: true, .. } => (quote!(#private::stream), awaited),
        Mode::Stream { .. } => (quote!(#private::stream), called),
    };
    let returned = under(output, returned);
    match plan.mode {
        Mode::Async | Mode::Blocking => quote!(#function(#returned)),
        Mode::Stream { aggregate, merge, .. } => {
            let merge = merging(merge);
            quote!(#function(#returned, #aggregate, #merge))
        }
    }
}

fn merging(merge: Option<Merge>) -> TokenStream {
    match merge {
        None => quote!(::core::option::Option::None),
        Some(Merge { window, most_bytes }) => {
            let window = duration(window);
            quote!(::core::option::Option::Some((#window, #most_bytes)))
        }
    }
}

/// `HandlerResult::produce` of the return type, named where it has a name: errors are then about it.
fn produce(private: &TokenStream, output: &Type) -> TokenStream {
    if has_a_name(output) {
        quote!(<#output as #private::HandlerResult>::produce)
    } else {
        quote!(#private::HandlerResult::produce)
    }
}

/// Whether a type can be written outside of the function's signature: not if there is an `impl Trait` in it.
fn has_a_name(output: &Type) -> bool {
    struct Opaque(bool);

    impl Visit<'_> for Opaque {
        fn visit_type_impl_trait(&mut self, _: &TypeImplTrait) {
            self.0 = true;
        }
    }

    let mut opaque = Opaque(false);
    opaque.visit_type(output);
    !opaque.0
}

fn argument_name(index: usize) -> Ident {
    match index {
        0 => local("input"),
        _ => local(&format!("argument_{index}")),
    }
}

/// A variable that nothing in the user's code can be mistaken for.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

fn duration(duration: Duration) -> TokenStream {
    let (secs, nanos) = (duration.as_secs(), duration.subsec_nanos());
    quote!(::core::time::Duration::new(#secs, #nanos))
}

/// Stretches `code` over `part`, so that an error about `code` underlines all of `part`.
///
/// Only the ends are moved: the compiler underlines from an expression's first token to its last.
fn under(part: &impl ToTokens, code: TokenStream) -> TokenStream {
    let part: Vec<_> = part.to_token_stream().into_iter().collect();
    let mut code: Vec<_> = code.into_iter().collect();
    if let (Some(token), Some(at)) = (code.first_mut(), part.first()) {
        place(token, at.span());
    }
    if let (Some(token), Some(at)) = (code.last_mut(), part.last()) {
        place(token, at.span());
    }
    code.into_iter().collect()
}

fn place(token: &mut TokenTree, at: Span) {
    match token {
        // A name keeps its meaning, which is a part of its span. (`await` means the same everywhere.)
        TokenTree::Ident(name) if name != "await" => name.set_span(name.span().located_at(at)),
        other => other.set_span(at),
    }
}
