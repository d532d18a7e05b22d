//! What holds for all commands.

use std::collections::BTreeSet;
use std::path::Path;

use clap::CommandFactory as _;

use super::args::Cli;

/// What may be typed: each command that does something.
fn commands(of: &clap::Command, words: &str, found: &mut BTreeSet<String>) {
    if !words.is_empty() && !of.is_subcommand_required_set() {
        found.insert(words.to_owned());
    }
    for command in of.get_subcommands() {
        let name = command.get_name();
        let words = [words, name].join(" ");
        commands(command, words.trim(), found);
    }
}

/// The commands in the first column of the table of what is done over HTTP.
fn documented() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/http.md");
    let text = std::fs::read_to_string(path).expect("the page");
    let table = text.split("| command | with `--api` |\n|---|---|\n").nth(1);
    let rows = table
        .expect("the table")
        .lines()
        .take_while(|row| row.starts_with('|'));
    let cells = rows.map(|row| row.split('|').nth(1).expect("a cell"));
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

#[test]
fn of_each_command_it_is_documented_what_it_does_over_http() {
    let mut cli = Cli::command();
    cli.build();
    let mut found = BTreeSet::new();
    commands(&cli, "", &mut found);
    found.retain(|words| !words.split(' ').any(|word| word == "help"));
    assert_eq!(found, documented());
}
