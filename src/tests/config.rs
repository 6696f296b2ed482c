//! Settings: which source outweighs which, what is refused and how it is said, what is shown.

use std::path::PathBuf;
use std::time::Duration;

use slipway::config::{ClientFlags, ConfigError, Environment, Flags, Loaded, OnShutdown, Origin};

const DEFAULTS: &str = include_str!("../config.default.toml");

/// A data directory with this `slipway.toml`.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(file: &str) -> Self {
        let place = Self::without_file();
        std::fs::write(place.file(), file).unwrap();
        place
    }

    fn without_file() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("slipway.toml")
    }

    fn load<const N: usize>(
        &self,
        variables: [(&str, &str); N],
        set: &[&str],
    ) -> Result<Loaded, ConfigError> {
        let flags = Flags {
            file: None,
            assignments: set.iter().map(|text| (*text).to_owned()).collect(),
            values: vec![("data_dir", "--data-dir", self.dir.path().display().to_string())],
        };
        Loaded::new(&flags, Environment::from(variables))
    }
}

fn messages(result: Result<Loaded, ConfigError>) -> Vec<String> {
    result.unwrap_err().to_string().lines().map(str::to_owned).collect()
}

#[test]
fn flags_outweigh_the_environment_the_environment_the_file_and_the_file_the_defaults() {
    let place = Place::new("[worker]\nconcurrency = 7\ngrace = \"1m\"\non_shutdown = \"wait\"\n");
    let variables = [("SLIPWAY_GRACE", "2m"), ("SLIPWAY_ON_SHUTDOWN", "cancel")];
    let loaded = place.load(variables, &["worker.on_shutdown=leave"]).unwrap();

    let worker = &loaded.config.worker;
    assert_eq!(worker.steps_parallel_max, 4, "default");
    assert_eq!(worker.concurrency, 7, "file");
    assert_eq!(worker.grace, Duration::from_secs(120), "environment");
    assert_eq!(worker.on_shutdown, OnShutdown::Leave, "flag");

    let origin =
        |key: &str| loaded.settings.iter().find(|setting| setting.key == key).unwrap().origin.clone();
    assert_eq!(origin("worker.steps_parallel_max"), Origin::Default);
    assert_eq!(origin("worker.concurrency"), Origin::File { path: place.file(), line: 2 });
    assert_eq!(origin("worker.grace"), Origin::Variable("SLIPWAY_GRACE".to_owned()));
    assert_eq!(origin("worker.on_shutdown").to_string(), "--set worker.on_shutdown");
}

#[test]
fn a_server_with_no_settings_at_all_has_sensible_ones() {
    let loaded = Loaded::new(&Flags::default(), Environment::from([])).unwrap();
    let config = &loaded.config;
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:3001");
    assert_eq!(config.data_dir, std::path::absolute(".slipway").unwrap());
    assert_eq!(config.http.body_bytes_max, 1 << 20);
    assert_eq!(config.logs.run_bytes_max, 512 << 20);
    assert_eq!(config.redis.prefix, "{slipway}");
    assert!(config.database.url.is_none() && config.auth.admin_token.is_none());
    assert!(config.worker.path.contains("/usr/bin"));
    assert_eq!(config.check(), [""; 0]);
}

/// What the compiled-in file shows as an example is read back by a file of the same text.
#[test]
fn the_documented_defaults_are_a_valid_file_that_names_every_setting_and_its_variable() {
    let loaded = Place::new(&DEFAULTS.replace("data_dir =", "# data_dir =")).load([], &[]).unwrap();
    for setting in &loaded.settings {
        let name = setting.key.rsplit('.').next().unwrap();
        let is_shown = DEFAULTS
            .lines()
            .any(|line| line.trim_start_matches("# ").split_once(" = ").is_some_and(|(key, _)| key == name));
        assert!(is_shown, "{} is not in the file", setting.key);
        let is_named = DEFAULTS
            .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
            .any(|word| word == setting.variable);
        assert!(is_named, "{} is not in the file", setting.variable);
    }
}

#[test]
fn unknown_keys_and_variables_are_refused_with_their_place_and_the_nearest_known_one() {
    let place = Place::new("[http]\nlistn = \"127.0.0.1:1\"\n\n[worker]\nconcurency = 2\n[htp]\nx = 1\n");
    let file = place.file().display().to_string();
    let variables = [
        ("SLIPWAY_LISTN", "x"),
        ("SLIPWAY_RUN_ID", "1"),
        ("SLIPWAY_STEP", "build"),
        ("SLIPWAY_INPUT_BRANCH", "main"),
        ("SLIPWAY_TEST_REDIS", "1"),
        ("SLIPWAY_TOKEN", "t"),
        ("SLIPWAY_URL", "http://127.0.0.1:1"),
        ("HOME", "/root"),
    ];
    let messages = messages(place.load(variables, &["worker.pth=/bin", "grace=1s", "nonsense"]));
    assert_eq!(messages[0], format!("{file}:2: http.listn: no such setting; the nearest is http.listen"));
    assert_eq!(
        messages[1],
        format!("{file}:5: worker.concurency: no such setting; the nearest is worker.concurrency")
    );
    assert!(messages[2].starts_with(&format!("{file}:6: htp: no such setting")), "{}", messages[2]);
    assert_eq!(messages[3], "SLIPWAY_LISTN: no such setting; the nearest is SLIPWAY_LISTEN");
    assert_eq!(messages[4], "--set worker.pth: no such setting; the nearest is worker.path");
    assert_eq!(messages[5], "--set grace: no such setting; the nearest is worker.grace");
    assert_eq!(messages[6], "--set: nonsense: expected KEY=VALUE");
    assert_eq!(messages.len(), 7);
}

#[test]
fn a_value_of_the_wrong_form_is_refused_with_its_place_and_what_was_expected() {
    let place =
        Place::new("[logs]\nline_bytes_max = \"1MiB\"\n[http]\nlisten = [\"a\"]\nstreams_max = 1.5\n");
    let file = place.file().display().to_string();
    let variables = [("SLIPWAY_CONCURRENCY", "many"), ("SLIPWAY_DRAIN", "soon")];
    let messages = messages(place.load(variables, &["trace.json=maybe"]));
    let expected = [
        format!(
            "{file}:2: logs.line_bytes_max: expected a size from 256B to 64KiB, such as 64KiB, got \"1MiB\""
        ),
        "SLIPWAY_CONCURRENCY: worker.concurrency: expected a whole number from 1 to 1000, got \"many\""
            .to_owned(),
        "--set trace.json: trace.json: expected true or false, got \"maybe\"".to_owned(),
        format!("{file}:5: http.streams_max: expected a value, or a list of texts"),
    ];
    for message in &expected {
        assert!(messages.contains(message), "{message} in {messages:#?}");
    }
    assert!(messages.iter().any(|message| message.starts_with(&format!("{file}:4: http.listen: expected"))));
    assert!(
        messages.iter().any(|message| message.starts_with("SLIPWAY_DRAIN: http.drain: expected a duration"))
    );
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_its_line() {
    let place = Place::new("[http]\nlisten = \n");
    let messages = messages(place.load([], &[]));
    assert!(messages[0].starts_with(&format!("{}:2: not TOML", place.file().display())), "{messages:?}");
}

#[test]
fn a_named_file_must_be_there_and_an_unnamed_one_need_not() {
    let place = Place::without_file();
    assert!(place.load([], &[]).is_ok());
    let missing = place.dir.path().join("no.toml").display().to_string();
    let messages = messages(place.load([("SLIPWAY_CONFIG", &missing)], &[]));
    assert!(messages[0].starts_with(&format!("SLIPWAY_CONFIG: cannot read {missing}")), "{messages:?}");
}

#[test]
fn a_file_in_the_data_directory_cannot_say_where_that_is() {
    let place = Place::new("data_dir = \"/elsewhere\"\n");
    let variables = [("SLIPWAY_DATA_DIR", place.dir.path().to_str().unwrap())];
    let result = Loaded::new(&Flags::default(), Environment::from(variables));
    let file = place.file().display().to_string();
    let message = "data_dir: a file in the data directory cannot say where that is";
    assert_eq!(messages(result), [format!("{file}:1: {message}")]);

    let flags = Flags { file: Some(place.file()), ..Flags::default() };
    let loaded = Loaded::new(&flags, Environment::from([])).unwrap();
    assert_eq!(loaded.config.data_dir, PathBuf::from("/elsewhere"), "a file that is named may say so");
}

#[test]
fn relations_between_settings_are_checked() {
    let place = Place::new("[logs]\nsegment_bytes = \"128MiB\"\n[redis]\ncall_timeout = \"20s\"\n");
    let messages = messages(place.load([], &[]));
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].starts_with("redis.call_timeout must not exceed http.drain"));
    assert!(messages[1].starts_with("logs.segment_bytes must not exceed logs.backlog_bytes_max"));
}

/// Everything that a person may see of the settings, good or bad, with secrets of every kind in them.
#[test]
fn secrets_are_shown_nowhere() {
    let place = Place::without_file();
    let variables = [
        ("SLIPWAY_ADMIN_TOKEN", "hunter2-hunter2-hunter2"),
        ("DATABASE_URL", "postgres://me:hunter2@db/ci"),
        ("REDIS_URL", "redis://:hunter2@cache:6379/0"),
        ("SLIPWAY_SECRETS_KEY", "aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnQ="),
        ("HTTP_PROXY", "http://me:hunter2@proxy"),
        ("SLIPWAY_PASS_ENV", "HTTP_PROXY, MISSING"),
    ];
    let loaded = place.load(variables, &[]).unwrap();
    assert_eq!(loaded.config.worker.passed_env.len(), 1);
    assert!(!format!("{:?}", loaded.settings).contains("hunter2"));
    assert!(!format!("{:?}", (loaded.settings.iter(), &loaded.config.secrets)).contains("aHVudGVy"));
    let value = |key: &str| loaded.settings.iter().find(|setting| setting.key == key).unwrap().value.clone();
    assert_eq!(value("auth.admin_token").as_deref(), Some("***"));
    assert_eq!(value("database.url").as_deref(), Some("postgres://me:***@db/ci"));

    let bad = [
        ("SLIPWAY_ADMIN_TOKEN", "hunter2 hunter2"),
        ("DATABASE_URL", "mysql://me:hunter2@db"),
        ("REDIS_URL", "hunter2"),
        ("SLIPWAY_SECRETS_KEY", "hunter2"),
    ];
    let messages = messages(place.load(bad, &["auth.admin_token=hunter2", "redis.url=redis://:hunter2@x"]));
    assert_eq!(messages.len(), 6, "{messages:?}");
    assert!(!messages.concat().contains("hunter2"), "{messages:?}");
    assert!(messages.iter().any(|message| message.starts_with("--set auth.admin_token: may hold a secret")));
}

#[test]
fn a_client_finds_its_server_and_shows_the_admin_token_to_its_own_machine_only() {
    let place = Place::without_file();
    std::fs::write(place.dir.path().join("admin-token"), "from-the-file\n").unwrap();
    let token = |loaded: &Loaded, url: Option<&str>| {
        let flags = ClientFlags { url: url.map(str::to_owned), token_file: None };
        loaded.client(&flags).unwrap().token.map(|token| token.reveal().clone())
    };

    let loaded = place.load([("SLIPWAY_LISTEN", "0.0.0.0:4000")], &[]).unwrap();
    assert_eq!(loaded.client(&ClientFlags::default()).unwrap().url, "http://127.0.0.1:4000");
    assert_eq!(token(&loaded, None).as_deref(), Some("from-the-file"));
    assert_eq!(token(&loaded, Some("http://localhost:9/")).as_deref(), Some("from-the-file"));
    assert_eq!(token(&loaded, Some("https://ci.example.com")), None);

    let loaded =
        place.load([("SLIPWAY_ADMIN_TOKEN", "the-admin-token"), ("SLIPWAY_URL", "http://x")], &[]).unwrap();
    assert_eq!(loaded.client(&ClientFlags::default()).unwrap().url, "http://x");
    assert_eq!(token(&loaded, None).as_deref(), Some("the-admin-token"));
    let loaded =
        place.load([("SLIPWAY_ADMIN_TOKEN", "the-admin-token"), ("SLIPWAY_TOKEN", "mine")], &[]).unwrap();
    assert_eq!(token(&loaded, None).as_deref(), Some("mine"));

    let flags = ClientFlags { url: Some("ftp://x".to_owned()), token_file: None };
    assert!(loaded.client(&flags).unwrap_err().to_string().starts_with("--url: expected"));
}

#[test]
fn the_key_of_secrets_comes_from_one_place() {
    let place = Place::without_file();
    let key = "aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnQ=";
    let two = [("SLIPWAY_SECRETS_KEY", key), ("SLIPWAY_SECRETS_KEY_FILE", "/run/key")];
    let messages_of_two = messages(place.load(two, &[]));
    assert!(messages_of_two[0].contains("set one of them"), "{messages_of_two:?}");
    let relative = messages(place.load([("SLIPWAY_SECRETS_KEY_COMMAND", "vault,get")], &[]));
    assert!(relative[0].contains("expected a program by its whole path"), "{relative:?}");
    let loaded = place.load([("SLIPWAY_SECRETS_KEY_COMMAND", "/bin/vault, get")], &[]).unwrap();
    let words = ["/bin/vault", "get"].map(str::to_owned).to_vec();
    assert_eq!(loaded.config.secrets.key, slipway::domain::keyring::KeySource::Command(words));
}
