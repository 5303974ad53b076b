//! `docs/commands.md`: every command and option, made from their definitions. A test fails when
//! the page is not what they say; `EVERCUBE_BLESS=1` writes it.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, CommandFactory as _};

use super::CommandLine;

const HEAD: &str = "\
# Commands

Made from the definitions of the commands by
`EVERCUBE_BLESS=1 cargo test -p evercube-server --bin evercube reference`; a test fails when this
page is not what they say. `evercube COMMAND --help` tells the same.

The password of `--user` may also be in `EVERCUBE_PASSWORD`, and a token in `EVERCUBE_TOKEN`.
Exit status: 0 done, 1 refused or failed, 2 usage, 3 unreachable, 4 `verify` found a difference.
Results go to the standard output, errors and warnings to the standard error. The settings of
`serve` may also stand in `evercube.toml` or the environment; `evercube config` prints them.
";

/// Options that most commands have alike, under these names in the definition of `status`.
const SHARED: [&str; 5] = ["server", "user", "password_file", "token_file", "ca"];

#[test]
fn the_page_of_commands_is_what_the_definitions_say() {
    let page = page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands.md");
    if std::env::var_os("EVERCUBE_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let different = page.lines().zip(written.lines()).find(|(a, b)| a != b);
    assert!(page == written, "docs/commands.md is not what the commands are: {different:?}");
}

/// A command without words is of no use to who reads the page, or its help.
#[test]
fn every_command_and_option_says_what_it_does() {
    fn wordless(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        if command.get_about().is_none() {
            found.push(path.to_owned());
        }
        let is_shown = |a: &&Arg| !a.is_hide_set();
        for arg in command.get_arguments().filter(is_shown).filter(|a| a.get_help().is_none()) {
            found.push(format!("{path} {}", arg.get_id()));
        }
        for sub in command.get_subcommands() {
            wordless(sub, &format!("{path} {}", sub.get_name()), found);
        }
    }
    let mut found = Vec::new();
    wordless(&CommandLine::command(), "evercube", &mut found);
    assert_eq!(found, Vec::<String>::new());
}

fn page() -> String {
    let mut root = CommandLine::command();
    root.build();
    let like = root.find_subcommand("status").cloned().unwrap();
    let shared: Vec<&Arg> =
        SHARED.iter().filter_map(|id| like.get_arguments().find(|a| a.get_id() == id)).collect();
    let mut out = HEAD.to_owned();
    out.push_str("\n## Options of every command that asks a server\n\n");
    rows(&mut out, &shared);
    for command in root.get_subcommands().filter(|c| c.get_name() != "help") {
        section(&mut out, command, &shared, 2, "evercube");
    }
    out
}

fn section(out: &mut String, command: &clap::Command, shared: &[&Arg], level: usize, path: &str) {
    let path = format!("{path} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(out, "\n{} {path}\n{about}.", "#".repeat(level));
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    let _ = writeln!(out, "\n```\n{usage}\n```");
    let is_shared = |a: &Arg| shared.iter().any(|s| s.get_id() == a.get_id() && help(s) == help(a));
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|a| !a.is_hide_set() && !["help", "version"].contains(&a.get_id().as_str()))
        .filter(|a| !is_shared(a))
        .collect();
    if !own.is_empty() {
        out.push('\n');
        rows(out, &own);
    }
    for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
        section(out, sub, shared, level + 1, &path);
    }
}

fn rows(out: &mut String, args: &[&Arg]) {
    out.push_str("| | |\n| --- | --- |\n");
    for arg in args {
        let _ = writeln!(out, "| `{}` | {} |", named(arg), cell(&described(arg)));
    }
}

fn named(arg: &Arg) -> String {
    let takes = arg.get_action().takes_values();
    let value = arg.get_value_names().unwrap_or_default().join(" ");
    let many = matches!(arg.get_action(), clap::ArgAction::Append);
    let short = arg.get_short().map(|s| format!("-{s}, ")).unwrap_or_default();
    let name = match arg.get_long() {
        None => value,
        Some(long) if takes => format!("{short}--{long} {value}"),
        Some(long) => format!("{short}--{long}"),
    };
    // In a table a bar would end the cell.
    format!("{}{}", name.replace('|', "\\|"), if many { "…" } else { "" })
}

fn described(arg: &Arg) -> String {
    let mut text = help(arg);
    let shown =
        |v: &clap::builder::PossibleValue| (!v.is_hide_set()).then(|| v.get_name().to_owned());
    let possible: Vec<String> = match arg.get_action().takes_values() {
        true => arg.get_possible_values().iter().filter_map(shown).collect(),
        false => Vec::new(),
    };
    if !possible.is_empty() && !possible.iter().all(|v| text.contains(v.as_str())) {
        let _ = write!(text, "; one of `{}`", possible.join("`, `"));
    }
    let default: Vec<_> = arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
    if !default.is_empty() && arg.get_action().takes_values() {
        let _ = write!(text, "; default `{}`", default.join(" "));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(text, "; or `{}`", variable.to_string_lossy());
    }
    text
}

fn help(arg: &Arg) -> String {
    arg.get_help().map(ToString::to_string).unwrap_or_default()
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
