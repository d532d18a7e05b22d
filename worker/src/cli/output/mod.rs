//! Standard output: the one place that writes there.

mod progress;
mod table;

use std::io::{self, Write as _};

use serde::Serialize;

pub(super) use carillon::wire::{brief, local, wall};
pub(super) use progress::Progress;
pub(super) use table::Table;

/// Writes one line.
pub(super) fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Writes a table; or `empty` in its place, to standard error, so that scripts see no line too many.
pub(super) fn table(table: &mut Table, empty: &str) -> io::Result<()> {
    if table.is_empty() {
        eprintln!("{empty}");
        return Ok(());
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{}", table.header())?;
    for row in table.take_rows() {
        writeln!(out, "{row}")?;
    }
    Ok(())
}

/// Writes one JSON value, spread over lines.
pub(super) fn json(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)
}

/// Writes one JSON value on one line.
pub(super) fn json_line(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)
}
