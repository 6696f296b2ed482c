//! Backups of an installation on disk, and files that are none.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use slipway::backup::{Occupied, Restored, restore};
use slipway::domain::ids::RunId;
use slipway::domain::run::RunStatus;
use slipway::error::{Error, Result};
use slipway::store::runs::{self, RunChange};
use slipway::store::{Engine, Store, pipelines};
use tempfile::TempDir;
use tokio::process::Command;

use crate::store::factory::{added_pipeline, added_run, moved};
use crate::support::database::TestDatabase;

/// Larger than what a test lets a process write.
const SEGMENT_BYTES: usize = 384 << 10;

/// An installation with one run that has ended, and a backup of it.
struct Backup {
    database: TestDatabase,
    run: RunId,
    bytes: Vec<u8>,
}

impl Backup {
    async fn take() -> Self {
        let database = TestDatabase::create(Engine::Sqlite).await;
        let store = database.connect().await;
        let pipeline = added_pipeline(&store, "build").await;
        let run = added_run(&store, &pipeline.id).await.id;
        moved(&store, &run, RunStatus::Succeeded).await;
        let change = RunChange { lines: Some(5), archived: Some(true), ..RunChange::of(run.clone()) };
        runs::change(&store, change).await.unwrap().unwrap();
        store.close().await;
        // Whoever copies it does not look into it. Bytes that cannot be compressed, so that each of them counts.
        let mut state = 1_u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let segment = database.data_dir().join(segment(&run, 1, 5));
        fs::create_dir_all(segment.parent().unwrap()).unwrap();
        fs::write(&segment, noise.take(SEGMENT_BYTES).collect::<Vec<_>>()).unwrap();
        // Of an attempt that the database does not know.
        fs::write(segment.with_file_name("0000000000000006-0000000000000009.ndjson.zst"), "later").unwrap();
        fs::write(database.data_dir().join("admin-token"), "slw_secret\n").unwrap();
        let mut backup = Self { database, run, bytes: Vec::new() };
        backup.bytes = backup.written(&[]).await;
        backup
    }

    /// What `slipway backup --to -` writes.
    async fn written(&self, arguments: &[&str]) -> Vec<u8> {
        let arguments = [&["backup", "--to", "-"], arguments].concat();
        let Output { status, stdout, stderr } = command(self.database.data_dir(), &arguments).await;
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        stdout
    }
}

async fn command(data_dir: &Path, arguments: &[&str]) -> Output {
    slipway(Command::new(env!("CARGO_BIN_EXE_slipway")).args(arguments), data_dir).output().await.unwrap()
}

fn slipway<'a>(command: &'a mut Command, data_dir: &Path) -> &'a mut Command {
    let valkey = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/valkey/valkey-server");
    assert!(valkey.exists(), "{} is missing: run `make setup`", valkey.display());
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("SLIPWAY_DATA_DIR", data_dir)
        .env("SLIPWAY_REDIS_SERVER", valkey)
        .stdin(Stdio::null())
        .kill_on_drop(true)
}

fn segment(run: &RunId, first_n: u64, last_n: u64) -> String {
    format!("objects/logs/{run}/{first_n:016}-{last_n:016}.ndjson.zst")
}

fn restored(bytes: &[u8], data_dir: &Path) -> Result<Restored> {
    restore(bytes, data_dir, Occupied::IsRefused, &mut |_| {})
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A backup that holds what it is told to.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(zstd::Encoder::new(Vec::new(), 1).unwrap());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        // As it is: the library itself refuses to write some of the names.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn manifest(schema: &str) -> Vec<u8> {
    serde_json::to_vec(&serde_json::json!({
        "format": 1, "version": "9.9.9", "schema": schema, "createdAt": "2026-11-25T00:00:00.000Z",
    }))
    .unwrap()
}

#[tokio::test]
async fn a_backup_is_restored_with_the_database_and_the_logs_that_belong_to_it() {
    let backup = Backup::take().await;
    let place = TempDir::new().unwrap();
    let data_dir = place.path().join("data");
    let told = restored(&backup.bytes, &data_dir).unwrap();
    assert_eq!(told.moved_aside, None);
    assert_eq!(names(&data_dir), ["objects", "slipway.db"]);
    let first = segment(&backup.run, 1, 5);
    assert_eq!(
        fs::read(data_dir.join(&first)).unwrap(),
        fs::read(backup.database.data_dir().join(&first)).unwrap()
    );
    assert_eq!(names(data_dir.join(&first).parent().unwrap()).len(), 1);
    let config = slipway::config::DatabaseConfig { url: None, ..backup.database.config() };
    let store = Store::connect(&config, &data_dir).await.unwrap();
    assert!(pipelines::find(&store, "build").await.unwrap().is_some());
    assert_eq!(runs::find_run(&store, &backup.run).await.unwrap().unwrap().status, RunStatus::Succeeded);
    store.close().await;
    assert!(!names(backup.database.data_dir()).contains(&"backup.draft".to_owned()), "the copy is removed");

    let with_token = backup.written(&["--with-admin-token"]).await;
    restored(&with_token, &place.path().join("other")).unwrap();
    assert_eq!(fs::read_to_string(place.path().join("other/admin-token")).unwrap(), "slw_secret\n");
}

#[tokio::test]
async fn a_backup_that_is_cut_off_or_changed_anywhere_is_refused_and_leaves_nothing() {
    let Backup { bytes, .. } = Backup::take().await;
    let place = TempDir::new().unwrap();
    let data_dir = place.path().join("data");
    let is_refused = |bytes: &[u8], what: &str| {
        let refused = restored(bytes, &data_dir).map(drop);
        assert!(
            matches!(&refused, Err(Error::Invalid { field, .. }) if field == "FILE"),
            "{what}: {refused:?}"
        );
        assert_eq!(names(place.path()), [""; 0], "{what}");
    };
    let steps = bytes.len() / 61;
    for length in (0..bytes.len()).step_by(steps).chain([bytes.len() - 1]) {
        is_refused(&bytes[..length], &format!("cut off at {length} of {}", bytes.len()));
    }
    for at in (0..bytes.len()).step_by(steps) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        is_refused(&changed, &format!("changed at {at} of {}", bytes.len()));
    }
    is_refused(b"", "an empty file");
    is_refused(b"SQLite format 3\0", "another file");
    restored(&bytes, &data_dir).unwrap();
}

#[test]
fn what_no_backup_holds_is_refused_wherever_it_points() {
    let place = TempDir::new().unwrap();
    let data_dir = place.path().join("data");
    let schema = manifest("m0001_pipelines");
    let whole: [(&str, &[u8]); 2] = [("manifest.json", &schema), ("slipway.db", b"")];
    for name in ["../escaped", "/tmp/escaped", "slipway.toml", "objects/../../escaped", "objects/logs/a/b"] {
        let refused = restored(&archive(&[whole[0], whole[1], (name, b"x")]), &data_dir).unwrap_err();
        assert!(refused.to_string().contains(name), "{refused}");
    }
    let forged = [whole[0], whole[1], ("SHA256SUMS", b"0  slipway.db\n" as &[u8])];
    assert!(restored(&archive(&forged), &data_dir).unwrap_err().to_string().contains("damaged"));
    assert!(restored(&archive(&[("photo.jpg", b"x")]), &data_dir).is_err());
    let newer = manifest("m9999_later");
    let refused = restored(&archive(&[("manifest.json", &newer)]), &data_dir).unwrap_err();
    assert!(matches!(refused, Error::Conflict(_)));
    for word in ["m9999_later", "9.9.9"] {
        assert!(refused.to_string().contains(word), "{refused}");
    }
    assert_eq!(names(place.path()), [""; 0]);
}

#[tokio::test]
async fn a_data_directory_that_holds_something_is_kept() {
    let backup = Backup::take().await;
    let place = TempDir::new().unwrap();
    let data_dir = place.path().join("data");
    fs::create_dir(&data_dir).unwrap();
    fs::write(data_dir.join("slipway.toml"), "").unwrap();
    restored(&backup.bytes, &data_dir).unwrap();
    assert_eq!(names(&data_dir), ["objects", "slipway.db", "slipway.toml"], "settings are no installation");
    for name in names(place.path()).iter().filter(|name| *name != "data") {
        fs::remove_dir_all(place.path().join(name)).unwrap();
    }

    fs::write(data_dir.join("mine"), "").unwrap();
    let refused = restored(&backup.bytes, &data_dir).unwrap_err();
    assert!(matches!(&refused, Error::Conflict(text) if text.contains("--force")), "{refused:?}");
    let file = place.path().join("file");
    fs::write(&file, &backup.bytes).unwrap();
    let file = file.to_str().unwrap();
    // Somebody works there.
    fs::create_dir(data_dir.join("workers")).unwrap();
    let lock = fs::File::create(data_dir.join("workers/one")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let told = command(&data_dir, &["restore", file, "--force"]).await;
    assert_eq!(told.status.code(), Some(1));
    assert!(String::from_utf8(told.stderr).unwrap().contains("in use by a worker"));
    assert!(data_dir.join("mine").exists());
    drop(lock);

    let told = command(&data_dir, &["restore", file, "--force", "--json"]).await;
    assert_eq!(told.status.code(), Some(0), "{}", String::from_utf8_lossy(&told.stderr));
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert!(Path::new(told["movedAside"].as_str().unwrap()).join("mine").exists());
    assert_eq!(names(&data_dir), ["objects", "slipway.db", "slipway.toml"]);
}

/// A limit on the size of files (256 KiB) fails as a full disk does: amid a write.
#[tokio::test]
async fn a_disk_that_is_full_leaves_nothing_half_done() {
    let backup = Backup::take().await;
    let place = TempDir::new().unwrap();
    let file = place.path().join("file");
    fs::File::create(&file).unwrap().write_all(&backup.bytes).unwrap();
    let data_dir = place.path().join("data");
    let script = "trap '' XFSZ; ulimit -f 512; exec \"$0\" \"$@\"";
    let limited = async |arguments: &[&str], data_dir: &Path| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_slipway")]).args(arguments);
        slipway(&mut command, data_dir).output().await.unwrap()
    };
    let told = limited(&["restore", file.to_str().unwrap()], &data_dir).await;
    assert_eq!(told.status.code(), Some(1));
    let words = String::from_utf8(told.stderr).unwrap();
    assert!(words.contains("writing what a backup holds"), "{words}");
    assert_eq!(names(place.path()), ["file"]);

    let out = place.path().join("out");
    let told = limited(&["backup", "--to", out.to_str().unwrap()], backup.database.data_dir()).await;
    assert_eq!(told.status.code(), Some(1), "{}", String::from_utf8_lossy(&told.stderr));
    assert_eq!(names(place.path()), ["file"]);
}

#[tokio::test]
async fn a_directory_without_an_installation_is_not_made_one() {
    let place = TempDir::new().unwrap();
    let told = command(place.path(), &["backup"]).await;
    assert_eq!(told.status.code(), Some(1));
    assert!(String::from_utf8(told.stderr).unwrap().contains("holds no installation"));
    assert_eq!(names(place.path()), [""; 0]);
}
