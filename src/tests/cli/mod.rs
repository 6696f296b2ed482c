//! The command line, as a script sees it: what it prints, where, and how it exits. The server is a small one
//! that answers what a test tells it to, since only the commands are in question here.

mod commands;
mod exec;
mod follow;
mod server;

use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A run of the program, with nothing in its environment but what the test gives it.
pub(crate) struct Slipway {
    command: Command,
    _dir: tempfile::TempDir,
}

pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Told {
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }

    /// Each line of stdout as JSON.
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

impl From<Output> for Told {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

pub(crate) fn slipway(arguments: &[&str]) -> Slipway {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("SLIPWAY_DATA_DIR", dir.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Slipway { command, _dir: dir }
}

impl Slipway {
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) async fn told(mut self) -> Told {
        self.command.output().await.unwrap().into()
    }

    pub(crate) async fn told_with_input(mut self, input: &str) -> Told {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        child.wait_with_output().await.unwrap().into()
    }
}
