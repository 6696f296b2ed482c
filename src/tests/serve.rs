//! Servers that follow one another at one socket: real processes, and clients that connect all the while.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// Long beside anything that happens here, so that only what hangs reaches it.
const DEADLINE: Duration = Duration::from_secs(60);

struct Server {
    child: Child,
    /// Kept open: a server that cannot print is none that people have.
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Returns once it says that it listens.
    async fn started(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        tokio::time::timeout(DEADLINE, stdout.read_line(&mut line)).await.unwrap().unwrap();
        assert!(line.contains("is listening on"), "{line}");
        Self { child, _stdout: stdout }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().unwrap() as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }

    async fn exit_code(&mut self) -> Option<i32> {
        tokio::time::timeout(DEADLINE, self.child.wait()).await.unwrap().unwrap().code()
    }
}

fn command(program: &str, data_dir: &Path, address: SocketAddr) -> Command {
    let valkey = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/valkey/valkey-server");
    assert!(valkey.exists(), "{} is missing: run `make setup`", valkey.display());
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("SLIPWAY_DATA_DIR", data_dir)
        .env("SLIPWAY_LISTEN", address.to_string())
        .env("SLIPWAY_REDIS_SERVER", valkey)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

fn serve(data_dir: &Path, address: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = command(env!("CARGO_BIN_EXE_slipway"), data_dir, address);
    command.arg("serve").args(arguments);
    command
}

/// As a service manager starts it: with the socket as its third descriptor.
fn serve_at(listener: &TcpListener, data_dir: &Path) -> Command {
    let mut command = command("/bin/sh", data_dir, "127.0.0.1:1".parse().unwrap());
    let script = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" serve";
    command.args(["-c", script, env!("CARGO_BIN_EXE_slipway")]);
    command.stdin(OwnedFd::from(listener.try_clone().unwrap()));
    command
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn ask(address: SocketAddr) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
    Ok(stream)
}

fn answer(mut stream: TcpStream) -> std::io::Result<String> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

const OK: &str = "HTTP/1.1 200 OK";

/// The processes that have the socket open.
fn owners(listener: &TcpListener) -> BTreeSet<u32> {
    let socket = fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
    let mut owners = BTreeSet::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while it is looked at.
        for descriptor in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            if fs::read_link(descriptor.path()).is_ok_and(|target| target == socket) {
                owners.insert(pid);
            }
        }
    }
    owners
}

#[tokio::test(flavor = "multi_thread")]
async fn who_connects_between_two_servers_at_a_passed_socket_is_answered_by_the_second() {
    let dir = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut first = Server::started(&mut serve_at(&listener, dir.path())).await;
    assert_eq!(answer(ask(address).unwrap()).unwrap(), OK);
    let owners = owners(&listener);
    assert!(owners.contains(&first.child.id().unwrap()));
    assert_eq!(owners.len(), 2, "only this process and the server have it: {owners:?}");
    first.signal(Signal::TERM);
    assert_eq!(first.exit_code().await, Some(0));

    let waiting = ask(address).unwrap();
    let mut second = Server::started(&mut serve_at(&listener, dir.path())).await;
    assert_eq!(answer(waiting).unwrap(), OK);
    second.signal(Signal::TERM);
    assert_eq!(second.exit_code().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_replaced_drains_and_no_connection_is_refused_or_cut() {
    let dir = TempDir::new().unwrap();
    let address = free_address();
    let mut server = Server::started(&mut serve(dir.path(), address, &[])).await;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut answers = 0;
                    while !done.load(Ordering::Relaxed) {
                        assert_eq!(ask(address).and_then(answer).unwrap(), OK);
                        answers += 1;
                    }
                    answers
                })
            })
            .collect();
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for _ in 0..3 {
                    let next = Server::started(&mut serve(dir.path(), address, &["--replace"])).await;
                    assert_eq!(server.exit_code().await, Some(0));
                    server = next;
                }
            });
        });
        done.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().unwrap() > 0);
        }
    });
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code().await, Some(0));
    let left = fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("serve-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_second_server_is_refused_unless_it_is_to_replace_the_first() {
    let dir = TempDir::new().unwrap();
    let address = free_address();
    let mut first = Server::started(&mut serve(dir.path(), address, &[])).await;
    let refused = serve(dir.path(), address, &[]).output().await.unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("http.listen") && told.contains("--replace"), "{told}");
    assert_eq!(answer(ask(address).unwrap()).unwrap(), OK);

    // What a killed server leaves behind does not stand in the way.
    first.signal(Signal::KILL);
    first.exit_code().await;
    let mut second = Server::started(&mut serve(dir.path(), address, &["--replace"])).await;
    assert_eq!(answer(ask(address).unwrap()).unwrap(), OK);
    second.signal(Signal::TERM);
    assert_eq!(second.exit_code().await, Some(0));
}
