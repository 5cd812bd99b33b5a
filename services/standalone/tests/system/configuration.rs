//! docs/CONFIGURATION.md is what the command lines say.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

/// Set, it is written instead of compared.
const RENEW_VARIABLE: &str = "SHOP_TEST_RENEW_REFERENCE";
/// The command whose options are what a process is configured by. Others take those of the same name.
const SERVE: &str = "serve";
/// Options that stand under no heading of their own.
const OWN: &str = "Of some processes";
const INTRODUCTION: &str = "\
# Configuration

Every option of every process of a shop, generated from the command lines (`make generate`); the operator's are in its chart
and in `shop-operator run --help`. A flag comes before its variable, and the variable before the default. A bad value ends
the process with code 64 and a line that names both. Durations are written `300ms`, `5s`, `15m`, `2h`; lists are separated by
commas. Secrets are best given by variables or files, which no list of processes shows.

Without a command named, an option is one of `serve`; `migrate`, `create-admin` and `healthcheck` take the options of
`serve` that they need. What changes while processes run is in the shop's [settings](OPERATIONS.md#settings).
";

/// An option, and where it is one.
#[derive(PartialEq, Eq)]
struct Row {
    heading: String,
    option: String,
    variable: String,
    default: String,
    meaning: String,
    takers: Vec<String>,
}

impl Row {
    fn of(argument: &Arg) -> Option<Self> {
        let long = argument.get_long()?;
        let takes_value = argument.get_action().takes_values();
        let value = argument.get_value_names().filter(|_| takes_value).map(|names| format!(" {}", names[0]));
        let choices: Vec<_> =
            argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        let help = argument.get_long_help().or(argument.get_help()).unwrap().to_string();
        let mut meaning = help.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
        if takes_value && !choices.is_empty() {
            write!(meaning, ": {}", choices.join(", ")).unwrap();
        }
        let defaults: Vec<_> =
            argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
        let default = match defaults.as_slice() {
            _ if argument.is_hide_default_value_set() || !takes_value => String::new(),
            [] if argument.is_required_set() => "required".to_owned(),
            [] => String::new(),
            defaults => format!("`{}`", defaults.join(",")),
        };
        Some(Self {
            heading: argument.get_help_heading().unwrap_or(OWN).to_owned(),
            option: format!("`--{long}{}`", value.unwrap_or_default()),
            variable: argument.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default(),
            default,
            meaning,
            takers: Vec::new(),
        })
    }

    fn is_the_same_as(&self, other: &Self) -> bool {
        let of = |row: &Self| (row.option.clone(), row.variable.clone(), row.default.clone(), row.meaning.clone());
        of(self) == of(other)
    }
}

/// Adds the options of a command and of those below it.
fn collect(rows: &mut Vec<Row>, process: &str, path: &str, command: &Command) {
    for row in command.get_arguments().filter_map(Row::of) {
        let taker = format!("{process} {path}").trim().to_owned();
        match rows.iter_mut().find(|known| known.is_the_same_as(&row)) {
            // Said already, of the whole process.
            Some(known) if known.takers.iter().any(|known| known == process) => {}
            Some(known) => known.takers.push(taker),
            None => rows.push(Row { takers: vec![taker], ..row }),
        }
    }
    // What serves comes first, so that the other commands have only what is theirs.
    let (serve, others): (Vec<_>, Vec<_>) = command.get_subcommands().partition(|command| command.get_name() == SERVE);
    for command in serve {
        collect(rows, process, path, command);
    }
    for command in others {
        collect(rows, process, format!("{path} {}", command.get_name()).trim(), command);
    }
}

fn reference() -> String {
    let mut rows = Vec::new();
    for (process, command) in [
        ("user", shop_user::Cli::command()),
        ("product", shop_product::Cli::command()),
        ("order", shop_order::Cli::command()),
        ("gateway", shop_gateway::Cli::command()),
        ("shop", shop_standalone::Cli::command()),
    ] {
        collect(&mut rows, process, "", &command);
    }
    let mut headings: Vec<String> = Vec::new();
    for row in &rows {
        if row.heading != OWN && !headings.contains(&row.heading) {
            headings.push(row.heading.clone());
        }
    }
    headings.push(OWN.to_owned());
    let mut text = INTRODUCTION.to_owned();
    for heading in headings {
        write!(text, "\n## {heading}\n\n| option | variable | default | what it is | of |\n|---|---|---|---|---|\n")
            .unwrap();
        for Row { option, variable, default, meaning, takers, .. } in rows.iter().filter(|row| row.heading == heading) {
            writeln!(text, "| {option} | {variable} | {default} | {meaning} | {} |", takers.join(", ")).unwrap();
        }
    }
    text
}

#[test]
fn the_reference_says_what_the_command_lines_say() {
    let path = "../../docs/CONFIGURATION.md";
    let generated = reference();
    if std::env::var_os(RENEW_VARIABLE).is_some() {
        std::fs::write(path, &generated).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == generated,
        "docs/CONFIGURATION.md is stale: make generate renews it"
    );
}
