//! What is written beside the function.
//!
//! Each part of the handler is passed to a generic function of `__private` under the part's own
//! span: a type that does not fit is an error at that type, an alias is as good as the type itself.

use std::time::Duration;

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};

use super::check::{Mode, Plan};
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
    let doc = format!("The worker that runs the handler `{name}`, with the options of its attribute.");
    beside(
        plan.conditions,
        plan.visibility,
        name,
        &quote! {
            #[doc = #doc]
            pub fn worker() -> #sdk::Worker<#state> {
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
    conditions: &[syn::Attribute],
    visibility: &syn::Visibility,
    name: &Ident,
    methods: &TokenStream,
) -> TokenStream {
    let doc = format!("Makes the worker of the handler [`{name}`](fn@{name}).");
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
    let Plan { sdk, state, mode, .. } = plan;
    let call = local("call");
    let arguments = arguments(plan, &call);
    let result = result(plan);
    match mode {
        Mode::Async | Mode::Stream { .. } => quote! {
            #sdk::__private::worker::<#state, _, _>(|mut #call| async move {
                #arguments
                #result
            })
        },
        Mode::Blocking => quote! {
            #sdk::__private::blocking_worker::<#state, _>(|mut #call| {
                #arguments
                #result
            })
        },
    }
}

/// Takes the arguments from the call, which is not kept while the handler works.
fn arguments(plan: &Plan<'_>, call: &Ident) -> TokenStream {
    let input = argument_name(0);
    let input_type = plan.input;
    let rest = plan.arguments.iter().enumerate().map(|(index, argument_type)| {
        let name = argument_name(index + 1);
        quote!(let #name = #call.argument::<#argument_type>();)
    });
    quote! {
        let #input = #call.input::<#input_type>()?;
        #(#rest)*
        ::core::mem::drop(#call);
    }
}

/// Calls the function, and encodes what it returns.
fn result(plan: &Plan<'_>) -> TokenStream {
    let Plan {
        sdk, name, output, ..
    } = plan;
    let arguments = (0..=plan.arguments.len()).map(argument_name);
    let called = quote!(#name(#(#arguments),*));
    let future = local("future");
    let private = quote!(#sdk::__private);
    match plan.mode {
        Mode::Async => {
            let checked = quote_spanned!(name.span()=> #private::future(#called));
            let output = under(output, quote!(#private::output(#future.await)));
            quote! {
                let #future = #checked;
                #output
            }
        }
        Mode::Blocking => under(output, quote!(#private::output(#called))),
        Mode::Stream { is_async, aggregate } => {
            let stream = if is_async { quote!(#called.await) } else { called };
            under(output, quote!(#private::stream(#stream, #aggregate)))
        }
    }
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

/// Places `code` where `part` stands, from its first token to its last, so that an error in `code`
/// underlines all of `part`. Names keep their meaning.
fn under(part: &impl ToTokens, code: TokenStream) -> TokenStream {
    let tokens = part.to_token_stream();
    let mut tokens = tokens.into_iter();
    let first = tokens.next().map_or_else(Span::call_site, |token| token.span());
    let last = tokens.last().map_or(first, |token| token.span());
    let mut code = code.into_iter();
    let begin = code.next().map(|token| place(token, first));
    begin
        .into_iter()
        .chain(code.map(|token| place(token, last)))
        .collect()
}

fn place(mut token: TokenTree, at: Span) -> TokenTree {
    if let TokenTree::Group(group) = &token {
        let inner = group.stream().into_iter().map(|token| place(token, at)).collect();
        let mut placed = Group::new(group.delimiter(), inner);
        placed.set_span(group.span().located_at(at));
        return placed.into();
    }
    token.set_span(token.span().located_at(at));
    token
}
