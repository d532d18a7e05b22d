//! `carillon token`: keys for what is served over HTTP.

use std::io::Read as _;

use carillon::config::Role;
use carillon::http::{hash, new_token};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::failure::Failure;
use super::output;

const HELP: &str = "\
Examples:
  carillon token new ops --role operator
      Makes a token, and shows what to put into the workers' configuration
  carillon token hash guest --role viewer < password.txt
      Does so for a user, whose name and password clients send as HTTP Basic

The token is shown once and kept nowhere: the configuration holds an Argon2 hash of it. Clients send
it as `Authorization: Bearer TOKEN`. A viewer may look, an operator may also change and run jobs, an
admin may do everything.";

/// `carillon token`.
#[derive(Args, Debug)]
#[command(after_help = HELP, subcommand_required = true)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token
    New(KeyArgs),
    /// Hash a user's password, read from standard input
    Hash(KeyArgs),
}

#[derive(Args, Debug)]
struct KeyArgs {
    /// Whose it is
    name: String,
    /// What it allows
    #[arg(long, value_enum, default_value_t)]
    role: TypedRole,
    /// The only namespace that it opens [default: any]
    #[arg(long = "for-namespace", value_name = "NAME")]
    namespace: Option<String>,
    /// Show it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum TypedRole {
    /// May look
    #[default]
    Viewer,
    /// May also change and run jobs
    Operator,
    /// May do everything
    Admin,
}

impl From<TypedRole> for Role {
    fn from(role: TypedRole) -> Self {
        match role {
            TypedRole::Viewer => Self::Viewer,
            TypedRole::Operator => Self::Operator,
            TypedRole::Admin => Self::Admin,
        }
    }
}

/// A key, and what the configuration holds of it.
#[derive(Serialize)]
struct Shown {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    hash: String,
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
}

pub(super) fn run(args: &TokenArgs) -> Result<(), Failure> {
    let (table, args, token) = match &args.command {
        TokenCommand::New(args) => ("tokens", args, Some(new_token(&args.name)?)),
        TokenCommand::Hash(args) => ("users", args, None),
    };
    let secret = match &token {
        Some(token) => token.clone(),
        None => password()?,
    };
    let shown = Shown {
        name: args.name.clone(),
        hash: hash(&secret)?,
        token,
        role: Role::from(args.role).as_str(),
        namespace: args.namespace.clone(),
    };
    if args.json {
        return Ok(output::json(&shown)?);
    }
    if let Some(token) = &shown.token {
        output::line(token)?;
        eprintln!("The token is kept nowhere. What the workers' configuration needs of it:");
    }
    output::line(&format!("\n[[http.{table}]]"))?;
    let lines = [
        ("name", Some(&shown.name)),
        ("hash", Some(&shown.hash)),
        ("role", Some(&shown.role.to_owned())),
        ("namespace", shown.namespace.as_ref()),
    ];
    for (field, value) in lines {
        if let Some(value) = value {
            output::line(&format!("{field} = {}", toml::Value::from(value.as_str())))?;
        }
    }
    Ok(())
}

/// A password from standard input, up to the end of its first line.
fn password() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().take(4096).read_to_string(&mut text)?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        let message = "standard input: give the password, on one line";
        return Err(Failure::Usage(message.to_owned()));
    }
    Ok(password.to_owned())
}
