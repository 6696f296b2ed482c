//! A Redis of a test's own, and the program's parts upon it.

use std::path::Path;
use std::time::Duration;

use slipway::app::App;
use slipway::config::{Environment, Flags, Loaded};
use slipway::domain::secret::Secret;
use slipway::jobs::server::{self, PrivateServer};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Long beside anything that happens in a test, so that only what hangs reaches it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) const ADMIN_TOKEN: &str = "admin-token-of-the-tests-0123456789abcdef";

/// The program's parts with a private Redis, a database and an archive of their own. No worker takes jobs.
pub(crate) struct Parts {
    pub(crate) app: App,
    _shutdown: DropGuard,
    server: PrivateServer,
    _data_dir: TempDir,
}

impl Parts {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings of its own, as flags would have them.
    pub(crate) async fn start_with(settings: &[(&'static str, &str)]) -> Self {
        let data_dir = TempDir::new().unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/valkey/valkey-server");
        assert!(program.exists(), "{} is missing: run `make setup`", program.display());
        server::set_helper_program(Path::new(env!("CARGO_BIN_EXE_slipway")));
        let server = PrivateServer::start(data_dir.path(), Some(&program), "").unwrap();
        server.wait_ready(DEADLINE).await.unwrap();
        let mut values = vec![("data_dir", "--data-dir", data_dir.path().display().to_string())];
        values.extend(settings.iter().map(|(key, value)| (*key, "--set", (*value).to_owned())));
        let flags = Flags { values, ..Flags::default() };
        let config = Loaded::new(&flags, Environment::default()).unwrap().config;
        let shutdown = CancellationToken::new();
        let redis_url = Secret::new(server.url().to_owned());
        let admin_token = Secret::new(ADMIN_TOKEN.to_owned());
        let app = App::connect(config, &redis_url, admin_token, shutdown.clone()).await.unwrap();
        Self { app, _shutdown: shutdown.drop_guard(), server, _data_dir: data_dir }
    }

    /// Another server upon the same.
    pub(crate) async fn beside(&self) -> App {
        let redis_url = Secret::new(self.server.url().to_owned());
        let admin_token = Secret::new(ADMIN_TOKEN.to_owned());
        App::connect(self.app.config.clone(), &redis_url, admin_token, self.app.shutdown.clone())
            .await
            .unwrap()
    }

    /// Has Redis forget everything.
    pub(crate) async fn wipe_redis(&self) {
        self.app.redis.command::<()>(&redis::cmd("FLUSHALL")).await.unwrap();
    }
}

/// Asks until the answer is right.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        let mut interval = tokio::time::interval(Duration::from_millis(5));
        while !is_so().await {
            interval.tick().await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect(what);
}
