//! Where the store is, and with which password.

use std::path::Path;
use std::time::Duration;

use scheduler_core::shard::{ShardCount, ShardCountError};
use scheduler_redis::{Durability, RedisConfig};

use super::certificates;
use super::document::Document;
use super::error::Problem;
use super::password::Password;
use super::settings::Overrides;
use super::typed::StoreTable;

/// The store that a process was told to use.
#[derive(Clone, Debug)]
pub enum StoreSettings {
    /// The embedded one: it lives within one process, and ends with it.
    Memory,
    /// Redis.
    Redis(Box<RedisConfig>),
}

/// A URL, or what was wrong with it, under the name that its writer knows.
struct Typed<'a> {
    url: &'a str,
    problem: &'a dyn Fn(String) -> Problem,
}

impl StoreSettings {
    /// How many shards the namespace has.
    #[must_use]
    pub fn shards(&self) -> ShardCount {
        match self {
            Self::Memory => ShardCount::ONE,
            Self::Redis(config) => config.shards,
        }
    }

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
            (None, None) => return in_memory(overrides, table, document),
        };
        let Some(config) = typed.redis()? else {
            return in_memory(overrides, table, document);
        };
        let of_file = FilePassword {
            field: "store.password",
            password: table.password.as_ref(),
            file: table.password_file.as_deref(),
        };
        let password = match from_overrides(overrides)? {
            Some(password) => Some(password),
            None if overriding.is_some() && config.password.is_some() => None,
            None => of_file.read(document, directory)?,
        };
        let config = match password {
            Some(password) => config.with_password(password),
            None => config,
        };
        let by_url = config.sentinels().map(|sentinels| &sentinels.password);
        let of_file = FilePassword {
            field: "store.sentinel_password",
            password: table.sentinel_password.as_ref(),
            file: table.sentinel_password_file.as_deref(),
        };
        let password = match (&overrides.sentinel_password, by_url) {
            (Some(password), _) => Some(password.expose().to_owned()),
            (None, Some(Some(_))) if overriding.is_some() => None,
            (None, _) => of_file.read(document, directory)?,
        };
        let config = match password {
            Some(password) => config.with_sentinel_password(password),
            None => config,
        };
        let config = with_grace(config, table, document)?;
        let config = with_shards(config, overrides, table, document)?;
        let durability = durability(overrides, table, document)?;
        let config = config.with_durability(durability);
        certificates::add(config, overrides, table, document, directory)
            .map(|config| Self::Redis(Box::new(config)))
    }
}

/// The longest grace after a failover: nothing fires for so long.
const LONGEST_GRACE: Duration = Duration::from_secs(60);

fn durability(
    overrides: &Overrides,
    table: &StoreTable,
    document: &Document,
) -> Result<Durability, Problem> {
    if let Some(text) = &overrides.durability {
        let place = "--durability (CARILLON_DURABILITY)";
        return text.parse().map_err(|message| Problem::new(place, message));
    }
    let text = table.durability.as_deref().unwrap_or("none");
    let parsed = text.parse();
    parsed.map_err(|message: String| document.problem("store.durability", message))
}

/// The embedded store has nobody to wait for.
fn in_memory(
    overrides: &Overrides,
    table: &StoreTable,
    document: &Document,
) -> Result<StoreSettings, Problem> {
    not_split(overrides, table, document)?;
    let asked_for = durability(overrides, table, document)?;
    if asked_for == Durability::None {
        return Ok(StoreSettings::Memory);
    }
    let message = format!("{asked_for}: the embedded store keeps nothing; give the URL of a Redis");
    Err(match &overrides.durability {
        Some(_) => Problem::new("--durability (CARILLON_DURABILITY)", message),
        None => document.problem("store.durability", message),
    })
}

/// The embedded store is one process's: there is nothing to spread.
fn not_split(
    overrides: &Overrides,
    table: &StoreTable,
    document: &Document,
) -> Result<(), Problem> {
    let message = "the embedded store is not split; give the URL of a Redis";
    match (&overrides.shards, table.shards) {
        (Some(shards), _) if shards != "1" => {
            Err(Problem::new("--shards (CARILLON_SHARDS)", message))
        }
        (None, Some(shards)) if shards != 1 => Err(document.problem("store.shards", message)),
        _ => Ok(()),
    }
}

fn with_grace(
    config: RedisConfig,
    table: &StoreTable,
    document: &Document,
) -> Result<RedisConfig, Problem> {
    match table.failover_grace {
        None => Ok(config),
        Some(grace) if grace <= LONGEST_GRACE => Ok(config.with_failover_grace(grace)),
        Some(grace) => {
            let message = format!("{grace:?} is too long: nothing fires meanwhile; at most 60 s");
            Err(document.problem("store.failover_grace", message))
        }
    }
}

/// What the command line or the environment says comes first, then the URL, then the file. Whoever means the
/// wrong number would look for jobs where they are not, so the URL and the file must not differ.
fn with_shards(
    config: RedisConfig,
    overrides: &Overrides,
    table: &StoreTable,
    document: &Document,
) -> Result<RedisConfig, Problem> {
    if let Some(text) = &overrides.shards {
        let shards = text.parse();
        let place = "--shards (CARILLON_SHARDS)";
        let shards =
            shards.map_err(|error: ShardCountError| Problem::new(place, error.to_string()));
        return shards.map(|shards| config.with_shards(shards));
    }
    let Some(typed) = table.shards else {
        return Ok(config);
    };
    let shards: ShardCount = typed
        .to_string()
        .parse()
        .map_err(|error: ShardCountError| document.problem("store.shards", error.to_string()))?;
    if config.shards.is_one() || config.shards == shards {
        return Ok(config.with_shards(shards));
    }
    let message = format!(
        "{shards}, and the URL says {}: give one of them",
        config.shards
    );
    Err(document.problem("store.shards", message))
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

/// A password of the configuration file: as it is, or in a file of its own.
struct FilePassword<'a> {
    field: &'a str,
    password: Option<&'a Password>,
    file: Option<&'a Path>,
}

impl FilePassword<'_> {
    fn read(&self, document: &Document, directory: &Path) -> Result<Option<String>, Problem> {
        let field_of_file = format!("{}_file", self.field);
        match (self.password, self.file) {
            (Some(_), Some(_)) => {
                let name = self.field.rsplit('.').next().unwrap_or(self.field);
                let message = format!("give {name} or {name}_file, not both");
                Err(document.problem(&field_of_file, message))
            }
            (Some(password), None) => Ok(Some(password.expose().to_owned())),
            (None, Some(path)) => read(&directory.join(path))
                .map(Some)
                .map_err(|message| document.problem(&field_of_file, message)),
            (None, None) => Ok(None),
        }
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
