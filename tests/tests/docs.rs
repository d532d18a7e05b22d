//! What the documents say is there, is there: links, tests, and every key that the scripts touch.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The Markdown files of the project's root and of `docs`.
fn documents() -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in [root(), root().join("docs")] {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 4, "{found:?}");
    Ok(found)
}

/// The targets of `[text](target)`, outside of code blocks.
fn links(text: &str) -> Vec<String> {
    let mut in_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for rest in line.split("](").skip(1) {
            found.push(rest.split(')').next().unwrap_or_default().to_owned());
        }
    }
    found
}

/// A heading as the anchor that it gets: small letters and digits, blanks as `-`.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn has_anchor(text: &str, wanted: &str) -> bool {
    text.lines()
        .any(|line| line.starts_with('#') && anchor(line) == wanted)
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents().unwrap() {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            if link.contains("://") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() {
                document.clone()
            } else {
                document.with_file_name("").join(path)
            };
            let leads = if heading.is_empty() {
                target.exists()
            } else {
                fs::read_to_string(&target).is_ok_and(|text| has_anchor(&text, heading))
            };
            if !leads {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links to nowhere: {broken:#?}");
}

/// The names behind `KEYS:` in a script's header, as the key table writes them.
fn keys_of(script: &str) -> BTreeSet<String> {
    let mut text = String::new();
    let mut reading = false;
    for line in script.lines().map_while(|line| line.strip_prefix("-- ")) {
        if let Some(rest) = line.strip_prefix("KEYS: ") {
            reading = true;
            text.push_str(rest);
        } else if reading && line.starts_with("  ") {
            text.push(' ');
            text.push_str(line.trim());
        } else {
            reading = false;
        }
    }
    let (fixed, rest) = text.split_once(", then").unwrap_or((&text, ""));
    let mut keys: BTreeSet<String> = fixed
        .split_whitespace()
        .map(|name| match name {
            "session" | "claims" | "alive" => format!("{name}:<session>"),
            name => name.to_owned(),
        })
        .collect();
    if rest.contains("(high, ready, low, wake)") {
        let names = ["ready-high", "ready", "ready-low", "wake"];
        keys.extend(names.map(|name| format!("{name}:<queue>")));
    }
    if rest.contains("notes") {
        keys.insert("notes:<run>".to_owned());
    }
    if rest.contains("job") {
        keys.insert("job:<id>".to_owned());
    }
    keys
}

#[test]
fn the_key_table_has_every_key_of_the_scripts() {
    let mut keys = BTreeSet::new();
    for entry in fs::read_dir(root().join("scheduler-redis/src/lua")).unwrap() {
        let path = entry.unwrap().path();
        let is_operation = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| !name.starts_with('_'));
        if is_operation {
            let found = keys_of(&fs::read_to_string(&path).unwrap());
            assert!(!found.is_empty(), "no KEYS in {}", path.display());
            keys.extend(found);
        }
    }
    let guide = fs::read_to_string(root().join("docs/operating.md")).unwrap();
    let listed: BTreeSet<String> = guide
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(key, _)| key.to_owned())
        .collect();
    let missing: Vec<_> = keys.difference(&listed).collect();
    assert!(missing.is_empty(), "not in the key table: {missing:?}");
}

/// The text of every Rust file of the workspace.
fn sources(folder: &Path, found: &mut String) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if path.is_dir() && name != Some("target") {
            sources(&path, found)?;
        } else if name.is_some_and(|name| name.ends_with(".rs")) {
            found.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// All the code of the crates that tests stand in.
fn all_code() -> String {
    let mut code = String::new();
    for package in ["scheduler-core", "scheduler-redis", "worker", "tests"] {
        sources(&root().join(package), &mut code).unwrap();
    }
    code
}

#[test]
fn the_tests_that_prove_what_apscheduler_users_find_are_there() {
    let page = fs::read_to_string(root().join("docs/apscheduler.md")).unwrap();
    let (_, table) = page.split_once("<!-- features -->").unwrap();
    let (table, _) = table.split_once("<!-- /features -->").unwrap();
    let code = all_code();
    let rows = table.lines().filter(|line| line.starts_with("| "));
    let mut tests = 0;
    for row in rows.skip(1) {
        let proof = row.split('|').nth_back(1).unwrap_or_default().trim();
        if proof.is_empty() {
            assert!(row.starts_with("| **"), "nothing proves {row}");
            continue;
        }
        let test = proof.trim_matches('`');
        let is_there = [format!("fn {test}()"), format!("fn {test}<")]
            .iter()
            .any(|name| code.contains(name));
        assert!(is_there, "{row} names no test");
        tests += 1;
    }
    assert!(tests > 40, "{tests} tests");
}

#[test]
fn the_first_scheduled_function_takes_fewer_than_15_lines() {
    let guide = fs::read_to_string(root().join("docs/library.md")).unwrap();
    let (_, program) = guide.split_once("```rust,no_run\n").unwrap();
    let (program, _) = program.split_once("```").unwrap();
    assert!(program.lines().count() < 15, "{program}");
}

/// What Flask-APScheduler 1.13.1 has: the keys that it reads, and its object's methods and properties.
const OF_FLASK_APSCHEDULER: [&str; 40] = [
    "SCHEDULER_JOBS",
    "JOBS",
    "SCHEDULER_JOBSTORES",
    "SCHEDULER_EXECUTORS",
    "SCHEDULER_JOB_DEFAULTS",
    "SCHEDULER_TIMEZONE",
    "SCHEDULER_API_ENABLED",
    "SCHEDULER_VIEWS_ENABLED",
    "SCHEDULER_API_PREFIX",
    "SCHEDULER_ENDPOINT_PREFIX",
    "SCHEDULER_ALLOWED_HOSTS",
    "SCHEDULER_AUTH",
    "@scheduler.task(",
    "@scheduler.authenticate",
    "APScheduler()",
    "init_app(",
    "start()",
    "start(paused=True)",
    "shutdown(wait=True)",
    "pause()",
    "resume()",
    "running",
    "state",
    "host_name",
    "scheduler",
    "add_job(",
    "get_job(",
    "get_jobs()",
    "modify_job(",
    "pause_job(",
    "resume_job(",
    "remove_job(",
    "delete_job(",
    "remove_all_jobs()",
    "delete_all_jobs()",
    "run_job(",
    "add_listener(",
    "remove_listener(",
    "app",
    "task",
];

#[test]
fn all_that_flask_apscheduler_has_is_in_the_table_with_a_test_that_is_there() {
    let guide = fs::read_to_string(root().join("docs/library.md")).unwrap();
    let (_, table) = guide.split_once("<!-- flask-objects -->").unwrap();
    let (table, _) = table.split_once("<!-- /flask-objects -->").unwrap();
    let code = all_code();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    for name in OF_FLASK_APSCHEDULER {
        let is_named = |row: &Vec<&str>| {
            row[0]
                .split('`')
                .any(|part| part == name || (name.ends_with('(') && part.starts_with(name)))
        };
        assert!(rows.iter().any(is_named), "{name} is not in the table");
    }
    for row in rows {
        let [_, here, test] = row[..] else {
            panic!("a row of {} cells: {row:?}", row.len());
        };
        let test = test.trim_matches('`');
        if test.is_empty() {
            assert!(here.starts_with("nothing"), "nothing proves {row:?}");
        } else {
            assert!(
                code.contains(&format!("fn {test}(")),
                "{row:?} names no test"
            );
        }
    }
}

/// Whose types may stand in the public API: the standard library's, our own, and those of DESIGN.md.
const OF_THE_PUBLIC_API: [&str; 15] = [
    "alloc",
    "carillon",
    "carillon_macros",
    "chrono",
    "chrono_tz",
    "core",
    "scheduler_core",
    "scheduler_redis",
    "serde_core",
    "serde_json",
    "std",
    "str",
    "tokio_util",
    "utoipa",
    "uuid",
];

/// The crates that begin a path of this text: `a` of `a::b::c`, and neither `b` nor `c`.
fn crates_of(api: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = BTreeSet::new();
    for (at, _) in api.match_indices("::") {
        let before = &api[..at];
        let name = &before[before.trim_end_matches(is_part).len()..];
        let begins = !before.trim_end_matches(is_part).ends_with("::");
        if begins && name.starts_with(|c: char| c.is_ascii_lowercase()) {
            found.insert(name);
        }
    }
    found
}

#[test]
fn the_public_api_has_no_type_of_a_dependency_that_the_design_does_not_name() {
    let mut strange = Vec::new();
    for name in ["carillon", "scheduler-core", "scheduler-redis"] {
        let api = fs::read_to_string(root().join(format!(".ci/api/{name}.txt"))).unwrap();
        let found = crates_of(&api);
        assert!(found.len() >= 4, "{found:?}");
        let others = found
            .into_iter()
            .filter(|name| !OF_THE_PUBLIC_API.contains(name));
        strange.extend(others.map(|other| format!("{name}: {other}")));
    }
    assert!(strange.is_empty(), "types of {strange:?}");
    assert_eq!(
        crates_of("pub fn a::b::C::d(&self, e::F<g::H>) -> I::J"),
        BTreeSet::from(["a", "e", "g"])
    );
}
