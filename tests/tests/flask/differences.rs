//! The differences that `docs/flask.md` lists.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// In what a capture is answered otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Another status.
    pub(crate) status: Option<u16>,
    /// Another text of an error, or another body.
    pub(crate) body: bool,
    /// Another next run time.
    pub(crate) next_run_time: bool,
    /// It cannot be asked here at all.
    pub(crate) not_replayed: bool,
}

/// The differences by capture.
pub(crate) fn listed() -> Result<BTreeMap<u32, Difference>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/flask.md");
    let text = std::fs::read_to_string(path)?;
    let mut listed = BTreeMap::new();
    for row in text.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [.., captures, checked] = cells[..] else {
            continue;
        };
        let Some(checked) = checked.strip_prefix('`').and_then(|c| c.strip_suffix('`')) else {
            continue;
        };
        let difference = read(checked).with_context(|| row.to_owned())?;
        for id in ids(captures).with_context(|| row.to_owned())? {
            let before = listed.insert(id, difference.clone());
            ensure!(before.is_none(), "capture {id} is listed twice");
        }
    }
    ensure!(
        !listed.is_empty(),
        "no differences were found in docs/flask.md"
    );
    Ok(listed)
}

/// `status 422, body`.
fn read(checked: &str) -> Result<Difference> {
    let mut difference = Difference::default();
    for word in checked.split(", ") {
        match word.split_once(' ') {
            Some(("status", status)) => difference.status = Some(status.parse()?),
            None if word == "body" => difference.body = true,
            None if word == "next_run_time" => difference.next_run_time = true,
            Some(("not", "replayed")) => difference.not_replayed = true,
            _ => bail!("{word:?} is no kind of difference"),
        }
    }
    Ok(difference)
}

/// `1, 5-7`.
fn ids(text: &str) -> Result<Vec<u32>> {
    let mut ids = Vec::new();
    for part in text.split(", ") {
        match part.split_once('-') {
            Some((first, last)) => ids.extend(first.parse()?..=last.parse::<u32>()?),
            None => ids.push(part.parse()?),
        }
    }
    Ok(ids)
}
