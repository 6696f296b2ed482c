//! Before the first step: the workspace, with the repository at the branch's commit, and the definition.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::run::RunRecord;
use crate::executor::checkout::{self, CheckoutSpec};
use crate::executor::{self, StepSpec};
use crate::worker::{environment, fence};

/// The name of a definition in a repository.
pub const DEFINITION_FILE: &str = ".slipway.yml";
/// A definition is not read beyond this; `pipeline::parse` says that it is too long.
const DEFINITION_BYTES_MAX: u64 = 512 * 1024;

/// The places of a run on this host.
#[derive(Debug, Clone)]
pub struct RunDir {
    pub root: PathBuf,
    pub workspace: PathBuf,
    pub temporary: PathBuf,
    /// HOME of steps, where they are another user than the server.
    pub home: PathBuf,
    /// Of checkouts: their temporary files and what they have found.
    pub fetch: PathBuf,
    /// Whom steps run as; none: the server's user.
    pub user: Option<u32>,
}

/// What the workspace holds. Written once it is whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ready {
    /// The run's attempt that made it.
    pub attempt: u32,
    pub commit: Option<String>,
    pub branch: Option<String>,
}

impl RunDir {
    pub fn of(app: &App, record: &RunRecord) -> io::Result<Self> {
        let root = app.run_dir(&record.run.id);
        fs::create_dir_all(&root)?;
        let user = fence::user_of_run(app, &root)?;
        let of = |name: &str| root.join(name);
        Ok(Self {
            workspace: of("workspace"),
            temporary: of("tmp"),
            home: of("home"),
            fetch: of("fetch"),
            user,
            root,
        })
    }

    pub fn step(&self, index: usize, attempt: u32) -> String {
        format!("steps/{index}-{attempt}")
    }

    /// What the workspace holds, if it serves the run as it stands.
    pub fn ready(&self, record: &RunRecord) -> Option<Ready> {
        let text = fs::read(self.root.join("ready")).ok()?;
        let ready: Ready = serde_json::from_slice(&text).ok()?;
        let is_stale = record.restart && ready.attempt != record.run.attempt;
        (!is_stale && self.workspace.is_dir()).then_some(ready)
    }

    pub fn set_ready(&self, ready: &Ready) -> io::Result<()> {
        let draft = self.root.join("ready.draft");
        fs::write(&draft, serde_json::to_vec(ready)?)?;
        fs::rename(draft, self.root.join("ready"))
    }

    /// Makes an empty workspace, in place of any that is there.
    pub fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.workspace) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(&self.workspace)
    }

    /// The checkout of the run's attempt: the latest that was started, or the first that will be.
    pub fn checkout(&self, attempt: u32) -> (String, u32) {
        let name = |number: u32| format!("checkout-{attempt}-{number}");
        let latest = (1..).take_while(|number| self.root.join(name(*number)).is_dir()).last().unwrap_or(1);
        (name(latest), latest)
    }

    pub fn checkout_after(&self, attempt: u32, number: u32) -> (String, u32) {
        (format!("checkout-{attempt}-{}", number + 1), number + 1)
    }

    /// The definition that the repository holds, or why there is none.
    pub fn definition(&self) -> Result<String, String> {
        let path = self.workspace.join(DEFINITION_FILE);
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => {
                format!(
                    "the repository has no {DEFINITION_FILE} at this commit, and the pipeline no definition"
                )
            }
            _ => format!("{DEFINITION_FILE} cannot be read: {error}"),
        };
        // A link could point anywhere on this machine.
        let metadata = fs::symlink_metadata(&path).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(format!("{DEFINITION_FILE} is not a file"));
        }
        if DEFINITION_BYTES_MAX < metadata.len() {
            return Err(format!("{DEFINITION_FILE} is larger than {DEFINITION_BYTES_MAX} bytes"));
        }
        let bytes = fs::read(&path).map_err(unreadable)?;
        String::from_utf8(bytes).map_err(|_| format!("{DEFINITION_FILE} is not UTF-8"))
    }
}

/// The step that checks out, for the executor: as any other it can be canceled, timed out and taken back.
pub fn checkout_step(app: &App, record: &RunRecord, dir: &RunDir, name: &str, repository: &str) -> StepSpec {
    let worker = &app.config.worker;
    let spec = CheckoutSpec {
        repository: repository.to_owned(),
        branch: record.run.branch.clone(),
        commit: record.run.commit.clone(),
        mirror_dir: fence::mirrors(app),
        workspace: dir.workspace.clone(),
        result_file: dir.fetch.join(format!("{name}.result")),
    };
    let home = dir.user.map(|_| fence::home_of_checkouts(app));
    let mut env = environment::base(worker, &dir.fetch, home.as_deref());
    env.extend(checkout::env(&spec));
    StepSpec {
        dir: dir.root.join(name),
        workspace: dir.fetch.clone(),
        script: checkout::script().to_owned(),
        env: env.into_iter().collect(),
        secrets: Vec::new(),
        files: Vec::new(),
        timeout: Some(worker.checkout_timeout),
        grace: worker.grace,
        log_bytes_max: app.config.logs.run_bytes_max,
        line_bytes_max: app.config.logs.line_bytes_max,
        backlog_bytes_max: app.config.logs.backlog_bytes_max,
        tty: false,
        fence: Some(fence::of_checkout(app, dir)),
    }
}

/// What a workspace of the repository borrows from.
pub fn mirror(app: &App, repository: &str) -> PathBuf {
    checkout::mirror(&fence::mirrors(app), repository)
}

/// What the checkout of that name found.
pub fn checkout_result(dir: &RunDir, name: &str, attempt: u32) -> Result<Ready, String> {
    let found = checkout::read_result(&dir.fetch.join(format!("{name}.result")))
        .map_err(|error| format!("the checkout left no result: {error}"))?;
    Ok(Ready { attempt, commit: Some(found.commit), branch: Some(found.branch) })
}

/// Whether a checkout of that name was started already.
pub fn is_started(dir: &RunDir, name: &str) -> bool {
    executor::presence(&dir.root.join(name)) == executor::Presence::Started
}
