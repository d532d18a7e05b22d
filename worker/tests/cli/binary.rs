//! The binary, and what it says.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// In a URL as it is, `/` and `:` and all.
pub(crate) const PASSWORD: &str = "hunter2/p:w";

/// An address where nobody listens.
pub(crate) const NOWHERE: &str = "redis://127.0.0.1:1";

pub(crate) fn carillon(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carillon"));
    for (name, _) in std::env::vars() {
        if name.starts_with("CARILLON_") {
            command.env_remove(name);
        }
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// What a command said, and how it ended.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    /// All of it, for messages.
    pub(crate) fn all(&self) -> String {
        format!("exit code {}\n{}\n{}", self.code, self.out, self.err)
    }

    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.all());
        assert!(!self.all().contains("hunter2"), "{}", self.all());
        self
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("no signal"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[track_caller]
pub(crate) fn said(args: &[&str], code: i32) -> Said {
    Said::of(&mut carillon(args)).ends_with(code)
}

/// A configuration file of this text, and its path.
pub(crate) fn config(text: &str) -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("carillon.toml");
    fs::write(&path, text).unwrap();
    (directory, path.display().to_string())
}

/// A process that is ended when the test ends, however that ends.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Waits until the file that it logs to holds this text; answers with all that it holds.
    #[track_caller]
    pub(crate) fn logs(&self, file: &Path, text: &str) -> String {
        until(text, || {
            let log = fs::read_to_string(file).unwrap();
            log.contains(text).then_some(log)
        })
    }

    /// Asks it to stop, and waits for that.
    #[track_caller]
    pub(crate) fn stop(mut self) -> i32 {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.0.wait().unwrap().code().expect("it ends by itself")
    }
}

/// Looks again and again until there is something.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn start(command: &mut Command, log: &Path) -> Running {
    let log = fs::File::create(log).unwrap();
    Running(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
}
