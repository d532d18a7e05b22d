//! How far something is that takes a while.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often it is told where it cannot be overwritten.
const EVERY: Duration = Duration::from_secs(1);

/// Tells on standard error how many of so many are done: in place on a terminal, line by line
/// otherwise, if it is asked for.
pub(in crate::cli) struct Progress {
    total: usize,
    kind: Kind,
    last: Instant,
}

enum Kind {
    InPlace,
    Lines,
    Silent,
}

impl Progress {
    pub(in crate::cli) fn new(total: usize, is_asked_for: bool) -> Self {
        Self {
            total,
            kind: match (io::stderr().is_terminal(), is_asked_for) {
                (true, _) => Kind::InPlace,
                (false, true) => Kind::Lines,
                (false, false) => Kind::Silent,
            },
            last: Instant::now(),
        }
    }

    pub(in crate::cli) fn tell(&mut self, done: usize) {
        let total = self.total;
        match self.kind {
            Kind::InPlace => {
                eprint!("\r{done} of {total} jobs");
                // Nothing depends on it.
                let _ = io::stderr().flush();
            }
            Kind::Lines if done == total || self.last.elapsed() >= EVERY => {
                self.last = Instant::now();
                eprintln!("{done} of {total} jobs");
            }
            Kind::Lines | Kind::Silent => {}
        }
    }

    pub(in crate::cli) fn end(&self) {
        if matches!(self.kind, Kind::InPlace) {
            eprintln!();
        }
    }
}
