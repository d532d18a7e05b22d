//! What was captured, and what lies between.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A request to the original, and its answer.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Capture {
    pub(crate) id: u32,
    pub(crate) section: String,
    pub(crate) method: String,
    pub(crate) path: String,
    /// User and password.
    pub(crate) auth: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Option<String>,
    /// None where the connection was closed without an answer.
    pub(crate) status: Option<u16>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) answer: String,
}

/// A request whose answer was not kept.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Step {
    /// The capture that it comes before.
    pub(crate) before: u32,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Option<serde_json::Value>,
    /// The status that it must answer with, asked again until it does.
    pub(crate) until: u16,
}

/// A file of the data, whole.
pub(crate) fn data<T: DeserializeOwned>(name: &str) -> Result<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data/flask")
        .join(name);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_str(&text)?)
}

/// The captures of one section, in order.
pub(crate) fn section(name: &str) -> Result<Vec<Capture>> {
    let captures: Vec<Capture> = data("captures.json")?;
    let of_section: Vec<_> = captures.into_iter().filter(|c| c.section == name).collect();
    assert!(!of_section.is_empty(), "no captures in section {name}");
    Ok(of_section)
}
