//! What stands in the parentheses of `#[handler(…)]`.

use std::collections::HashSet;
use std::time::Duration;

use proc_macro2::{TokenStream, TokenTree};
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Ident, Lit, Path, Token, Type, parenthesized, parse_quote, token};

use super::Faults;

/// Every option, in the order in which messages list them.
const KNOWN: &str = "`concurrency`, `timeout`, `state`, `errors`, `blocking`, `stream`, `aggregate`, `merge`, \
                     `merge_bytes`, `crate`";

pub(super) struct Options {
    pub(super) concurrency: Option<usize>,
    pub(super) timeout: Option<Duration>,
    pub(super) state: Option<Type>,
    /// The error types whose codes `?` keeps.
    pub(super) errors: Vec<Type>,
    /// A word that is there keeps its span for messages.
    pub(super) blocking: Option<Ident>,
    pub(super) stream: Option<Ident>,
    pub(super) aggregate: Option<Ident>,
    /// Its name, too: that is what messages about it mark.
    pub(super) merge: Option<(Ident, Duration)>,
    pub(super) merge_bytes: Option<(Ident, usize)>,
    /// Where the generated code finds `runpod-sdk`.
    pub(super) sdk: Path,
}

impl Options {
    pub(super) fn parse(tokens: TokenStream, faults: &mut Faults) -> Self {
        let mut options = Self {
            concurrency: None,
            timeout: None,
            state: None,
            errors: Vec::new(),
            blocking: None,
            stream: None,
            aggregate: None,
            merge: None,
            merge_bytes: None,
            sdk: parse_quote!(::runpod_sdk),
        };
        let mut seen = HashSet::new();
        let parser = syn::meta::parser(|meta| {
            let Some(name) = meta.path.get_ident().cloned() else {
                faults.at(&meta.path, format!("unknown option; `#[handler]` knows {KNOWN}"));
                return skip_value(&meta);
            };
            if !seen.insert(name.to_string()) {
                faults.at(&name, format!("`{name}` is given twice"));
                return skip_value(&meta);
            }
            options.take(&name, &meta, faults)
        });
        // What is left for this error is broken syntax, after which nothing more can be read.
        if let Err(error) = parser.parse2(tokens) {
            faults.push(error);
        }
        options
    }

    fn take(&mut self, name: &Ident, meta: &ParseNestedMeta<'_>, faults: &mut Faults) -> syn::Result<()> {
        match name.to_string().as_str() {
            "concurrency" => {
                let computed = "for a computed one call `.concurrency(…)` on the worker";
                self.concurrency = count(name, meta, "concurrency = 4", computed, faults)?;
            }
            "timeout" => self.timeout = duration(name, meta, &TIMEOUT, faults)?,
            "state" => self.state = value(name, meta, "state = App", faults)?,
            "errors" => self.errors = types(name, meta, faults)?,
            "crate" => {
                if let Some(path) = value(name, meta, "crate = my_crate::runpod_sdk", faults)? {
                    self.sdk = path;
                }
            }
            "blocking" => self.blocking = word(name, meta, faults)?,
            "stream" => self.stream = word(name, meta, faults)?,
            "aggregate" => self.aggregate = word(name, meta, faults)?,
            "merge" => {
                let window = duration(name, meta, &MERGE, faults)?;
                // One that can't be read has an error already, and must not count as left out.
                self.merge = Some((name.clone(), window.unwrap_or_default()));
            }
            "merge_bytes" => {
                let computed = "for a computed one return `Streaming::new(…).merging(…)`";
                let bytes = count(name, meta, "merge_bytes = 4096", computed, faults)?;
                self.merge_bytes = Some((name.clone(), bytes.unwrap_or_default()));
            }
            _ => {
                faults.at(
                    name,
                    format!("unknown option `{name}`; `#[handler]` knows {KNOWN}"),
                );
                skip_value(meta)?;
            }
        }
        Ok(())
    }
}

/// A whole number from 1. `computed` says what to do where it is no literal.
fn count(
    name: &Ident,
    meta: &ParseNestedMeta<'_>,
    example: &str,
    computed: &str,
    faults: &mut Faults,
) -> syn::Result<Option<usize>> {
    let Some(value) = value::<Expr>(name, meta, example, faults)? else {
        return Ok(None);
    };
    if let Expr::Lit(ExprLit {
        lit: Lit::Int(number),
        ..
    }) = &value
        && let Ok(count @ 1..) = number.base10_parse()
    {
        return Ok(Some(count));
    }
    faults.at(value, format!("`{name}` is a whole number from 1; {computed}"));
    Ok(None)
}

/// What the messages about a duration say.
struct DurationTexts {
    example: &'static str,
    /// Durations of a sensible size for the option.
    such_as: &'static str,
    computed: &'static str,
    zero: &'static str,
}

const TIMEOUT: DurationTexts = DurationTexts {
    example: "timeout = \"10m\"",
    such_as: "\"90s\", \"10m\" or \"1h 30m\"",
    computed: "for a computed one call `.timeout(…)` on the worker",
    zero: "leave it out for no limit",
};

const MERGE: DurationTexts = DurationTexts {
    example: "merge = \"50ms\"",
    such_as: "\"50ms\" or \"1s\"",
    computed: "for a computed one return `Streaming::new(…).merging(…)`",
    zero: "leave it out to post each item by itself",
};

fn duration(
    name: &Ident,
    meta: &ParseNestedMeta<'_>,
    texts: &DurationTexts,
    faults: &mut Faults,
) -> syn::Result<Option<Duration>> {
    let DurationTexts {
        example,
        such_as,
        computed,
        zero,
    } = texts;
    let Some(value) = value::<Expr>(name, meta, example, faults)? else {
        return Ok(None);
    };
    let Expr::Lit(ExprLit {
        lit: Lit::Str(text), ..
    }) = &value
    else {
        faults.at(
            value,
            format!("`{name}` is a text with units, such as {such_as}; {computed}"),
        );
        return Ok(None);
    };
    match humantime::parse_duration(&text.value()) {
        Ok(limit) if limit.is_zero() => {
            faults.at(text, format!("`{name}` must be longer than zero; {zero}"));
            Ok(None)
        }
        Ok(limit) => Ok(Some(limit)),
        Err(error) => {
            faults.at(
                text,
                format!("not a duration: {error}; write one such as {such_as}"),
            );
            Ok(None)
        }
    }
}

/// What stands behind the `=`. Where it makes no sense, the next option can still be read.
fn value<T: Parse>(
    name: &Ident,
    meta: &ParseNestedMeta<'_>,
    example: &str,
    faults: &mut Faults,
) -> syn::Result<Option<T>> {
    if !meta.input.peek(Token![=]) {
        faults.at(name, format!("`{name}` needs a value: `{example}`"));
        skip_value(meta)?;
        return Ok(None);
    }
    let input = meta.value()?;
    match input.fork().parse::<T>() {
        Ok(_) => input.parse().map(Some),
        Err(error) => {
            faults.push(syn::Error::new(
                error.span(),
                format!("{error}; write `{example}`"),
            ));
            skip_value(meta)?;
            Ok(None)
        }
    }
}

/// Types in parentheses, separated by commas.
fn types(name: &Ident, meta: &ParseNestedMeta<'_>, faults: &mut Faults) -> syn::Result<Vec<Type>> {
    const EXAMPLE: &str = "errors(PaintError, NoModel)";
    if !meta.input.peek(token::Paren) {
        faults.at(name, format!("`{name}` lists types: `{EXAMPLE}`"));
        skip_value(meta)?;
        return Ok(Vec::new());
    }
    let listed;
    parenthesized!(listed in meta.input);
    match Punctuated::<Type, Token![,]>::parse_terminated(&listed) {
        Ok(types) if types.is_empty() => {
            faults.at(name, format!("`{name}` lists at least one type: `{EXAMPLE}`"));
            Ok(Vec::new())
        }
        Ok(types) => Ok(types.into_iter().collect()),
        Err(error) => {
            faults.push(syn::Error::new(
                error.span(),
                format!("{error}; write `{EXAMPLE}`"),
            ));
            // What is left in the parentheses would be one more error.
            listed.parse::<TokenStream>()?;
            Ok(Vec::new())
        }
    }
}

/// An option that is on by being there.
fn word(name: &Ident, meta: &ParseNestedMeta<'_>, faults: &mut Faults) -> syn::Result<Option<Ident>> {
    if !meta.input.is_empty() && !meta.input.peek(Token![,]) {
        faults.at(name, format!("`{name}` takes no value: write just `{name}`"));
        skip_value(meta)?;
    }
    Ok(Some(name.clone()))
}

/// Goes on to the next comma.
fn skip_value(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    while !meta.input.is_empty() && !meta.input.peek(Token![,]) {
        meta.input.parse::<TokenTree>()?;
    }
    Ok(())
}
