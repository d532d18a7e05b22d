//! What handlers leave behind: a line when they begin, and one when they end or are stopped.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use carillon::Context;

/// Milliseconds since 1970, by this machine's clock: all processes of a soak share it. Not by way of the C
/// library, whose clock is stepped in some of them.
pub(super) fn now_ms() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// Where a node's handlers write. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Recorder(Arc<File>);

impl Recorder {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self(Arc::new(file)))
    }

    /// A handler begins; it has ended when the answer is dropped.
    pub(super) fn begin(&self, context: &Context) -> Begun {
        let (run, attempt) = (context.run_id(), context.attempt());
        let (fence, node) = (context.fence(), context.node());
        self.write("B", &format!("{run} {attempt} {fence} {node}"));
        Begun {
            recorder: self.clone(),
            text: format!("{run} {attempt} {fence} {node}"),
        }
    }

    /// One short line in one call: appended as a whole.
    fn write(&self, what: &str, text: &str) {
        let line = format!("{what} {} {text}\n", now_ms());
        let mut file = self.0.as_ref();
        file.write_all(line.as_bytes())
            .expect("without the record there is nothing to judge by");
    }
}

/// A handler that runs.
pub(super) struct Begun {
    recorder: Recorder,
    text: String,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.recorder.write("E", &self.text);
    }
}

/// One execution of a handler, as the file tells it.
#[derive(Clone, Debug)]
pub(super) struct Execution {
    pub(super) run: String,
    pub(super) job: String,
    pub(super) fire_ms: i64,
    pub(super) attempt: u32,
    pub(super) fence: u64,
    pub(super) node: String,
    pub(super) begun_ms: i64,
    /// None where its process died first.
    pub(super) ended_ms: Option<i64>,
}

/// All executions, in the order in which they began.
pub(super) fn read(path: &Path) -> Result<Vec<Execution>> {
    let mut executions: Vec<Execution> = Vec::new();
    let mut open = std::collections::HashMap::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [what, ms, run, attempt, fence, node] = words[..] else {
            anyhow::bail!("no line of ours: {line:?}");
        };
        let ms: i64 = ms.parse()?;
        if what == "E" {
            let begun: usize = open.remove(fence).with_context(|| line.to_owned())?;
            executions[begun].ended_ms = Some(ms);
            continue;
        }
        let (job, fire) = run.rsplit_once('@').with_context(|| line.to_owned())?;
        open.insert(fence.to_owned(), executions.len());
        executions.push(Execution {
            run: run.to_owned(),
            job: job.to_owned(),
            fire_ms: fire.parse()?,
            attempt: attempt.parse()?,
            fence: fence.parse()?,
            node: node.to_owned(),
            begun_ms: ms,
            ended_ms: None,
        });
    }
    Ok(executions)
}
