//! What stands in the parentheses of `#[handler(…)]`.

use std::collections::HashSet;
use std::time::Duration;

use proc_macro2::{TokenStream, TokenTree};
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, Parser};
use syn::{Expr, ExprLit, Ident, Lit, Path, Token, Type, parse_quote};

use super::Faults;

/// Every option, in the order in which messages list them.
const KNOWN: &str = "`concurrency`, `timeout`, `state`, `blocking`, `stream`, `aggregate`, `crate`";

pub(super) struct Options {
    pub(super) concurrency: Option<usize>,
    pub(super) timeout: Option<Duration>,
    pub(super) state: Option<Type>,
    /// A word that is there keeps its span for messages.
    pub(super) blocking: Option<Ident>,
    pub(super) stream: Option<Ident>,
    pub(super) aggregate: Option<Ident>,
    /// Where the generated code finds `runpod-sdk`.
    pub(super) sdk: Path,
}

impl Options {
    pub(super) fn parse(tokens: TokenStream, faults: &mut Faults) -> Self {
        let mut options = Self {
            concurrency: None,
            timeout: None,
            state: None,
            blocking: None,
            stream: None,
            aggregate: None,
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
            "concurrency" => self.concurrency = concurrency(name, meta, faults)?,
            "timeout" => self.timeout = timeout(name, meta, faults)?,
            "state" => self.state = value(name, meta, "state = App", faults)?,
            "crate" => {
                if let Some(path) = value(name, meta, "crate = my_crate::runpod_sdk", faults)? {
                    self.sdk = path;
                }
            }
            "blocking" => self.blocking = word(name, meta, faults)?,
            "stream" => self.stream = word(name, meta, faults)?,
            "aggregate" => self.aggregate = word(name, meta, faults)?,
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

fn concurrency(name: &Ident, meta: &ParseNestedMeta<'_>, faults: &mut Faults) -> syn::Result<Option<usize>> {
    let Some(value) = value::<Expr>(name, meta, "concurrency = 4", faults)? else {
        return Ok(None);
    };
    if let Expr::Lit(ExprLit {
        lit: Lit::Int(number),
        ..
    }) = &value
        && let Ok(jobs @ 1..) = number.base10_parse()
    {
        return Ok(Some(jobs));
    }
    faults.at(
        value,
        "`concurrency` is a whole number from 1; for a computed one call `.concurrency(…)` on the worker",
    );
    Ok(None)
}

fn timeout(name: &Ident, meta: &ParseNestedMeta<'_>, faults: &mut Faults) -> syn::Result<Option<Duration>> {
    let Some(value) = value::<Expr>(name, meta, "timeout = \"10m\"", faults)? else {
        return Ok(None);
    };
    let Expr::Lit(ExprLit {
        lit: Lit::Str(text), ..
    }) = &value
    else {
        faults.at(
            value,
            "`timeout` is a text with units, such as \"90s\", \"10m\" or \"1h 30m\"; \
             for a computed one call `.timeout(…)` on the worker",
        );
        return Ok(None);
    };
    match humantime::parse_duration(&text.value()) {
        Ok(limit) if limit.is_zero() => {
            faults.at(
                text,
                "`timeout` must be longer than zero; leave it out for no limit",
            );
            Ok(None)
        }
        Ok(limit) => Ok(Some(limit)),
        Err(error) => {
            faults.at(
                text,
                format!("not a duration: {error}; write one such as \"90s\", \"10m\" or \"1h 30m\""),
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
