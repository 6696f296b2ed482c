//! The private Redis with a real server.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::AsyncCommands;
use slipway::error::Result;
use slipway::jobs::server::{self, PrivateServer};

/// Long beside anything that happens here, so that only what hangs reaches it.
const DEADLINE: Duration = Duration::from_secs(30);
/// Says to a process of this test program where to hold a server.
const HOLD: &str = "SLIPWAY_TEST_HOLD_REDIS_IN";

fn program() -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/valkey/valkey-server");
    assert!(program.exists(), "{} is missing: run `make setup`", program.display());
    program
}

async fn start(data_dir: &Path) -> PrivateServer {
    let server = launch(data_dir, Some(&program()), "").unwrap();
    server.wait_ready(DEADLINE).await.unwrap();
    server
}

fn launch(data_dir: &Path, program: Option<&Path>, search_path: &str) -> Result<PrivateServer> {
    server::set_helper_program(Path::new(env!("CARGO_BIN_EXE_slipway")));
    PrivateServer::start(data_dir, program, search_path)
}

async fn connect(url: &str) -> Option<redis::aio::MultiplexedConnection> {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.ok()
}

/// The number of the process that answers.
async fn server_pid(url: &str) -> Option<u32> {
    let info: String = redis::cmd("INFO").arg("server").query_async(&mut connect(url).await?).await.ok()?;
    info.lines().find_map(|line| line.strip_prefix("process_id:"))?.trim().parse().ok()
}

/// Asks until the answer is right.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        let mut interval = tokio::time::interval(Duration::from_millis(5));
        while !is_so().await {
            interval.tick().await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect(what);
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Starts a process that holds a server until it is killed; returns when that answers.
fn hold(data_dir: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["private_redis::holds_a_server_where_it_is_told_to", "--exact", "--nocapture"])
        .env(HOLD, data_dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    child.stderr.as_mut().unwrap().read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"ready\n");
    child
}

/// The other half of `hold`: without its variable there is nothing to do.
#[tokio::test]
async fn holds_a_server_where_it_is_told_to() {
    let Some(data_dir) = std::env::var_os(HOLD) else { return };
    let server = start(Path::new(&data_dir)).await;
    std::io::Write::write_all(&mut std::io::stderr(), b"ready\n").unwrap();
    // Until the process that asked for it ends, or kills this one.
    tokio::io::AsyncReadExt::read(&mut tokio::io::stdin(), &mut [0]).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn data_survives_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path()).await;
    let url = server.url().to_owned();
    let () = connect(&url).await.unwrap().set("key", "value").await.unwrap();
    let policy: (String, String) = redis::cmd("CONFIG")
        .arg("GET")
        .arg("maxmemory-policy")
        .query_async(&mut connect(&url).await.unwrap())
        .await
        .unwrap();
    assert_eq!(policy.1, "noeviction");
    let pid = server_pid(&url).await.unwrap();
    server.stop().await;
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(connect(&url).await.is_none());

    let server = start(dir.path()).await;
    let value: String = connect(server.url()).await.unwrap().get("key").await.unwrap();
    assert_eq!(value, "value");
    let mode = std::fs::metadata(server.socket().parent().unwrap()).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&mode) & 0o077, 0, "nobody else gets at the socket");
}

#[tokio::test]
async fn a_server_that_is_killed_is_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path()).await;
    let url = server.url().to_owned();
    let first = server_pid(&url).await.unwrap();
    kill(first);
    until("another server answers", async || server_pid(&url).await.is_some_and(|pid| pid != first)).await;
}

#[tokio::test]
async fn a_server_ends_with_its_parent_even_if_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut parent = hold(dir.path());
    let url =
        format!("redis+unix://{}", dir.path().canonicalize().unwrap().join("redis/redis.sock").display());
    let pid = server_pid(&url).await.unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the server is gone", async || connect(&url).await.is_none()).await;
    until("its process is gone", async || {
        // It has no parent of ours that would reap it: a zombie is as good as gone.
        std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
    })
    .await;
}

#[tokio::test]
async fn processes_share_one_server_and_another_takes_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = hold(dir.path());
    let second = start(dir.path()).await;
    let url = second.url().to_owned();
    let pid = server_pid(&url).await.unwrap();
    assert_eq!(
        std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().split(' ').nth(3),
        Some(first.id().to_string().as_str()),
        "the first one's server serves both"
    );
    let () = connect(&url).await.unwrap().set("key", "value").await.unwrap();

    first.kill().unwrap();
    first.wait().unwrap();
    until("the second has a server of its own", async || {
        server_pid(&url).await.is_some_and(|answering| answering != pid)
    })
    .await;
    // It answers this much while it still reads its file.
    second.wait_ready(DEADLINE).await.unwrap();
    let value: String = connect(&url).await.unwrap().get("key").await.unwrap();
    assert_eq!(value, "value");
}

/// One that only waits in line ends none but its own helper.
#[tokio::test]
async fn who_does_not_have_the_server_does_not_stop_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(dir.path()).await;
    let pid = server_pid(first.url()).await;
    start(dir.path()).await.stop().await;
    assert_eq!(server_pid(first.url()).await, pid);
}

#[tokio::test]
async fn a_directory_too_deep_for_a_socket_has_a_short_one_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d?%ä ".repeat(20));
    let server = start(&deep).await;
    assert!(server.socket().as_os_str().len() < 108);
    assert!(!server.socket().starts_with(dir.path()));
    assert!(server_pid(server.url()).await.is_some());
    let short = server.socket().parent().unwrap().to_owned();
    server.stop().await;
    std::fs::remove_dir_all(short).unwrap();

    let server = start(&dir.path().join("a?b %41ä")).await;
    assert!(server_pid(server.url()).await.is_some(), "{}", server.url());
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let start = |program: Option<&str>, path: &str| launch(dir.path(), program.map(Path::new), path);
    let server = start(Some("/bin/false"), "").unwrap();
    let error = server.wait_ready(Duration::from_millis(500)).await.unwrap_err().chain();
    assert!(error.contains("exit code 1"), "{error}");
    drop(server);

    let error = start(Some("/nothing/here"), "").unwrap_err().chain();
    assert!(error.contains("/nothing/here"), "{error}");
    let error = start(None, "").unwrap_err().chain();
    for word in ["SLIPWAY_REDIS_SERVER", "make setup", "apt install", "REDIS_URL"] {
        assert!(error.contains(word), "{error}");
    }

    let search_path = format!("relative:{}", program().parent().unwrap().display());
    start(None, &search_path).unwrap().wait_ready(DEADLINE).await.unwrap();
}
