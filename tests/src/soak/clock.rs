//! A node's own clock, which can be stepped: by libfaketime, where it is installed
//! (`apt-get install faketime`). Clocks that only rise are left alone, as they are when a machine's time is set.

use std::path::PathBuf;

use anyhow::Result;
use tokio::process::Command;

pub(super) struct Clock {
    file: PathBuf,
}

impl Clock {
    /// A clock that is right.
    pub(super) fn new(file: PathBuf) -> Result<Self> {
        let clock = Self { file };
        clock.step(0)?;
        Ok(clock)
    }

    /// The library, where it is installed.
    pub(super) fn library() -> Option<PathBuf> {
        let folders = std::fs::read_dir("/usr/lib").ok()?;
        folders
            .filter_map(|folder| Some(folder.ok()?.path().join("faketime/libfaketimeMT.so.1")))
            .find(|library| library.exists())
    }

    /// Lets a process have this clock.
    pub(super) fn set_up(&self, command: &mut Command) {
        if let Some(library) = Self::library() {
            command
                .env("LD_PRELOAD", library)
                .env("FAKETIME_TIMESTAMP_FILE", &self.file)
                .env("FAKETIME_CACHE_DURATION", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
    }

    /// From now on it goes so many seconds ahead, or behind.
    pub(super) fn step(&self, seconds: i64) -> Result<()> {
        // In one step: the process may read it at any time.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n"))?;
        Ok(std::fs::rename(new, &self.file)?)
    }
}
