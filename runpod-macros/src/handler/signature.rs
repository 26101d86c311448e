//! The function as a handler: its input, its further arguments, what it returns.

use syn::visit::Visit;
use syn::{
    Attribute, FnArg, GenericParam, Ident, ItemFn, Lifetime, PatType, ReturnType, Safety, Token, Type,
    TypeImplTrait, TypeReference, Visibility,
};

use super::Faults;

pub(super) struct Signature {
    pub(super) name: Ident,
    pub(super) visibility: Visibility,
    /// Conditions of the function that hold for all that stands beside it, too.
    pub(super) conditions: Vec<Attribute>,
    pub(super) asyncness: Option<Token![async]>,
    pub(super) fn_token: Token![fn],
    /// A method: nothing can stand beside it.
    pub(super) is_method: bool,
    /// `None` if the function takes nothing.
    pub(super) input: Option<Type>,
    /// The arguments after the input.
    pub(super) arguments: Vec<Type>,
    /// `None` if the function returns nothing.
    pub(super) output: Option<Type>,
}

impl Signature {
    /// Reads what can be read, and notes all that no handler may have, whatever its options are.
    pub(super) fn read(function: &ItemFn, faults: &mut Faults) -> Self {
        let signature = &function.sig;
        let mut types = Vec::new();
        let mut is_method = false;
        for argument in &signature.inputs {
            match argument {
                FnArg::Receiver(receiver) => {
                    is_method = true;
                    faults.at(
                        receiver,
                        "a handler is a free function, not a method; what all jobs share comes as `State<T>`",
                    );
                }
                FnArg::Typed(argument) => types.push(read_argument(argument, faults)),
            }
        }
        if types.is_empty() && !is_method {
            faults.push(syn::Error::new(
                signature.paren_token.span.join(),
                "a handler takes the job's input first, such as `input: Greeting`; \
                 one that needs none takes `_input: RawJson`",
            ));
        }
        refuse_generics(function, faults);
        refuse_qualifiers(function, faults);
        let mut types = types.into_iter();
        Self {
            name: signature.ident.clone(),
            visibility: function.vis.clone(),
            conditions: function
                .attrs
                .iter()
                .filter(|attribute| attribute.path().is_ident("cfg"))
                .cloned()
                .collect(),
            asyncness: signature.asyncness,
            fn_token: signature.fn_token,
            is_method,
            input: types.next(),
            arguments: types.collect(),
            output: match &signature.output {
                ReturnType::Default => None,
                ReturnType::Type(_, output) => Some((**output).clone()),
            },
        }
    }
}

fn read_argument(argument: &PatType, faults: &mut Faults) -> Type {
    for attribute in &argument.attrs {
        if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
            faults.at(
                attribute,
                "a handler's arguments can't depend on conditions; write two functions instead",
            );
        }
    }
    NotOwned { faults }.visit_type(&argument.ty);
    (*argument.ty).clone()
}

/// Finds what an argument of a handler can't be made of.
struct NotOwned<'a> {
    faults: &'a mut Faults,
}

impl<'ast> Visit<'ast> for NotOwned<'_> {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        let owned = owned_form(&reference.elem);
        self.faults.at(
            reference,
            format!("a handler owns its arguments, they can't be references: take {owned}"),
        );
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            self.faults.at(
                lifetime,
                "a handler owns its arguments, they can't borrow: take a type without lifetimes",
            );
        }
    }

    fn visit_type_impl_trait(&mut self, anything: &'ast TypeImplTrait) {
        self.faults.at(
            anything,
            "a handler's arguments have one type each: `impl Trait` leaves open what to decode",
        );
    }

    // A reference in the signature of a function pointer borrows from its caller, not from the job.
    fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast syn::ParenthesizedGenericArguments) {}
}

/// What to write instead of a reference.
fn owned_form(referent: &Type) -> String {
    match referent {
        Type::Slice(_) => "a `Vec`".to_owned(),
        Type::Path(path) if path.path.is_ident("str") => "`String`".to_owned(),
        Type::Path(path) if path.path.is_ident("Path") => "`PathBuf`".to_owned(),
        Type::Path(path) => match path.path.segments.last() {
            Some(last) => format!("the `{}` itself", last.ident),
            None => "the value itself".to_owned(),
        },
        _ => "the value itself".to_owned(),
    }
}

fn refuse_generics(function: &ItemFn, faults: &mut Faults) {
    let generics = &function.sig.generics;
    for parameter in &generics.params {
        let what = match parameter {
            GenericParam::Lifetime(_) => "lifetimes",
            GenericParam::Type(_) => "type parameters",
            GenericParam::Const(_) => "const parameters",
        };
        faults.at(
            parameter,
            format!("a handler has no {what}: the platform sends JSON, and only a type says what it becomes"),
        );
    }
    if generics.params.is_empty()
        && let Some(clause) = &generics.where_clause
    {
        faults.at(clause, "a handler has no `where` clause");
    }
}

fn refuse_qualifiers(function: &ItemFn, faults: &mut Faults) {
    let signature = &function.sig;
    if let Safety::Unsafe(word) = &signature.safety {
        faults.at(
            word,
            "a handler is called for jobs from outside, so it must be safe to call",
        );
    }
    if let Some(abi) = &signature.abi {
        faults.at(abi, "a handler is an ordinary Rust function");
    }
    if let Some(word) = &signature.constness {
        faults.at(word, "a handler runs for each job, never at compile time");
    }
    if let Some(dots) = &signature.variadic {
        faults.at(dots, "a handler's arguments are known one by one");
    }
}
