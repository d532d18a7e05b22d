//! From what was typed to settings, and to a store.

use std::env;
use std::path::Path;

use carillon::audit::acting_as;
use carillon::config::{
    Overrides, PASSWORD_VARIABLE, Password, SENTINEL_PASSWORD_VARIABLE, Settings, StoreSettings,
};
use carillon::core::shard::Shards;
use scheduler_redis::RedisStore;
use tokio::runtime::{Builder, Runtime};

use super::args::{Global, RunArgs};
use super::author::author;
use super::failure::{Failure, HINT};

impl Global {
    /// What these options say. Empty is as good as absent: that is how a variable is switched off
    /// where it cannot be unset.
    pub(super) fn overrides(&self) -> Overrides {
        let password = |variable| {
            let password = env::var(variable).ok();
            let password = password.filter(|password| !password.is_empty());
            password.map(Password::new)
        };
        let non_empty = |path: &std::path::PathBuf| !path.as_os_str().is_empty();
        Overrides {
            config: self.config.clone().filter(non_empty),
            // Who asks a worker asks no store.
            store: given(&self.store).filter(|_| self.api().is_none()),
            password: password(PASSWORD_VARIABLE),
            sentinel_password: password(SENTINEL_PASSWORD_VARIABLE),
            password_file: self.password_file.clone().filter(non_empty),
            ca_file: match self.api() {
                None => self.ca_file().map(Path::to_path_buf),
                Some(_) => None,
            },
            cert_file: self.cert_file.clone().filter(non_empty),
            key_file: self.key_file.clone().filter(non_empty),
            durability: given(&self.durability),
            shards: given(&self.shards),
            namespace: given(&self.namespace),
            ..Overrides::default()
        }
    }

    /// The settings of a command that talks to running workers.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        Ok(Settings::load(&self.overrides())?)
    }
}

impl RunArgs {
    /// What these options say, besides the global ones.
    pub(super) fn overrides(&self, global: &Global) -> Overrides {
        let queues = self.queues.iter().filter(|queue| !queue.is_empty());
        Overrides {
            node: given(&self.node),
            concurrency: given(&self.concurrency),
            queues: queues.cloned().collect(),
            queue_order: given(&self.queue_order),
            shutdown_grace: given(&self.shutdown_grace),
            http: given(&self.http),
            http_unauthenticated: self.http_unauthenticated,
            // As all that exports by OTLP has them.
            otlp_endpoint: variable("OTEL_EXPORTER_OTLP_ENDPOINT"),
            otlp_headers: variable("OTEL_EXPORTER_OTLP_HEADERS"),
            otlp_service: variable("OTEL_SERVICE_NAME"),
            ..global.overrides()
        }
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn given(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}

/// All shards of a namespace.
pub(super) type RedisShards = Shards<RedisStore>;

/// The store that running workers share.
pub(super) fn shared(settings: &Settings) -> Result<RedisShards, Failure> {
    match &settings.store {
        StoreSettings::Redis(config) => {
            let namespace = settings.namespace.clone();
            Ok(RedisStore::shards(config.as_ref().clone(), namespace))
        }
        StoreSettings::Memory => Err(Failure::Usage(format!(
            "no shared store is configured: the embedded store lives inside `carillon run` only\n\
             {HINT}give --store redis://host:port, or set CARILLON_STORE, or [store] url in the \
             file that --config names;\n\
             {HINT}or ask a worker over HTTP, with --api http://host:8080"
        ))),
    }
}

/// A runtime for one command. What it changes is written down as the deed of whoever typed it.
pub(super) fn runtime() -> Result<OneCommand, Failure> {
    Ok(OneCommand(
        Builder::new_current_thread().enable_all().build()?,
    ))
}

/// See [`runtime`].
pub(super) struct OneCommand(Runtime);

impl OneCommand {
    /// Does what the command is about.
    pub(super) fn block_on<F: Future>(&self, act: F) -> F::Output {
        self.0.block_on(acting_as(author(), act))
    }
}
