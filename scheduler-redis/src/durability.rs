//! When a write counts: at once, or when others have it.
//!
//! `WAIT` goes on the write's own connection, directly behind it: on another one it says nothing about that
//! write. Behind a small write of its own, because an answer may be one that was kept, and then this
//! connection has written nothing. Too few acknowledgements do not undo the write: its outcome is unknown,
//! and whoever asks again waits again.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind};

use crate::keys::Keys;
use crate::script::Scripts;

/// How long acknowledgements are waited for, in milliseconds: shorter than any answer is.
const PATIENCE_MS: u32 = 1_000;

/// When claims, the mark that a run begins, and what clients change count as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the server has them in memory. The default.
    #[default]
    None,
    /// When so many replicas have them, too: `WAIT`.
    Replicas(NonZeroU32),
    /// When the server has them on disk: `WAITAOF`, Redis 7.2 or later.
    Aof,
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let replicas = text.strip_prefix("replicas:").map(str::parse);
        match (text, replicas) {
            ("none", _) => Ok(Self::None),
            ("aof", _) => Ok(Self::Aof),
            (_, Some(Ok(replicas))) => Ok(Self::Replicas(replicas)),
            _ => Err(format!(
                "{text:?} is no durability: \"none\", \"replicas:1\" (how many must have it) or \"aof\""
            )),
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Replicas(replicas) => write!(f, "replicas:{replicas}"),
            Self::Aof => f.write_str("aof"),
        }
    }
}

/// Waits on behalf of one shard.
pub(crate) struct Waiting<'a> {
    pub(crate) durability: Durability,
    pub(crate) scripts: &'a Scripts,
    pub(crate) keys: &'a Keys,
}

impl Waiting<'_> {
    /// Waits until what this connection has written counts; says what is missing, if anything.
    pub(crate) async fn wait(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> RedisResult<Option<String>> {
        if self.durability == Durability::None {
            return Ok(None);
        }
        let mark = &self.scripts.mark;
        let call = mark.call(self.keys, None, &[]);
        match call.query_async::<()>(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                mark.with_text(&call).query_async::<()>(connection).await?;
            }
            marked => marked?,
        }
        match self.durability {
            Durability::None => Ok(None),
            Durability::Replicas(wanted) => {
                let mut wait = redis::cmd("WAIT");
                wait.arg(wanted.get()).arg(PATIENCE_MS);
                let have: u32 = ask(&wait, connection).await?;
                let is_short = have < wanted.get();
                Ok(is_short.then(|| format!("{have} of {wanted} replicas have acknowledged it")))
            }
            Durability::Aof => {
                let (local, _) = wait_for_disk(connection, PATIENCE_MS).await?;
                Ok((local < 1).then(|| "it is not on the server's disk yet".to_owned()))
            }
        }
    }
}

/// Asks a server whether it can say when writes are on its disk.
pub(crate) async fn try_disk(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    wait_for_disk(connection, 1).await.map(drop).map_err(|error| {
        if !matches!(error.kind(), ErrorKind::Server(_)) {
            return error;
        }
        let text = format!(
            "durability \"aof\" needs WAITAOF (Redis 7.2 or later) and an append-only file: {error}"
        );
        RedisError::from((ErrorKind::InvalidClientConfig, "refused", text))
    })
}

async fn wait_for_disk(connection: &mut MultiplexedConnection, ms: u32) -> RedisResult<(u32, u32)> {
    let mut wait = redis::cmd("WAITAOF");
    wait.arg(1).arg(0).arg(ms);
    ask(&wait, connection).await
}

async fn ask<T: FromRedisValue>(
    cmd: &redis::Cmd,
    connection: &mut MultiplexedConnection,
) -> RedisResult<T> {
    cmd.query_async(connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_durability_reads_back_and_anything_else_is_told() {
        for text in ["none", "replicas:1", "replicas:3", "aof"] {
            let read: Durability = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
        }
        for text in ["", "replicas", "replicas:0", "replicas:x", "AOF"] {
            let said = text.parse::<Durability>().unwrap_err();
            assert!(said.contains("replicas:1"), "{said}");
        }
    }
}
