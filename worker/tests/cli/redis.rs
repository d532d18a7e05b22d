//! A Redis for one test.

use std::io::{Seek as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::binary::{PASSWORD, Running, Said, carillon, until};

/// A Redis of its own, with a password.
pub(crate) struct Redis {
    url: String,
    _directory: TempDir,
    _server: Running,
}

impl Redis {
    pub(crate) fn start() -> Self {
        // Free a moment ago; nobody else is handed it out so soon.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let directory = tempfile::tempdir().unwrap();
        let server = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--requirepass",
                PASSWORD,
            ])
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("these tests need redis-server on the PATH");
        let redis = Self {
            url: format!("redis://127.0.0.1:{port}"),
            _directory: directory,
            _server: Running(server),
        };
        until("redis", || {
            (Said::of(&mut redis.carillon(&["job", "list"])).code == 0).then_some(())
        });
        redis
    }

    pub(crate) fn carillon(&self, args: &[&str]) -> Command {
        let mut command = carillon(args);
        command
            .env("CARILLON_STORE", &self.url)
            .env("CARILLON_REDIS_PASSWORD", PASSWORD);
        command
    }

    /// Makes the record of a job one that nobody can read.
    pub(crate) fn spoil(&self, job: &str) {
        let client = redis::Client::open(self.url.as_str()).unwrap();
        let mut redis = client.get_connection().unwrap();
        let auth = redis::cmd("AUTH").arg(PASSWORD).exec(&mut redis);
        auth.unwrap();
        let jobs = "carillon:{default/0}:jobs";
        let mut get = redis::cmd("HGET");
        let text: Vec<u8> = get.arg(jobs).arg(job).query(&mut redis).unwrap();
        let head = text.split(|byte| *byte == b'\n').next().unwrap();
        redis::cmd("HSET")
            .arg(jobs)
            .arg(job)
            .arg([head, b"\nspoilt"].concat())
            .exec(&mut redis)
            .unwrap();
    }

    /// How many keys match a pattern.
    pub(crate) fn keys(&self, pattern: &str) -> usize {
        let client = redis::Client::open(self.url.as_str()).unwrap();
        let mut redis = client.get_connection().unwrap();
        let auth = redis::cmd("AUTH").arg(PASSWORD).exec(&mut redis);
        auth.unwrap();
        let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query(&mut redis).unwrap();
        keys.len()
    }

    #[track_caller]
    pub(crate) fn said(&self, args: &[&str], code: i32) -> Said {
        Said::of(&mut self.carillon(args)).ends_with(code)
    }

    /// What is said where this is typed.
    #[track_caller]
    pub(crate) fn fed(&self, args: &[&str], typed: &str, code: i32) -> Said {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(typed.as_bytes()).unwrap();
        file.rewind().unwrap();
        Said::of(self.carillon(args).stdin(file)).ends_with(code)
    }

    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.said(args, 0).out).unwrap()
    }
}
