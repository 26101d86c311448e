//! Snapshots of what is written for a handler.

use proc_macro2::TokenStream;
use quote::quote;

use super::expand;

/// Compares the expansion, laid out as a person would write it, with the snapshot of the test's name.
#[track_caller]
fn assert_expansion(name: &str, options: TokenStream, item: &TokenStream) {
    let expanded = expand(options, item);
    let pretty = match syn::parse2(expanded.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        Err(error) => panic!("not valid Rust: {error}\n{expanded}"),
    };
    // The expression would only repeat the test.
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, pretty);
    });
}

#[test]
fn the_simplest_handler() {
    assert_expansion(
        "the_simplest_handler",
        quote!(),
        &quote! {
            /// Says hello.
            async fn greet(input: Greeting) -> JobResult<String> {
                Ok(format!("Hello, {}!", input.name))
            }
        },
    );
}

#[test]
fn every_option_and_extractor() {
    assert_expansion(
        "every_option_and_extractor",
        quote!(concurrency = 4, timeout = "1h 30m", state = App, crate = my::sdk),
        &quote! {
            #[cfg(unix)]
            #[must_use]
            pub(crate) async fn paint(
                Prompt { text, .. }: Prompt,
                mut ctx: Context,
                State(model): State<Model>,
            ) -> Result<Picture, PaintError> {
                todo!()
            }
        },
    );
}

#[test]
fn a_blocking_handler() {
    assert_expansion(
        "a_blocking_handler",
        quote!(blocking),
        &quote! {
            pub fn shrink(input: Picture, State(tools): State<Tools>) -> JobResult<Small> {
                todo!()
            }
        },
    );
}

#[test]
fn a_streaming_handler() {
    assert_expansion(
        "a_streaming_handler",
        quote!(stream, aggregate),
        &quote! {
            fn tokens(input: Prompt) -> impl Stream<Item = JobResult<Token>> {
                todo!()
            }
        },
    );
}

#[test]
fn a_streaming_handler_that_merges() {
    assert_expansion(
        "a_streaming_handler_that_merges",
        quote!(stream, merge = "50ms"),
        &quote! {
            fn tokens(input: Prompt) -> impl Stream<Item = JobResult<String>> {
                todo!()
            }
        },
    );
}

#[test]
fn an_async_streaming_handler() {
    assert_expansion(
        "an_async_streaming_handler",
        quote!(stream),
        &quote! {
            async fn tokens(input: Prompt) -> impl Stream<Item = JobResult<Token>> {
                todo!()
            }
        },
    );
}

#[test]
fn a_return_type_without_a_name() {
    assert_expansion(
        "a_return_type_without_a_name",
        quote!(),
        &quote! {
            async fn tokens(input: Prompt) -> JobResult<Streaming<impl Stream<Item = JobResult<Token>>>> {
                todo!()
            }
        },
    );
}

#[test]
fn faults_leave_the_function_and_a_stand_in() {
    assert_expansion(
        "faults_leave_the_function_and_a_stand_in",
        quote!(retries = 3),
        &quote! {
            fn greet(name: &str) -> JobResult<String> {
                todo!()
            }
        },
    );
}

#[test]
fn a_faulty_method_gets_nothing_beside_it() {
    let method = quote!(
        async fn greet(&self, name: String) -> JobResult<String> {}
    );
    let expanded = expand(quote!(), &method);
    assert!(!expanded.to_string().contains("struct"), "{expanded}");
}

#[test]
fn nothing_makes_it_panic() {
    let items = [
        quote!(),
        quote!(
            const _: () = ();
        ),
        quote!(
            fn f();
        ),
        quote!(
            fn f() {}
        ),
        quote!(
            async fn f(self) {}
        ),
        quote!(
            async unsafe extern "C" fn f<'a, T, const N: usize>(
                &'a self,
                _: impl A,
                _: [&'a T; N],
                ...
            ) -> impl B {
            }
        ),
        quote!(?),
    ];
    let options = [
        quote!(),
        quote!(,),
        quote!(concurrency),
        quote!(concurrency =),
        quote!(concurrency = 99999999999999999999999999),
        quote!(timeout(10)),
        quote!(timeout = "99999999999999999999999999y"),
        quote!(a::b = 1, state, state = ),
        quote!(crate),
        quote!("text"),
        quote!(stream stream, blocking, aggregate = 1),
        quote!(merge, merge_bytes),
        quote!(stream, merge = "50", merge_bytes = -1),
    ];
    for item in &items {
        for options in &options {
            let expanded = expand(options.clone(), item).to_string();
            assert!(expanded.contains("compile_error"), "{options} {item}: {expanded}");
        }
    }
}
