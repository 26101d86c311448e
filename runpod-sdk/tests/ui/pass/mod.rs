//! Handlers that are right.

macro_rules! handlers {
    ($($name:ident)*) => {
        $(
            #[allow(
                clippy::allow_attributes_without_reason,
                clippy::pedantic,
                clippy::too_many_arguments,
                clippy::unwrap_used,
                reason = "what the compiler itself says is looked at"
            )]
            pub mod $name;
        )*

        /// The files of this folder.
        pub(crate) const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// Runs each of them.
        pub(crate) fn run() {
            $($name::main();)*
        }
    };
}

handlers! {
    aliases
    attributes
    direct_call
    errors
    extractors
    hostile_names
    inside_a_function
    modules
    options
    prelude
    renamed_crate
    streams
}
