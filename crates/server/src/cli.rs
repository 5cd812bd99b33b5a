//! Command line and environment to options, before anything is opened. A bad value ends the process with 64 (`EX_USAGE`
//! of sysexits.h) and one line that names the flag and the variable it may have come from.

use std::{ffi::OsString, io::Write as _, process};

use clap::{
    Arg, Command, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::exit::EX_USAGE;

/// Why a command line was not taken: a bad one, or one that only asked for help or the version.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct UsageError {
    message: String,
    exit_code: u8,
}

impl UsageError {
    /// What the process ends with: 0 for help and version, else 64.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

/// Reads the process's arguments and environment, or ends the process.
pub fn parse<Cli: Parser>() -> Cli {
    match try_parse_from(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing is left to do when the terminal is gone.
            let _ = if error.exit_code == 0 {
                write!(std::io::stdout(), "{error}")
            } else {
                writeln!(std::io::stderr(), "error: {error}")
            };
            process::exit(error.exit_code.into())
        }
    }
}

/// [`parse`] for arguments that are given, with the error as a value.
pub fn try_parse_from<Cli: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, UsageError> {
    Cli::try_parse_from(arguments).map_err(|error| usage_error(&error, &Cli::command()))
}

fn usage_error(error: &clap::Error, command: &Command) -> UsageError {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            return UsageError { message: error.to_string(), exit_code: 0 };
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return UsageError { message: format!("a command is missing\n\n{error}"), exit_code: EX_USAGE };
        }
        _ => {}
    }
    let named = named_arguments(error, command);
    let mut rendered = error.render().to_string();
    // In the text as clap wrote it: once it is cut into lines, a value of several would not be found.
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
        && !value.is_empty()
        && named.iter().any(Arg::is_hide_env_values_set)
    {
        rendered = rendered.replace(value.as_str(), "[hidden]");
    }
    let mut message = headline(&rendered);
    let sources: Vec<String> = named.iter().filter_map(source).collect();
    if !sources.is_empty() {
        message = format!("{message} ({})", sources.join("; "));
    }
    UsageError { message, exit_code: EX_USAGE }
}

/// clap's own words without its usage block, as one line.
fn headline(rendered: &str) -> String {
    let text = rendered.strip_prefix("error: ").unwrap_or(rendered);
    let lines =
        text.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The arguments that the error is about. clap names them as they stand in the usage, `--listen <ADDRESS:PORT>`.
fn named_arguments(error: &clap::Error, command: &Command) -> Vec<Arg> {
    let shown: Vec<&str> = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(one)) => vec![one],
        Some(ContextValue::Strings(many)) => many.iter().map(String::as_str).collect(),
        _ => return Vec::new(),
    };
    shown
        .iter()
        .filter_map(|shown| shown.split_whitespace().next()?.strip_prefix("--"))
        .filter_map(|long| find(command, long.split('=').next().unwrap_or(long)))
        .collect()
}

fn find(command: &Command, long: &str) -> Option<Arg> {
    let own = command.get_arguments().find(|argument| argument.get_long() == Some(long));
    own.cloned().or_else(|| command.get_subcommands().find_map(|subcommand| find(subcommand, long)))
}

fn source(argument: &Arg) -> Option<String> {
    let variable = argument.get_env()?.to_string_lossy();
    Some(format!("flag --{}, environment variable {variable}", argument.get_long()?))
}
