//! `slipway backup` and `slipway restore`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::app::object_store;
use crate::backup::{self, Created, Manifest, Occupied, Progress};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{Output, note};
use crate::config::{Config, size_text};
use crate::domain::time::now;
use crate::logs::Logs;
use crate::redis::Redis;
use crate::store::{Engine, Store};

/// Between two words on how far it has come.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    /// The file to write; `-`: stdout [default: slipway-<time>.tar.zst here].
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Include the admin token that was made at the first start. Without it, a restored server makes another.
    #[arg(long)]
    with_admin_token: bool,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    /// The backup; `-`: stdin.
    file: PathBuf,
    /// Move a data directory that is there aside.
    #[arg(long)]
    force: bool,
}

pub(super) async fn backup(
    output: Output,
    config: &Config,
    arguments: BackupArguments,
) -> Result<Exit, Failure> {
    if is_postgres(config)? {
        return Err(Failure::usage("a backup is of SQLite, and DATABASE_URL names PostgreSQL").advise(
            "Take one with pg_dump, and after it copy the object store: \"Backup and restore\" in docs/operations.md",
        ));
    }
    let data_dir = config.data_dir.canonicalize().map_err(|error| {
        Failure::failed(format!("data_dir: {} cannot be used: {error}", config.data_dir.display()))
    })?;
    let config = &Config { data_dir, ..config.clone() };
    if config.database.url.is_none() && !config.data_dir.join("slipway.db").exists() {
        let message = format!("data_dir: {} holds no installation", config.data_dir.display());
        return Err(Failure::failed(message).advise("Name another with --data-dir"));
    }
    let admin_token = match arguments.with_admin_token {
        false => None,
        true => Some(fs::read_to_string(config.data_dir.join("admin-token")).map_err(|error| {
            Failure::failed(format!("the admin token cannot be read: {error}"))
                .advise("One that is set as auth.admin_token is no part of a backup")
        })?),
    };
    let to = arguments.to.unwrap_or_else(|| {
        let stamp = now().to_string().replace(':', "-");
        PathBuf::from(format!("slipway-{stamp}.tar.zst"))
    });
    if to.as_os_str() == "-" {
        let created = write(config, admin_token.as_deref(), io::stdout()).await?;
        warn(&created);
        return Ok(Exit::Success);
    }
    let partial = Partial::create(&to)?;
    let created = write(config, admin_token.as_deref(), &partial.file).await?;
    let bytes = partial.finish(&to)?;
    warn(&created);
    let Created { manifest, runs, incomplete, .. } = &created;
    let mut value = describe(manifest);
    value["file"] = json!(to);
    value["bytes"] = json!(bytes);
    value["runs"] = json!(runs);
    value["incompleteLogs"] = json!(incomplete);
    output.either(&value, || format!("{} has {runs} runs, in {}", to.display(), about(bytes)))?;
    Ok(Exit::Success)
}

async fn write(config: &Config, admin_token: Option<&str>, sink: impl Write) -> Result<Created, Failure> {
    let store = Store::open(&config.database, &config.data_dir).await?;
    let (private, url) = crate::serve::find_redis(config).await?;
    let redis = Redis::open(&url, &config.redis.prefix, config.redis.call_timeout)?;
    let logs = Logs::new(redis, object_store(config)?);
    let mut report = report("backed up");
    let created =
        Box::pin(backup::create(&store, &logs, &config.data_dir, admin_token, sink, &mut report)).await;
    store.close().await;
    if let Some(private) = private {
        private.stop().await;
    }
    Ok(created?)
}

pub(super) fn restore(
    output: Output,
    config: &Config,
    arguments: &RestoreArguments,
) -> Result<Exit, Failure> {
    if is_postgres(config)? {
        return Err(Failure::usage("a backup is restored to SQLite, and DATABASE_URL names PostgreSQL").advise(
            "Restore the database with pg_restore, and the object store by copying it: \"Backup and restore\" in \
             docs/operations.md",
        ));
    }
    for (is_set, name) in
        [(config.database.url.is_some(), "database.url"), (config.objects.store.is_some(), "objects.store")]
    {
        if is_set {
            let message =
                format!("{name} is set, and a backup is restored to the data directory, with all in it");
            return Err(
                Failure::usage(message).advise("Restore without it, then move what is to be elsewhere")
            );
        }
    }
    let source: Box<dyn Read> = if arguments.file.as_os_str() == "-" {
        Box::new(io::stdin())
    } else {
        let file = File::open(&arguments.file);
        Box::new(file.map_err(|error| unreadable(&arguments.file, &error))?)
    };
    let occupied = if arguments.force { Occupied::IsMovedAside } else { Occupied::IsRefused };
    let restored = backup::restore(source, &config.data_dir, occupied, &mut report("restored"))?;
    let mut value = describe(&restored.manifest);
    value["dataDir"] = json!(config.data_dir);
    value["bytes"] = json!(restored.progress.bytes);
    value["movedAside"] = json!(restored.moved_aside);
    output.either(&value, || {
        let mut text = format!(
            "{} is as it was at {}, in {}\nStart it with `slipway serve`: runs that were under way begin again",
            config.data_dir.display(),
            restored.manifest.created_at,
            about(restored.progress.bytes)
        );
        if let Some(aside) = &restored.moved_aside {
            text.push_str(&format!("\nWhat was there before is in {}", aside.display()));
        }
        text
    })?;
    Ok(Exit::Success)
}

fn is_postgres(config: &Config) -> Result<bool, Failure> {
    Ok(Store::engine_of(&config.database, &config.data_dir)? == Engine::Postgres)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{} cannot be read: {error}", path.display()))
}

fn describe(manifest: &Manifest) -> Value {
    json!({ "version": manifest.version, "schema": manifest.schema, "createdAt": manifest.created_at })
}

/// A size in few digits.
fn about(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    let unit = if bytes < MIB { KIB } else { MIB };
    size_text(bytes.div_ceil(unit) * unit)
}

/// Says how far long work has come, now and then.
fn report(done: &'static str) -> impl FnMut(Progress) {
    let mut said_at = Instant::now();
    move |progress| {
        if PROGRESS_INTERVAL <= said_at.elapsed() {
            said_at = Instant::now();
            note(&format!("{done} so far: {} files, {}", progress.members, about(progress.bytes)));
        }
    }
}

fn warn(created: &Created) {
    for run in &created.incomplete {
        note(&format!("slipway: the log of the run {run} lacks lines, here as in the installation"));
    }
}

/// A file that gets its name once it is whole, and goes if it does not become so.
struct Partial {
    path: PathBuf,
    file: File,
}

impl Partial {
    fn create(to: &Path) -> Result<Self, Failure> {
        let mut path = to.as_os_str().to_owned();
        path.push(format!(".{}.partial", std::process::id()));
        let path = PathBuf::from(path);
        let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path);
        let file =
            file.map_err(|error| Failure::failed(format!("{} cannot be written: {error}", path.display())))?;
        Ok(Self { path, file })
    }

    fn finish(self, to: &Path) -> io::Result<u64> {
        self.file.sync_all()?;
        fs::rename(&self.path, to)?;
        Ok(self.file.metadata()?.len())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It is not there any more once it has its name.
        let _ = fs::remove_file(&self.path);
    }
}
