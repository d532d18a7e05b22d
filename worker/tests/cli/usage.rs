//! What is typed or configured wrong, and what help says.

use crate::binary::{NOWHERE, PASSWORD, Said, carillon, config, said};

#[test]
fn help_teaches_by_examples() {
    for command in [
        &["--help"][..],
        &["run", "--help"],
        &["job", "add", "--help"],
        &["preview", "--help"],
        &["runs", "--help"],
        &["nodes", "--help"],
    ] {
        let help = said(command, 0);
        assert!(help.out.contains("Examples:\n  carillon "), "{}", help.out);
        assert!(help.err.is_empty(), "{}", help.err);
    }
    let help = said(&["--help"], 0);
    assert!(help.out.contains("Exit codes: 0 done"), "{}", help.out);
    assert!(
        help.out.contains("redis://user:password@host:port/db"),
        "{}",
        help.out
    );
    assert!(said(&["--version"], 0).out.starts_with("carillon "));
}

#[test]
fn help_does_not_show_what_the_environment_holds() {
    let url = format!("redis://:{PASSWORD}@db");
    let mut command = carillon(&["run", "--help"]);
    command
        .env("CARILLON_STORE", url)
        .env("CARILLON_REDIS_PASSWORD", PASSWORD);
    let help = Said::of(&mut command).ends_with(0);
    assert!(help.out.contains("CARILLON_STORE"), "{}", help.out);
}

#[test]
fn what_is_typed_wrong_is_a_usage_error() {
    let url = format!("redis://me:{PASSWORD}@db");
    for args in [
        &[][..],
        &["fly"],
        &["run", "--concurrency", "many"],
        &["run", "--log-format", "xml"],
        &["run", &url],
        &["run", &format!("--stoer={url}")],
        &["job", "list", "--store", &format!("{url}:port")],
        &["job", "list", "--store", &url.replace("redis", "http")],
        &["job", "show"],
        &["job", "add", "--id", "a"],
        &["job", "add", "--id", "a", "--task", "log"],
        &["job", "add", "--id", "a", "--task", "t", "--every", "soon"],
        &[
            "job",
            "add",
            "--id",
            "a",
            "--task",
            "t",
            "--every",
            "1s",
            "--at",
            "2030-01-01T00:00:00Z",
        ],
        &[
            "job", "add", "--id", "a", "--task", "t", "--every", "1s", "--args", "{",
        ],
        &[
            "job", "add", "--id", "a", "--task", "log", "--every", "1s", "--args", "{}",
        ],
        &["job", "add", "--file", "/nowhere/jobs.toml"],
        &["preview"],
        &["preview", "* * * * *", "--jsonl"],
        &["preview", "--jsonl", "--json"],
        &["preview", "* * * * *", "--count", "0"],
        &["preview", "* * * * *", "--between", "2026-01-01"],
        &["runs", "--limit", "0"],
    ] {
        let said = said(args, 2);
        assert!(said.out.is_empty() || args.is_empty(), "{}", said.all());
        assert!(!said.err.is_empty(), "{args:?}: {}", said.all());
    }
}

#[test]
fn the_environment_is_checked_like_flags() {
    for (name, value, complaint) in [
        (
            "CARILLON_CONCURRENCY",
            "many",
            "--concurrency (CARILLON_CONCURRENCY): \"many\"",
        ),
        (
            "CARILLON_NODE",
            "a b",
            "--node (CARILLON_NODE): node \"a b\" holds ' '",
        ),
        ("CARILLON_LOG", "carillon=loud", "CARILLON_LOG: "),
        (
            "CARILLON_CONFIG",
            "/nowhere/c.toml",
            "/nowhere/c.toml: cannot be read",
        ),
        (
            "CARILLON_STORE",
            "redis://:hunter2@",
            "--store (CARILLON_STORE): ",
        ),
    ] {
        let said = Said::of(carillon(&["run"]).env(name, value)).ends_with(2);
        assert!(said.err.contains(complaint), "{}", said.err);
    }
    // Empty is as good as unset.
    let said = Said::of(carillon(&["job", "list"]).env("CARILLON_STORE", "")).ends_with(2);
    assert!(
        said.err.contains("no shared store is configured"),
        "{}",
        said.err
    );
}

#[test]
fn a_wrong_file_is_told_with_line_field_and_rule() {
    let trigger = "trigger = { type = \"cron\", minute = \"*/5\" }";
    let job = |id: &str, trigger: &str| {
        format!(
            "[[jobs]]\nid = \"{id}\"\ntask = \"log\"\nargs = {{ message = \"hi\" }}\n{trigger}\n"
        )
    };
    let third = "trigger = { type = \"cron\", hour = 8, minute = \"61\" }";
    let jobs = job("a", trigger) + &job("b", trigger) + &job("c", third);
    for (text, complaint) in [
        (
            "[worker]\nconcurency = 3",
            ":2: worker.concurency: unknown key `concurency`: did you mean `concurrency`?",
        ),
        ("[worker]\nconcurrency = -3", ":2: worker.concurrency: "),
        ("[worker", ":1: "),
        ("timezone = \"Mars/Olympus\"", ":1: timezone: "),
        (
            "[store]\nurl = \"redis://:hunter2@h:port\"",
            ":2: store.url: ",
        ),
        ("[store]\nurl = \"redis://:hunter2@h", ":2: "),
        ("store = \"redis://:hunter2@h\"", ":1: store: "),
        (
            "[store]\npassword = 7\nurl = \"redis://h\"",
            ":2: store.password: ",
        ),
        (&*jobs, ":15: jobs[2].trigger.minute: \"61\", character 1: "),
        (
            &*jobs.replace("minute = \"61\"", "minuet = 6"),
            ":15: jobs[2].trigger.minuet: ",
        ),
        (&*jobs.replace("\"hi\"", "3"), ":4: jobs[0].args.message: "),
    ] {
        let (_directory, path) = config(text);
        let said = said(&["run", "--config", &path], 2);
        let expected = format!("error: {path}{complaint}");
        assert!(said.err.starts_with(&expected), "{expected}\n{}", said.err);
    }
}

#[test]
fn other_commands_need_a_shared_store() {
    for args in [
        &["job", "list"][..],
        &["runs"],
        &["nodes"],
        &["job", "run", "a", "--store", "memory"],
    ] {
        let said = said(args, 2);
        assert!(
            said.err
                .contains("the embedded store lives inside `carillon run` only"),
            "{}",
            said.err
        );
        assert!(
            said.err.contains("hint: give --store redis://"),
            "{}",
            said.err
        );
    }
}

#[test]
fn a_store_that_is_not_there_is_named_without_its_password() {
    let url = NOWHERE.replace("://", &format!("://me:{PASSWORD}@"));
    for args in [
        &["job", "list"][..],
        &["job", "add", "--id", "a", "--task", "t", "--every", "1s"],
        &["runs", "--follow"],
        &["nodes", "--self"],
        &["run", "--no-wait"],
    ] {
        let said = Said::of(carillon(args).env("CARILLON_STORE", &url)).ends_with(3);
        assert!(said.err.contains("redis://127.0.0.1:1/0"), "{}", said.err);
        assert!(said.err.contains("Connection refused"), "{}", said.err);
    }
}
