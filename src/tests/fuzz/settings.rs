//! Settings from any file and any variable: taken, or refused by line, and no secret is repeated either way.

use proptest::prelude::*;
use proptest::sample::select;
use slipway::config::{Environment, Flags, Loaded, Origin};

use super::mutate::{holds, mutated, mutated_text};

const PASSWORD: &str = "hunter2secret";
const FILES: [&str; 3] = [
    "# comment\ndata_dir = \"/tmp/x\"\n[http]\nlisten = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.1\", \"fd00::/8\"]\ncors_origins = [\"https://app.example.com\"]\nbody_max = \"1MiB\"\n",
    "[database]\nurl = \"postgres://me:hunter2secret@db/ci\"\nconnections_max = 8\n[redis]\nurl = \"redis://:hunter2secret@cache:6379/0\"\n[auth]\nadmin_token = \"hunter2secret\"\n",
    "worker.grace = \"10s\"\n[worker]\nconcurrency = 7\n[trace]\nfilter = \"slipway=debug,warn\"\n[logs]\nrun_max = \"64MiB\"\n",
];
const VARIABLES: [&str; 9] = [
    "SLIPWAY_LISTEN",
    "SLIPWAY_PUBLIC_URL",
    "SLIPWAY_TRUSTED_PROXIES",
    "SLIPWAY_CORS_ORIGINS",
    "SLIPWAY_GRACE",
    "SLIPWAY_DATA_DIR",
    "SLIPWAY_TRACE",
    "SLIPWAY_BODY_MAX",
    "SLIPWAY_UNHEARD_OF",
];
/// Without a password: a setting that is no secret says what it was given.
const VALUES: [&str; 9] = [
    "127.0.0.1:3001",
    "https://ci.example.com/a",
    "10.0.0.0/8, ::1",
    "10s",
    "64KiB",
    "visible-ascii",
    "redis://cache:6379/0",
    "slipway=debug,warn",
    "99999999999999999999d",
];

const SECRET_VARIABLES: [&str; 3] = ["SLIPWAY_ADMIN_TOKEN", "DATABASE_URL", "REDIS_URL"];
const SECRET_VALUES: [&str; 4] = [
    "hunter2secret",
    "postgres://me:hunter2secret@db/ci",
    "redis://:hunter2secret@cache:6379/0",
    "hunter2secret hunter2secret",
];

#[test]
fn any_settings_are_taken_or_refused_by_line_without_repeating_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("slipway.toml");
    let plain = (select(&VARIABLES[..]), mutated_text(&VALUES));
    let secret = (select(&SECRET_VARIABLES[..]), mutated_text(&SECRET_VALUES));
    holds(600, (mutated(&FILES), plain, secret), |(file, (name, value), (secret_name, secret))| {
        std::fs::write(&path, &file).unwrap();
        let flags = Flags {
            values: vec![("data_dir", "--data-dir", dir.path().display().to_string())],
            ..Flags::default()
        };
        let lines = file.split(|byte| *byte == b'\n').count();
        let variables = [(name, value.as_str()), (secret_name, secret.as_str())];
        match Loaded::new(&flags, Environment::from(variables)) {
            Ok(loaded) => {
                let shown = format!("{:?}", loaded.config);
                prop_assert!(!shown.contains(PASSWORD), "{shown}");
            }
            Err(error) => {
                prop_assert!(!error.0.is_empty());
                prop_assert!(!error.to_string().contains(PASSWORD), "{error}");
                for problem in &error.0 {
                    if let Some(Origin::File { line, .. }) = &problem.origin {
                        prop_assert!((1..=lines).contains(line), "{error}");
                    }
                }
            }
        }
        Ok(())
    });
}
