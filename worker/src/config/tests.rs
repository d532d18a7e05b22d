use std::path::Path;
use std::time::Duration;

use scheduler_core::{Coalesce, Grace, JobDefaults, NodeName};

use super::*;

fn check(text: &str) -> Result<Settings, ConfigError> {
    check_with(text, &Overrides::default())
}

fn check_with(text: &str, overrides: &Overrides) -> Result<Settings, ConfigError> {
    Settings::check("carillon.toml", text, Path::new(""), overrides)
}

fn errors(text: &str) -> Vec<String> {
    let error = check(text).unwrap_err().to_string();
    error.lines().map(str::to_owned).collect()
}

#[test]
fn nothing_said_is_all_defaults() {
    let settings = check("").unwrap();
    assert_eq!(settings.namespace.as_str(), "default");
    assert!(matches!(settings.store, StoreSettings::Memory));
    assert_eq!(settings.job_defaults, JobDefaults::default());
    assert_eq!(settings.worker.concurrency.get(), 64);
    assert_eq!(settings.worker.queues.len(), 1);
    assert_eq!(settings.worker.lease_ttl, Duration::from_secs(5));
    assert_eq!(settings.worker.session_ttl, Duration::from_secs(10));
    assert_eq!(settings.worker.shutdown_grace, Duration::from_secs(30));
    assert!(!settings.shell_enabled);
    assert!(settings.jobs.is_empty());
}

#[test]
fn everything_said_is_heard() {
    let settings = check(
        r#"
        timezone = "Asia/Shanghai"
        namespace = "billing"
        [store]
        url = "redis://db:6379/1"
        [job_defaults]
        coalesce = false
        max_instances = 3
        misfire_grace_time = "15m"
        [worker]
        node = "web-1"
        concurrency = 8
        queues = ["fast", "slow"]
        lease_ttl = 2.5
        session_ttl = "4s"
        shutdown_grace = 0
        [tasks.shell]
        enabled = true
        [[jobs]]
        id = "hello"
        task = "log"
        args = { message = "hello" }
        trigger = { type = "interval", seconds = 10 }
        coalesce = "earliest"
        replace_existing = false
        "#,
    )
    .unwrap();
    assert_eq!(settings.namespace.as_str(), "billing");
    assert!(matches!(settings.store, StoreSettings::Redis(_)));
    assert_eq!(settings.job_defaults.timezone, chrono_tz::Asia::Shanghai);
    assert_eq!(settings.worker.node, NodeName::new("web-1").ok());
    assert_eq!(settings.worker.queues[1].queue.as_str(), "slow");
    assert_eq!(settings.worker.lease_ttl, Duration::from_millis(2500));
    assert_eq!(settings.worker.session_ttl, Duration::from_secs(4));
    assert_eq!(settings.worker.shutdown_grace, Duration::ZERO);
    assert!(settings.shell_enabled);
    let [
        ConfiguredJob {
            job,
            replace_existing,
        },
    ] = &settings.jobs[..]
    else {
        panic!("one job");
    };
    assert_eq!(*replace_existing, Some(false));
    assert_eq!(job.policy().coalesce, Coalesce::Earliest);
    assert_eq!(job.policy().max_instances.get(), 3);
    let grace = Grace::Within(Duration::from_secs(900));
    assert_eq!(job.policy().misfire_grace_time, grace);
}

#[test]
fn a_mistyped_key_is_told_with_its_line_and_the_near_one() {
    assert_eq!(
        errors("[worker]\nnode = \"a\"\nconcurency = 3\n"),
        [
            "carillon.toml:3: worker.concurency: unknown key `concurency`: did you mean \
             `concurrency`? (known here: node, concurrency, queues, queue_order, lease_ttl, session_ttl, \
             shutdown_grace)"
        ]
    );
    let text = "[[jobs]]\nid = \"a\"\ntask = \"log\"\n\n[[jobs]]\nid = \"b\"\ntrigger = { type = \"interval\", seconds = 1 }\n";
    assert_eq!(
        errors(text),
        ["carillon.toml:5: jobs[1]: missing field `task`"]
    );
    let said = errors("[[jobs]]\nid = \"a\"\ntask = \"log\"\n");
    assert!(
        said.len() == 1
            && said[0]
                .ends_with("trigger: is missing: say when the job runs, or after which other job"),
        "{said:?}"
    );
    assert_eq!(
        errors("[worker]\nsession_ttl = \"soon\""),
        [
            "carillon.toml:2: worker.session_ttl: \"soon\" is no duration: give seconds (90, 1.5) \
             or text such as \"15m\", \"1h 30m\", \"250ms\""
        ]
    );
}

#[test]
fn runs_in_flight_are_bounded_where_they_are_written() {
    let text = "[job_defaults]\nmax_instances = 1001\n[[jobs]]\nid = \"a\"\ntask = \"t\"\n\
                max_instances = 2000\ntrigger = { type = \"interval\", seconds = 1 }\n";
    assert_eq!(
        errors(text),
        [
            "carillon.toml:2: job_defaults.max_instances: 1001 is out of range: allowed are 1 to \
             1000",
            "carillon.toml:6: jobs[0].max_instances: 2000 is out of range: allowed are 1 to 1000",
        ]
    );
}

#[test]
fn broken_rules_are_told_all_at_once() {
    let text = r#"timezone = "Europe/Belrin"
namespace = "my space"

[worker]
concurrency = 0
queues = ["a", "b", "a"]
lease_ttl = 0.1

[[jobs]]
id = "a"
task = "log"
args = { message = "hi" }
trigger = { type = "interval", seconds = 1 }

[[jobs]]
id = "a"
task = "log"
args = { message = "hi" }
trigger = { type = "interval", seconds = 1 }

[[jobs]]
id = "c"
task = "http"
trigger = { type = "interval", seconds = 1 }

[jobs.args]
url = "http://localhost/"
headers = { "a b" = "c" }
"#;
    assert_eq!(
        errors(text),
        [
            "carillon.toml:2: namespace: namespace \"my space\" holds ' ': letters, digits and \
             _ - . : are allowed",
            "carillon.toml:1: timezone: \"Europe/Belrin\" is no time zone: did you mean \
             \"Europe/Berlin\"?",
            "carillon.toml:5: worker.concurrency: 0 is not between 1 and 10000",
            "carillon.toml:6: worker.queues[2]: queue \"a\" is named twice",
            "carillon.toml:7: worker.lease_ttl: 100ms is not between 500ms and 3600s",
            "carillon.toml:16: jobs[1].id: \"a\" is the id of jobs[0], too",
            "carillon.toml:28: jobs[2].args.headers: \"a b\" is no name of a header",
        ]
    );
}

#[test]
fn queues_have_weights_as_flags_and_in_the_file() {
    let weights = |settings: Settings| {
        let queues = settings.worker.queues.into_iter();
        let queues = queues.map(|q| (q.queue.to_string(), q.weight.get()));
        queues.collect::<Vec<_>>()
    };
    let expected = [("mail".to_owned(), 3), ("default".to_owned(), 1)];
    let text = "[worker]\nqueues = [{ name = \"mail\", weight = 3 }, \"default\"]";
    assert_eq!(weights(check(text).unwrap()), expected);
    let flags = |queues: &[&str]| Overrides {
        queues: queues.iter().map(ToString::to_string).collect(),
        ..Overrides::default()
    };
    let settings = check_with("", &flags(&["mail=3", "default"])).unwrap();
    assert_eq!(weights(settings), expected);

    let refused =
        |text: &str, overrides: &Overrides| check_with(text, overrides).unwrap_err().to_string();
    let none = Overrides::default();
    assert_eq!(
        refused("", &flags(&["mail=0"])),
        "--queue (CARILLON_QUEUES): queue \"mail\": the weight 0 is out of range: allowed are 1 to \
         1000"
    );
    assert_eq!(
        refused(&format!("{text}\nqueue_order = \"strict\""), &none),
        "carillon.toml:2: worker.queues[0]: queue \"mail\" has a weight, which means nothing where \
         the order is strict"
    );
    assert_eq!(
        refused("[worker]\nqueue_order = \"fair\"", &none),
        "carillon.toml:2: worker.queue_order: \"fair\" is no order of queues: allowed are \
         \"weighted\" and \"strict\""
    );
    assert_eq!(
        refused("[worker]\nqueues = [7]", &none),
        "carillon.toml:2: worker.queues[0]: expected a queue's name, or a table { name = \"mail\", \
         weight = 3 }"
    );
}

#[test]
fn queues_have_limits_in_the_file() {
    let text = "[queues.mail]\nconcurrency = 20\nrate = \"100/s\"\n[queues.slow]\nrate = \"5/m\"";
    let queues = check(text).unwrap().queues;
    let queues = queues.iter().map(|(queue, limits)| {
        let concurrency = limits.concurrency.map(|n| n.get());
        (
            queue.as_str(),
            concurrency,
            limits.rate.unwrap().to_string(),
        )
    });
    let expected = [
        ("mail", Some(20), "100/s".to_owned()),
        ("slow", None, "5/m".to_owned()),
    ];
    assert_eq!(queues.collect::<Vec<_>>(), expected);
    assert_eq!(
        errors("[queues.mail]\nrate = \"fast\""),
        [
            "carillon.toml:2: queues.mail.rate: \"fast\" is no rate: give runs per time, such as \
             \"100/s\", \"5/m\", \"10/30s\""
        ]
    );
    assert_eq!(
        errors("[queues.\"my mail\"]\nconcurrency = 1"),
        [
            "carillon.toml:1: queues.my mail: queue \"my mail\" holds ' ': letters, digits and \
             _ - . : are allowed"
        ]
    );
}

#[test]
fn flags_come_before_the_file() {
    let overrides = Overrides {
        node: Some("flag".to_owned()),
        concurrency: Some("2".to_owned()),
        queues: vec!["q".to_owned()],
        store: Some("memory".to_owned()),
        shutdown_grace: Some("1m".to_owned()),
        ..Overrides::default()
    };
    let text = "[store]\nurl = \"redis://db\"\n[worker]\nnode = \"file\"\nconcurrency = 3";
    let settings = check_with(text, &overrides).unwrap();
    assert_eq!(settings.worker.node, NodeName::new("flag").ok());
    assert_eq!(settings.worker.concurrency.get(), 2);
    assert_eq!(settings.worker.queues[0].queue.as_str(), "q");
    assert_eq!(settings.worker.shutdown_grace, Duration::from_secs(60));
    assert!(matches!(settings.store, StoreSettings::Memory));
    let overrides = Overrides {
        concurrency: Some("many".to_owned()),
        ..Overrides::default()
    };
    assert_eq!(
        check_with("", &overrides).unwrap_err().to_string(),
        "--concurrency (CARILLON_CONCURRENCY): \"many\" is not between 1 and 10000"
    );
}

#[test]
fn the_password_nearest_to_the_caller_counts() {
    let secret = |text: &str| Some(scheduler_redis::Secret::new(text.to_owned()));
    let password = |text: &str, overrides: &Overrides| {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("secret"), "of the file\r\n").unwrap();
        let settings = Settings::check("c.toml", text, directory.path(), overrides).unwrap();
        let StoreSettings::Redis(config) = settings.store else {
            panic!("no redis");
        };
        config.password
    };
    let none = Overrides::default();
    let flag = |url: &str| Overrides {
        store: Some(url.to_owned()),
        ..Overrides::default()
    };
    let url = "[store]\nurl = \"redis://:url@db\"\n";
    let given = format!("{url}password = \"given\"");
    let in_file = format!("{url}password_file = \"secret\"");
    assert_eq!(password(url, &none), secret("url"));
    assert_eq!(password(&given, &none), secret("given"));
    assert_eq!(password(&in_file, &none), secret("of the file"));
    assert_eq!(password(&given, &flag("redis://db2")), secret("given"));
    assert_eq!(password(&given, &flag("redis://:flag@db")), secret("flag"));
    let environment = Overrides {
        password: Some(Password::new("env".to_owned())),
        ..flag("redis://:flag@db")
    };
    assert_eq!(password(&given, &environment), secret("env"));
    let both = format!("{given}\npassword_file = \"secret\"");
    assert_eq!(
        errors(&both),
        ["carillon.toml:4: store.password_file: give password or password_file, not both"]
    );
    let sentinels = |text: &str, overrides: &Overrides| {
        let settings = Settings::check("c.toml", text, Path::new("/"), overrides).unwrap();
        let StoreSettings::Redis(config) = settings.store else {
            panic!("no redis");
        };
        config.sentinels().and_then(|s| s.password.clone())
    };
    let by_url = "redis+sentinel://a,b/main?sentinel_password=url";
    let in_file = "[store]\nurl = \"redis+sentinel://a/main\"\nsentinel_password = \"given\"";
    assert_eq!(sentinels(in_file, &none), secret("given"));
    assert_eq!(sentinels(in_file, &flag(by_url)), secret("url"));
    let environment = Overrides {
        sentinel_password: Some(Password::new("env".to_owned())),
        ..flag(by_url)
    };
    assert_eq!(sentinels(in_file, &environment), secret("env"));
    let missing = format!("{url}password_file = \"/nowhere/secret\"");
    assert!(
        errors(&missing)[0].starts_with("carillon.toml:3: store.password_file: /nowhere/secret: ")
    );
}

#[test]
fn no_error_repeats_a_password() {
    for text in [
        "store = \"redis://:hunter2@db\"",
        "[store]\nurl = \"http://:hunter2@db\"",
        "[store]\nurl = \"redis://:hunter2@db:port\"",
        "[store]\nurl = \"redis+sentinel://db?sentinel_password=hunter2\"",
        "[[jobs]]\nid = \"redis+sentinel://db/main?sentinel_password=hunter2\"",
        "[store]\nurl = \"redis://:hunter2@db",
        "[store]\npassword = \"hunter2",
        "[store]\npassword = [\"hunter2\"]",
        "[store]\npasword = \"hunter2\"",
        "[[jobs]]\nid = \"redis://:hunter2@db\"",
    ] {
        let error = check(text).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2\""), "{error:?}");
    }
}

#[test]
fn jobs_are_read_in_either_language() {
    let one = r#"{"id": "a", "task": "t", "trigger": {"type": "interval", "seconds": 5}}"#;
    let toml = "id = \"a\"\ntask = \"t\"\ntrigger = { type = \"interval\", seconds = 5 }\n";
    let parse = |name: &str, text: &str| {
        let jobs = JobDocument::parse(name, text)?.check(&JobDefaults::default())?;
        Ok::<_, ConfigError>(jobs)
    };
    let expected = parse("-", one).unwrap();
    assert_eq!(expected.len(), 1);
    assert_eq!(parse("-", &format!("[{one}]")).unwrap(), expected);
    assert_eq!(
        parse("-", &format!("{{\"jobs\": [{one}]}}")).unwrap(),
        expected
    );
    assert_eq!(parse("-", toml).unwrap(), expected);
    assert_eq!(
        parse("jobs.toml", &format!("[[jobs]]\n{toml}")).unwrap(),
        expected
    );
    let error = |name, text: &str| parse(name, text).unwrap_err().to_string();
    let unknown = error("-", "[worker]\nnode = \"a\"\n");
    let known = unknown
        .strip_prefix("-:1: worker: unknown key `worker` (known here: ")
        .unwrap_or_else(|| panic!("{unknown}"));
    assert!(known.starts_with("id, name, task, args, trigger, after, queue, "));
    assert_eq!(
        error("x.json", "3"),
        "x.json: must be a job, or a list of jobs"
    );
    assert_eq!(
        error("x.toml", "jobs = 3"),
        "x.toml:1: jobs: must be a list of jobs"
    );
    let unknown = error("x.json", r#"[{"id": "a", "tusk": "log"}]"#);
    assert!(
        unknown.starts_with("x.json: [0].tusk: unknown key `tusk`: did you mean `task`? (known"),
        "{unknown}"
    );
}

#[test]
fn what_the_docs_and_the_demo_show_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    // In place of the password file that the example names.
    let overrides = Overrides {
        password: Some(Password::new("x".to_owned())),
        ..Overrides::default()
    };
    let docs = read("docs/configuration.md");
    let (_, example) = docs.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let settings = check_with(example, &overrides).unwrap();
    assert_eq!(settings.jobs.len(), 1);
    assert_eq!(check(&read("deploy/demo.toml")).unwrap().jobs.len(), 3);
}

#[test]
fn what_is_kept_and_how_long_is_said_and_bounded() {
    let settings =
        check("history = { keep = 5, keep_for = \"1h\", failed = 7, failed_for = \"2days\" }");
    let retention = settings.unwrap().retention;
    assert_eq!((retention.history, retention.failed), (5, 7));
    assert_eq!(retention.history_for, Some(Duration::from_secs(3600)));
    assert_eq!(retention.failed_for, Duration::from_secs(2 * 24 * 3600));
    let unsaid = check("history = { failed = 0 }").unwrap().retention;
    assert_eq!(unsaid.failed, 0, "none is kept");
    assert_eq!(unsaid.failed_for, Duration::from_secs(30 * 24 * 3600));
    let said =
        errors("[history]\nkeep = 0\nkeep_for = 1\nfailed = 1000001\nfailed_for = \"59s\"\n");
    assert_eq!(
        said,
        [
            "carillon.toml:2: history.keep: 0 is not between 1 and 100000000",
            "carillon.toml:3: history.keep_for: 1s is less than 60s",
            "carillon.toml:4: history.failed: 1000001 is not between 0 and 1000000",
            "carillon.toml:5: history.failed_for: 59s is less than 60s",
        ]
    );
}

#[test]
fn the_grace_after_a_failover_is_bounded() {
    let text = |grace| format!("[store]\nurl = \"redis://a\"\nfailover_grace = {grace}\n");
    let settings = check(&text("0.25")).unwrap();
    let StoreSettings::Redis(config) = settings.store else {
        panic!("not Redis");
    };
    assert_eq!(config.failover_grace, Duration::from_millis(250));
    assert_eq!(
        errors(&text("\"2m\"")),
        [
            "carillon.toml:3: store.failover_grace: 120s is too long: nothing fires meanwhile; at most 60 s"
        ]
    );
}

#[test]
fn a_durability_is_checked_where_it_was_said() {
    let text =
        |durability| format!("[store]\nurl = \"redis://a\"\ndurability = \"{durability}\"\n");
    let durability = |settings: Settings| match settings.store {
        StoreSettings::Redis(config) => config.durability.to_string(),
        StoreSettings::Memory => panic!("not Redis"),
    };
    assert_eq!(
        durability(check(&text("replicas:2")).unwrap()),
        "replicas:2"
    );
    let overrides = Overrides {
        durability: Some("aof".to_owned()),
        ..Overrides::default()
    };
    let overridden = check_with(&text("replicas:2"), &overrides).unwrap();
    assert_eq!(durability(overridden), "aof");
    let said = errors(&text("two"));
    assert!(
        said[0].contains("carillon.toml:3: store.durability: \"two\" is no durability"),
        "{said:?}"
    );
    let said = errors("[store]\ndurability = \"aof\"\n");
    assert!(
        said[0].contains("the embedded store keeps nothing"),
        "{said:?}"
    );
}

#[test]
fn the_number_of_shards_is_said_once() {
    let shards = |settings: Settings| settings.store.shards().get();
    let text = |url: &str, more: &str| format!("[store]\nurl = \"{url}\"\n{more}");
    assert_eq!(shards(check(&text("redis://a", "")).unwrap()), 1);
    assert_eq!(
        shards(check(&text("redis://a", "shards = 4\n")).unwrap()),
        4
    );
    assert_eq!(shards(check(&text("redis://a?shards=4", "")).unwrap()), 4);
    assert_eq!(
        shards(check(&text("redis://a?shards=4", "shards = 4\n")).unwrap()),
        4
    );
    let said = errors(&text("redis://a?shards=4", "shards = 2\n"));
    assert!(
        said[0].contains("carillon.toml:3: store.shards: 2, and the URL says 4"),
        "{said:?}"
    );
    let said = errors(&text("redis://a", "shards = 65\n"));
    assert!(
        said[0].contains("store.shards: \"65\" is no number of shards: 1 to 64"),
        "{said:?}"
    );
    let said = errors("[store]\nshards = 2\n");
    assert!(
        said[0].contains("the embedded store is not split"),
        "{said:?}"
    );
}
