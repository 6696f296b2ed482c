//! What is put around the steps of a run.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::app::App;
use crate::config::{Config, StepUser};
use crate::domain::keyring::KeySource;
use crate::domain::step_limits::StepLimits;
use crate::error::{Error, Result};
use crate::executor::fence::{self, Fence, Part, Report, State};
use crate::worker::prepare::RunDir;

/// What of the fence works on this machine, found out once.
fn report(app: &App) -> &Report {
    app.fence.get_or_init(|| {
        probe(&app.config).unwrap_or_else(|error| {
            tracing::warn!(%error, "It could not be found out what steps can be kept from");
            let not = State::Not { why: error.to_string(), advice: String::new() };
            Report { user: not.clone(), mounts: not.clone(), landlock: not.clone(), cgroup: not }
        })
    })
}

/// Tries out what of the fence works on this machine for this user. Blocks.
///
/// # Errors
///
/// The process to try it out on cannot be started.
pub fn probe(config: &Config) -> io::Result<Report> {
    let temporary = PathBuf::from("/tmp");
    let fence = Fence {
        hidden: hidden(config),
        temporary,
        groups: config.executor.cgroup.clone(),
        ..Fence::default()
    };
    let users = (config.executor.user == StepUser::Own).then_some(config.executor.uids);
    fence::probe(&fence, users, &config.executor.leave_out)
}

/// Refuses to work on runs where what the settings require is not in force. Blocks.
///
/// # Errors
///
/// Something of `executor.require` is not in force.
pub fn check(app: &App) -> Result<()> {
    let report = report(app);
    for part in Part::ALL {
        let State::Not { why, advice } = report.state(part) else { continue };
        let name = part.name();
        if app.config.executor.require.contains(&part) {
            return Err(Error::invalid(
                "executor.require",
                format!("{name} is not in force: {why}. {advice}"),
            ));
        }
        tracing::info!(part = name, why, "A part of the fence around steps is not in force");
    }
    Ok(())
}

/// Where steps see their own files only: the run's user, if it has one.
pub fn user_of_run(app: &App, root: &Path) -> io::Result<Option<u32>> {
    report(app).has(Part::User).then(|| app.config.executor.uids.of_run(root)).transpose()
}

/// Around a step of the run. `mirror` is what its workspace borrows from.
pub fn of_step(app: &App, dir: &RunDir, mirror: Option<PathBuf>, limits: StepLimits) -> Fence {
    let open = vec![dir.workspace.clone(), dir.temporary.clone(), dir.home.clone()];
    let fence = around(app, dir.user, open, dir.temporary.clone());
    Fence {
        readable: mirror.into_iter().collect(),
        umask: app.config.executor.umask,
        limits: limits.within(app.config.executor.limits),
        ..fence
    }
}

/// Around a checkout, which is for a user of its own: what it writes to the mirrors no step may change.
pub fn of_checkout(app: &App, dir: &RunDir) -> Fence {
    let open = vec![dir.workspace.clone(), dir.fetch.clone(), mirrors(app), home_of_checkouts(app)];
    let user = dir.user.map(|_| app.config.executor.uids.of_checkouts());
    Fence { umask: 0o022, ..around(app, user, open, dir.fetch.clone()) }
}

fn around(app: &App, user: Option<u32>, mut open: Vec<PathBuf>, temporary: PathBuf) -> Fence {
    open.extend(app.config.executor.writable.iter().cloned());
    let report = report(app);
    Fence {
        user,
        hidden: hidden(&app.config),
        open,
        temporary,
        with_mounts: report.has(Part::Mounts),
        with_landlock: report.has(Part::Landlock),
        groups: if report.has(Part::Cgroup) { app.config.executor.cgroup.clone() } else { Vec::new() },
        ..Fence::default()
    }
}

/// All that is the server's own.
fn hidden(config: &Config) -> Vec<PathBuf> {
    let mut hidden = vec![config.data_dir.clone()];
    hidden.extend(config.executor.hidden.iter().chain(&config.executor.cgroup).cloned());
    hidden.extend(config.http.tls_key.clone());
    if let KeySource::File(Some(file)) = &config.secrets.key {
        hidden.push(file.clone());
    }
    if let Some(store) = &config.objects.store {
        hidden.push(PathBuf::from(store.strip_prefix("file://").unwrap_or(store)));
    }
    let url = config.database.url.as_ref().map(|url| url.reveal().as_str());
    if let Some(file) =
        url.and_then(|url| url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")))
    {
        hidden
            .extend(["", "-wal", "-shm", "-journal"].map(|suffix| PathBuf::from(format!("{file}{suffix}"))));
    }
    hidden
}

pub fn mirrors(app: &App) -> PathBuf {
    app.config.data_dir.join("mirrors")
}

/// HOME of checkouts, where they run as another user than the server: for what git needs to reach repositories.
pub fn home_of_checkouts(app: &App) -> PathBuf {
    app.config.data_dir.join("git")
}

/// Makes the run's directories its user's. Nothing of it may be running. Blocks.
pub fn own_by_run(dir: &RunDir) -> io::Result<()> {
    own([&dir.workspace, &dir.temporary, &dir.home], dir.user)
}

/// Makes what a checkout writes to the checkouts' user's. Nothing of the run may be running. Blocks.
pub fn own_by_checkouts(app: &App, dir: &RunDir) -> io::Result<()> {
    let user = dir.user.map(|_| app.config.executor.uids.of_checkouts());
    own([&home_of_checkouts(app), &dir.fetch, &dir.workspace], user)?;
    // Other checkouts may be using it, so it is made once, and passable for those that borrow from it.
    let mirrors = mirrors(app);
    DirBuilder::new().recursive(true).mode(0o755).create(&mirrors)?;
    user.map_or(Ok(()), |user| fence::own(&mirrors, user))
}

fn own<const N: usize>(dirs: [&PathBuf; N], user: Option<u32>) -> io::Result<()> {
    for dir in dirs {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        fs::set_permissions(dir, Permissions::from_mode(0o700))?;
        if let Some(user) = user {
            fence::own(dir, user)?;
        }
    }
    Ok(())
}
