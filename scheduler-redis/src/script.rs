//! Scripts: one file per operation, with a header that says what it takes and answers.
//!
//! The header's `KEYS:` line is the one place that lists a script's fixed keys: the call fills them
//! in from it, and the script reads them by name (`K.due`). Keys that differ from call to call
//! follow after these.

use redis::Cmd;
use scheduler_core::SessionId;

use crate::connect::Purpose;
use crate::keys::Keys;

/// What the production clock names, for the test of the headers.
#[cfg(test)]
const CLOCK: &str = include_str!("lua/_clock.lua");
const LIB: &str = include_str!("lua/_lib.lua");
const SETTLE: &str = include_str!("lua/_settle.lua");
const KEEPING: &str = include_str!("lua/_keeping.lua");
const FOLLOW: &str = include_str!("lua/_follow.lua");
const GATES: &str = include_str!("lua/_gates.lua");
const REMOVAL: &str = include_str!("lua/_removal.lua");
const GENERATION: &str = include_str!("lua/_generation.lua");
const PRESENCE: &str = include_str!("lua/_presence.lua");

/// Where the scripts' `now()` comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerClock {
    /// The server's `TIME`.
    Time,
    /// The key `clock`, in milliseconds: for tests.
    Pinned,
}

impl ServerClock {
    /// The clock, and the lease that ends by it.
    const fn library(self) -> &'static str {
        match self {
            Self::Time => include_str!("lua/_clock.lua"),
            Self::Pinned => include_str!("lua/_clock_pinned.lua"),
        }
    }

    /// Keys that the library reads besides.
    fn keys(self, leads: bool) -> Vec<String> {
        match self {
            Self::Time => Vec::new(),
            Self::Pinned if leads => vec!["clock".to_owned(), "clock:lease".to_owned()],
            Self::Pinned => vec!["clock".to_owned()],
        }
    }
}

/// Scripts that change nothing.
const READING: [&str; 4] = ["history_bounds", "holders", "observe", "read_jobs"];

/// One script, ready to be called.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) purpose: Purpose,
    keys: Vec<String>,
    source: String,
    hash: String,
}

impl Script {
    fn new(name: &'static str, body: &'static str, libs: &[&str], clock: ServerClock) -> Self {
        let mut keys = header_keys(body);
        let leads = keys.iter().any(|key| key == "leader");
        keys.extend(clock.keys(leads));
        let names: Vec<_> = keys
            .iter()
            .enumerate()
            .map(|(i, key)| format!("['{key}']=KEYS[{}]", i + 1))
            .collect();
        let preamble = format!(
            "local K = {{{}}}\nlocal TAIL = {}\n",
            names.join(","),
            keys.len()
        );
        let source = [&preamble, clock.library(), &libs.concat(), body].concat();
        let hash = redis::Script::new(&source).get_hash().to_owned();
        let purpose = if READING.contains(&name) {
            Purpose::Reading
        } else {
            Purpose::Changing
        };
        Self {
            name,
            purpose,
            keys,
            source,
            hash,
        }
    }

    /// What the keys are called that every call takes.
    pub(crate) fn fixed_keys(&self) -> &[String] {
        &self.keys
    }

    /// Starts a call with the fixed keys filled in; `tail` are the keys that follow.
    pub(crate) fn call(&self, keys: &Keys, session: Option<&SessionId>, tail: &[String]) -> Cmd {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(&self.hash).arg(self.keys.len() + tail.len());
        for name in &self.keys {
            cmd.arg(keys.named(name, session));
        }
        cmd.arg(tail);
        cmd
    }

    /// What loads the script into a server.
    pub(crate) fn load(&self) -> Cmd {
        let mut cmd = redis::cmd("SCRIPT");
        cmd.arg("LOAD").arg(&self.source);
        cmd
    }

    /// The same call with the whole text, for a server that does not have the script (any more).
    pub(crate) fn with_text(&self, call: &Cmd) -> Cmd {
        let mut cmd = redis::cmd("EVAL");
        cmd.arg(&self.source);
        for arg in call.args_iter().skip(2) {
            if let redis::Arg::Simple(arg) = arg {
                cmd.arg(arg);
            }
        }
        cmd
    }
}

/// The fixed keys that a script's header names: those before ", then".
fn header_keys(body: &str) -> Vec<String> {
    let header = body
        .lines()
        .skip_while(|line| !line.starts_with("-- KEYS:"));
    let list: Vec<&str> = header
        .enumerate()
        // The list may go on in the next lines, indented.
        .take_while(|(i, line)| *i == 0 || line.starts_with("--   "))
        .flat_map(|(_, line)| line.trim_start_matches("-- KEYS:").split_whitespace())
        .filter(|word| *word != "--")
        .collect();
    let list = list.join(" ");
    let fixed = list.split(", then").next().unwrap_or_default();
    fixed
        .split(' ')
        .filter(|key| !key.is_empty())
        .map(str::to_owned)
        .collect()
}

macro_rules! scripts {
    ($($name:ident [$($lib:ident)*],)*) => {
        /// All scripts.
        #[derive(Debug)]
        pub(crate) struct Scripts {
            $(pub(crate) $name: Script,)*
        }

        impl Scripts {
            pub(crate) fn new(clock: ServerClock) -> Self {
                Self {
                    $($name: Script::new(
                        stringify!($name),
                        include_str!(concat!("lua/", stringify!($name), ".lua")),
                        &[LIB, $($lib),*],
                        clock,
                    ),)*
                }
            }

            pub(crate) fn all(&self) -> Vec<&Script> {
                vec![$(&self.$name),*]
            }
        }
    };
}

scripts! {
    acquire [PRESENCE GENERATION],
    admit [],
    attach [GENERATION],
    attend [],
    audit [],
    begin [GENERATION],
    bury [],
    cancel [SETTLE],
    dispatch [],
    divide [],
    drain [SETTLE GATES],
    exchange [SETTLE GATES GENERATION],
    fence_session [],
    follow [],
    free_busy [],
    heartbeat [GENERATION],
    history_bounds [],
    holders [REMOVAL],
    leave [],
    mark [],
    note [],
    observe [PRESENCE],
    park [],
    peek [GATES],
    promote [],
    purge [],
    put [REMOVAL FOLLOW],
    read_jobs [],
    recall [],
    reconcile [GENERATION],
    recount [],
    register [GENERATION],
    release [],
    remove [REMOVAL],
    rerun [],
    resync [GENERATION],
    retire [REMOVAL],
    run_now [],
    steer [GATES],
    tidy [KEEPING],
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn body(script: &Script) -> &str {
        let (_, body) = script.source.rsplit_once("\n-- KEYS:").unwrap();
        body
    }

    /// `K.name` and `K['name']` in a text.
    fn named_keys(text: &str) -> BTreeSet<String> {
        let dotted = text.split("K.").skip(1).map(|rest| {
            rest.chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect::<String>()
        });
        let quoted = text
            .split("K['")
            .skip(1)
            .filter_map(|rest| rest.split('\'').next())
            .map(str::to_owned);
        dotted.chain(quoted).collect()
    }

    #[test]
    fn each_script_uses_just_the_keys_that_its_header_names() {
        for script in Scripts::new(ServerClock::Time).all() {
            let header: BTreeSet<_> = script.keys.iter().cloned().collect();
            assert_eq!(
                header.len(),
                script.keys.len(),
                "{}: a key twice",
                script.name
            );
            let used = named_keys(body(script));
            let unknown: Vec<_> = used.difference(&header).collect();
            assert!(
                unknown.is_empty(),
                "{}: not in the header: {unknown:?}",
                script.name
            );
            // The rest may be there for what the shared part uses.
            let shared = named_keys(
                &[
                    CLOCK, LIB, SETTLE, FOLLOW, GATES, REMOVAL, PRESENCE, KEEPING, GENERATION,
                ]
                .concat(),
            );
            let idle: Vec<_> = header
                .iter()
                .filter(|key| !used.contains(*key) && !shared.contains(*key))
                .collect();
            assert!(idle.is_empty(), "{}: never used: {idle:?}", script.name);
        }
    }

    #[test]
    fn each_header_says_what_the_script_takes_and_answers() {
        for script in Scripts::new(ServerClock::Time).all() {
            for word in ["\n-- KEYS: ", "\n-- ARGV: ", "\n-- Answers: "] {
                assert!(script.source.contains(word), "{}: no {word:?}", script.name);
            }
        }
    }

    #[test]
    fn the_header_is_read_over_two_lines() {
        let keys =
            header_keys("-- X.\n-- KEYS: a b:c\n--   d, then (ready, wake) of each\n-- ARGV: e");
        assert_eq!(keys, ["a", "b:c", "d"]);
        assert_eq!(
            header_keys("-- KEYS: a b, then\n--   c d\n-- ARGV: x"),
            ["a", "b"]
        );
        assert_eq!(header_keys("-- KEYS: a\n-- ARGV: x"), ["a"]);
    }

    #[test]
    fn what_only_reads_writes_nothing() {
        let scripts = Scripts::new(ServerClock::Time);
        let writes = [
            "'SET'",
            "'HSET'",
            "'ZADD'",
            "'ZREM'",
            "'DEL'",
            "go_on_when_full(",
            "take_numbers(",
        ];
        for script in scripts.all() {
            let is_reading = script.purpose == Purpose::Reading;
            let found = writes.iter().find(|write| body(script).contains(*write));
            assert!(!is_reading || found.is_none(), "{}: {found:?}", script.name);
        }
        let reading = scripts
            .all()
            .into_iter()
            .filter(|s| s.purpose == Purpose::Reading);
        assert_eq!(reading.count(), READING.len());
    }

    #[test]
    fn production_scripts_never_read_a_pinned_clock() {
        for script in Scripts::new(ServerClock::Time).all() {
            assert!(!script.source.contains("K.clock"), "{}", script.name);
        }
    }
}
