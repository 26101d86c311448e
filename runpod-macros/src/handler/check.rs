//! Do the options and the signature fit together?

use std::time::Duration;

use quote::quote;
use syn::{Attribute, GenericArgument, Ident, Path, PathArguments, Type, Visibility, parse_quote};

use super::Faults;
use super::options::Options;
use super::signature::Signature;

/// A handler without faults: all that is needed to write its worker.
pub(super) struct Plan<'a> {
    pub(super) name: &'a Ident,
    pub(super) visibility: &'a Visibility,
    pub(super) conditions: &'a [Attribute],
    pub(super) sdk: &'a Path,
    pub(super) state: Type,
    pub(super) mode: Mode,
    pub(super) input: &'a Type,
    pub(super) arguments: &'a [Type],
    pub(super) output: &'a Type,
    pub(super) errors: &'a [Type],
    pub(super) concurrency: Option<usize>,
    pub(super) timeout: Option<Duration>,
}

/// How the function is called.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    /// `async fn` that returns a `Result`.
    Async,
    /// `fn` that returns a `Result`, on a thread of its own.
    Blocking,
    /// `fn` or `async fn` that returns a stream.
    Stream {
        is_async: bool,
        aggregate: bool,
        merge: Option<Merge>,
    },
}

/// Text chunks that come close to each other are joined.
#[derive(Clone, Copy)]
pub(super) struct Merge {
    pub(super) window: Duration,
    pub(super) most_bytes: usize,
}

/// A page of tokens: a post costs a round trip, whatever it holds.
const MERGE_BYTES: usize = 4096;

pub(super) fn check<'a>(
    options: &'a Options,
    signature: &'a Signature,
    faults: &mut Faults,
) -> Option<Plan<'a>> {
    let mode = mode(options, signature, faults);
    let state = state(options, signature, faults);
    if signature.output.is_none() {
        let wanted = if options.stream.is_some() {
            "a streaming handler returns its stream: add `-> impl Stream<Item = JobResult<Chunk>>`"
        } else {
            "a handler returns a `Result`: add `-> JobResult<()>`, or what it makes in place of `()`"
        };
        faults.at(&signature.name, wanted);
    }
    Some(Plan {
        name: &signature.name,
        visibility: &signature.visibility,
        conditions: &signature.conditions,
        sdk: &options.sdk,
        state,
        mode: mode?,
        input: signature.input.as_ref()?,
        arguments: &signature.arguments,
        output: signature.output.as_ref()?,
        errors: &options.errors,
        concurrency: options.concurrency,
        timeout: options.timeout,
    })
}

fn mode(options: &Options, signature: &Signature, faults: &mut Faults) -> Option<Mode> {
    if let (Some(aggregate), None) = (&options.aggregate, &options.stream) {
        faults.at(
            aggregate,
            "`aggregate` collects the chunks of a stream: write `stream, aggregate`",
        );
    }
    if let (Some((merge, _)), None) = (&options.merge, &options.stream) {
        faults.at(
            merge,
            "`merge` joins the text chunks of a stream: write `stream, merge = \"50ms\"`",
        );
    }
    if let (Some((merge_bytes, _)), None) = (&options.merge_bytes, &options.merge) {
        faults.at(
            merge_bytes,
            "`merge_bytes` bounds what `merge` joins: write `merge = \"50ms\", merge_bytes = 4096`",
        );
    }
    if let (Some(blocking), Some(_)) = (&options.blocking, &options.stream) {
        faults.at(
            blocking,
            "a stream is polled, it can't block: choose `blocking` or `stream`",
        );
        return None;
    }
    match (&options.blocking, &options.stream, &signature.asyncness) {
        (None, Some(_), asyncness) => Some(Mode::Stream {
            is_async: asyncness.is_some(),
            aggregate: options.aggregate.is_some(),
            merge: options.merge.as_ref().map(|(_, window)| Merge {
                window: *window,
                most_bytes: options
                    .merge_bytes
                    .as_ref()
                    .map_or(MERGE_BYTES, |(_, bytes)| *bytes),
            }),
        }),
        (None, None, Some(_)) => Some(Mode::Async),
        (None, None, None) => {
            faults.at(
                signature.fn_token,
                "a handler is an `async fn`; if it is to block its thread, write `#[handler(blocking)]`",
            );
            None
        }
        (Some(_), _, None) => Some(Mode::Blocking),
        (Some(blocking), _, Some(_)) => {
            faults.at(
                blocking,
                "an `async fn` must not block its thread: leave out `async`, or leave out `blocking`",
            );
            None
        }
    }
}

/// The type of state that the worker needs: as the options say, or else the only `State<T>` among
/// the arguments, or else none.
///
/// This is the one place where the spelling of a type matters. An alias of `State` needs
/// `state = …`; without it, the compiler says which state is missing.
fn state(options: &Options, signature: &Signature, faults: &mut Faults) -> Type {
    if let Some(state) = &options.state {
        return state.clone();
    }
    let mut states = signature.arguments.iter().filter_map(inside_state);
    let Some(first) = states.next() else {
        return parse_quote!(());
    };
    // Two spellings of one type count as two here. `state = …` settles that, too.
    let spelling = |state: &Type| quote!(#state).to_string();
    if let Some(second) = states.find(|state| spelling(state) != spelling(first)) {
        faults.at(
            second,
            "two types of state: say with `state = …` which one the worker has, \
             and `impl FromRef` for the parts of it",
        );
    }
    first.clone()
}

/// `T` of `State<T>`.
fn inside_state(argument: &Type) -> Option<&Type> {
    let Type::Path(path) = argument else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match (
        last.ident == "State",
        arguments.args.first(),
        arguments.args.len(),
    ) {
        (true, Some(GenericArgument::Type(state)), 1) => Some(state),
        _ => None,
    }
}
