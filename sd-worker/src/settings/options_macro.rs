//! The form of the tables of options.

/// Declares a struct of options. Each row has all that is known of one option: its field, flag, variable, what it
/// does, and the situation in which a user sets it; then what clap has to know beside that. The parser, `--help` and
/// `docs/sd-worker-options.md` come from it. A row that lacks a part does not compile.
///
/// Fields that are no options stand in `..{ }` after the rows.
macro_rules! options {
    (
        $(#[$($attribute:tt)+])*
        pub struct $name:ident {
            $(
                $field:ident: $type:ty =
                    $flag:literal, $variable:literal, ($($clap:tt)*),
                    $what:literal,
                    when $when:literal;
            )+
            $(..{ $($rest:tt)* })?
        }
    ) => {
        $(#[$($attribute)+])*
        #[non_exhaustive]
        pub struct $name {
            $(
                #[doc = $what]
                #[arg(
                    long = $flag,
                    env = $variable,
                    help = $what,
                    long_help = concat!($what, "\n\nSet it when ", $when),
                    $($clap)*
                )]
                pub $field: $type,
            )+
            $($($rest)*)?
        }
    };
}

pub(super) use options;
