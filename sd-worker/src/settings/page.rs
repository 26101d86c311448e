//! `docs/sd-worker-options.md`, from the tables of options.

use std::fmt::Write as _;

use clap::{Arg, CommandFactory as _};

use super::removed::REMOVED;
use crate::Settings;

const HEAD: &str = "\
# Options of sd-worker

<!-- Written by a test from the tables in sd-worker/src/settings: change them, and run the tests of sd-worker with
INSTA_UPDATE=always. -->

On RunPod sd-worker needs no option. Each of these exists for the situation that its last column names. An option on the
command line wins over its variable; a blank variable counts as unset. Times are written `200ms`, `90s` or `15m`; a bare
number means seconds.

`sd-worker --help` shows the same, and the flags and variables of every worker of this SDK.
";

const TABLE: &str = "\
| option, variable | default | what it does | set it when |
|---|---|---|---|
";

const REMOVED_HEAD: &str = "
## Variables of earlier versions

They have no effect any more. The worker warns of each that is still set.

| variable | instead |
|---|---|
";

#[test]
fn the_page_of_options_says_what_the_tables_say() {
    crate::pages::assert_page("sd-worker-options.md", &page());
}

fn page() -> String {
    let command = Settings::command();
    let mut page = HEAD.to_owned();
    let mut last = None;
    for option in command
        .get_arguments()
        .filter(|option| option.get_env().is_some())
    {
        let heading = option.get_help_heading().unwrap_or("The WebUI and its renders");
        if last != Some(heading) {
            let _ = write!(page, "\n## {heading}\n\n{TABLE}");
            last = Some(heading);
        }
        page += &row(option);
    }
    page += REMOVED_HEAD;
    for (name, instead) in REMOVED {
        let _ = writeln!(page, "| `{name}` | {instead} |");
    }
    page
}

fn row(option: &Arg) -> String {
    let help = option.get_long_help().unwrap().to_string();
    let (what, when) = help.split_once("\n\nSet it when ").unwrap();
    let takes_value = option.get_action().takes_values();
    let value = option.get_value_names().filter(|_| takes_value);
    let value = value.map_or_else(String::new, |names| format!(" {}", names[0]));
    let default = option.get_default_values().first();
    let default = match default.map(|default| default.to_string_lossy()) {
        Some(default) if takes_value => format!("`{default}`"),
        _ if takes_value => "none".to_owned(),
        _ => "off".to_owned(),
    };
    let mut values = String::new();
    for possible in option.get_possible_values().iter().filter(|_| takes_value) {
        if let Some(help) = possible.get_help() {
            let _ = write!(values, "<br>`{}`: {help}", possible.get_name());
        }
    }
    format!(
        "| `--{}{value}`<br>`{}` | {default} | {what}{values} | {when} |\n",
        option.get_long().unwrap(),
        option.get_env().unwrap().to_string_lossy(),
    )
}
