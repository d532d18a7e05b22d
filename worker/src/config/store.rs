//! Where the store is, and with which password.

use std::path::Path;

use scheduler_redis::RedisConfig;

use super::document::Document;
use super::error::Problem;
use super::settings::Overrides;
use super::typed::StoreTable;

/// The store that a process was told to use.
#[derive(Clone, Debug)]
pub enum StoreSettings {
    /// The embedded one: it lives within one process, and ends with it.
    Memory,
    /// Redis.
    Redis(RedisConfig),
}

/// A URL, or what was wrong with it, under the name that its writer knows.
struct Typed<'a> {
    url: &'a str,
    problem: &'a dyn Fn(String) -> Problem,
}

impl StoreSettings {
    /// Settles which store it is.
    ///
    /// A password that stands by itself comes before one in a URL, and one from the command line
    /// or the environment before those of the file.
    pub(super) fn check(
        overrides: &Overrides,
        table: &StoreTable,
        document: &Document,
        directory: &Path,
    ) -> Result<Self, Problem> {
        let in_flag = |message| Problem::new("--store (CARILLON_STORE)", message);
        let in_file = |message| document.problem("store.url", message);
        let overriding = overrides.store.as_deref();
        let typed = match (overriding, table.url.as_deref()) {
            (Some(url), _) => Typed {
                url,
                problem: &in_flag,
            },
            (None, Some(url)) => Typed {
                url,
                problem: &in_file,
            },
            (None, None) => return Ok(Self::Memory),
        };
        let Some(config) = typed.redis()? else {
            return Ok(Self::Memory);
        };
        if let Some(password) = from_overrides(overrides)? {
            return Ok(Self::Redis(config.with_password(password)));
        }
        if overriding.is_some() && config.password.is_some() {
            return Ok(Self::Redis(config));
        }
        Ok(Self::Redis(match from_file(table, document, directory)? {
            Some(password) => config.with_password(password),
            None => config,
        }))
    }
}

impl Typed<'_> {
    /// None for the embedded store.
    fn redis(&self) -> Result<Option<RedisConfig>, Problem> {
        if self.url == "memory" {
            return Ok(None);
        }
        RedisConfig::from_url(self.url)
            .map(Some)
            .map_err(|error| (self.problem)(format!("{error}; the embedded store is \"memory\"")))
    }
}

fn from_overrides(overrides: &Overrides) -> Result<Option<String>, Problem> {
    if let Some(password) = &overrides.password {
        return Ok(Some(password.expose().to_owned()));
    }
    let place = "--password-file (CARILLON_PASSWORD_FILE)";
    overrides
        .password_file
        .as_deref()
        .map(|path| read(path).map_err(|message| Problem::new(place, message)))
        .transpose()
}

fn from_file(
    table: &StoreTable,
    document: &Document,
    directory: &Path,
) -> Result<Option<String>, Problem> {
    match (&table.password, &table.password_file) {
        (Some(_), Some(_)) => {
            let message = "give password or password_file, not both";
            Err(document.problem("store.password_file", message))
        }
        (Some(password), None) => Ok(Some(password.expose().to_owned())),
        (None, Some(path)) => read(&directory.join(path))
            .map(Some)
            .map_err(|message| document.problem("store.password_file", message)),
        (None, None) => Ok(None),
    }
}

/// The password in a file: its content without the line end that editors leave.
fn read(path: &Path) -> Result<String, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(format!("{}: the file is empty", path.display()));
    }
    Ok(password.to_owned())
}
