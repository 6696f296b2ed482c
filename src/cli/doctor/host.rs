//! What this machine gives: the data directory, its file system, programs, limits, the clock.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Resource;

use crate::cli::doctor::{ANSWER_TIMEOUT, Check};
use crate::config::{Config, size_text};
use crate::domain::time::{self, Timestamp};

/// Below the first, writing will soon fail; below the second, it is time to look.
const FREE_BYTES_FAIL: u64 = 128 << 20;
const FREE_BYTES_WARN: u64 = 1 << 30;
const FREE_INODES_FAIL: u64 = 1_000;
const FREE_INODES_WARN: u64 = 20_000;
/// A watcher holds a connection, a running step a few files.
const OPEN_FILES_WARN: u64 = 4_096;
/// Slipway needs one instance, and a watch for each running step; builds have their own.
const INOTIFY_INSTANCES_WARN: u64 = 16;
const INOTIFY_WATCHES_WARN: u64 = 1_024;
/// From this version on, settings can be given in the environment, as checkouts do.
const GIT_MIN: (u32, u32) = (2, 31);
const ADMIN_TOKEN_CHARS_MIN: usize = 16;
/// 2025-01-01: no machine that runs this has an earlier date and is right.
const EARLIEST: Timestamp = Timestamp::from_millis(1_735_689_600_000);
/// How far a file may lie in the future before it says something of the clock.
const CLOCK_SLACK: Duration = Duration::from_secs(60);
/// What in the data directory is its owner's alone.
const PRIVATE_FILES: [&str; 5] =
    ["admin-token", "secrets.key", "slipway.db", "slipway.db-wal", "slipway.db-shm"];

pub(super) fn data_dir(dir: &Path) -> Check {
    const NAME: &str = "data directory";
    let shown = dir.display();
    let metadata = match std::fs::metadata(dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match existing(dir).is_some_and(|parent| is_writable(&parent)) {
                true => Check::ok(NAME, format!("{shown} is made at the first start")),
                false => Check::fail(NAME, format!("{shown} cannot be made"), "Name another with --data-dir"),
            };
        }
        Err(error) => return Check::fail(NAME, format!("{shown}: {error}"), "Name another with --data-dir"),
    };
    if !metadata.is_dir() {
        return Check::fail(NAME, format!("{shown} is no directory"), "Name another with --data-dir");
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        let message = format!("{shown} belongs to user {}, not to {user}", metadata.uid());
        return Check::fail(NAME, message, format!("Run as its owner, or `chown -R {user} {shown}`"));
    }
    if !is_writable(dir) {
        let advice = format!("`chmod u+rwx {shown}`; or the file system is mounted read-only");
        return Check::fail(NAME, format!("{shown} cannot be written to"), advice);
    }
    if metadata.permissions().mode() & 0o022 != 0 {
        let message = format!("{shown} can be written to by others");
        return Check::warn(NAME, message, format!("`chmod go-w {shown}`"));
    }
    Check::ok(NAME, format!("{shown} can be written to"))
}

/// The directory itself, or the nearest above it that exists.
fn existing(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().find(|ancestor| ancestor.is_dir()).map(Path::to_owned)
}

/// Permissions tell only half of it, so a file is made.
fn is_writable(dir: &Path) -> bool {
    let probe = dir.join(format!(".slipway-doctor-{}", std::process::id()));
    let is_made = std::fs::OpenOptions::new().write(true).create_new(true).open(&probe).is_ok();
    is_made && std::fs::remove_file(&probe).is_ok()
}

pub(super) fn free_space(dir: &Path) -> Check {
    const NAME: &str = "free space";
    const ADVICE: &str = "Make room, or keep finished logs elsewhere with SLIPWAY_OBJECT_STORE";
    let Some(dir) = existing(dir) else { return Check::fail(NAME, "no such directory", ADVICE) };
    let free = match rustix::fs::statvfs(&dir) {
        Ok(status) => status.f_bavail.saturating_mul(status.f_frsize),
        Err(error) => return Check::warn(NAME, format!("unknown: {error}"), ADVICE),
    };
    let message = format!("{} left for {}", size_text(free >> 20 << 20), dir.display());
    match free {
        0..FREE_BYTES_FAIL => Check::fail(NAME, message, ADVICE),
        FREE_BYTES_FAIL..FREE_BYTES_WARN => Check::warn(NAME, message, ADVICE),
        _ => Check::ok(NAME, message),
    }
}

pub(super) async fn program(name: &'static str, config: &Config, advice: &str) -> Check {
    let Some(path) = find_program(name, &config.worker.path) else {
        return Check::fail(name, format!("not on the PATH of steps ({})", config.worker.path), advice);
    };
    let arguments: &[&str] = if name == "sh" { &["-c", ":"] } else { &["--version"] };
    let mut command = tokio::process::Command::new(&path);
    command.args(arguments).stdin(std::process::Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(ANSWER_TIMEOUT, command.output()).await {
        Ok(Ok(answer)) if answer.status.success() => {
            let version = String::from_utf8_lossy(&answer.stdout);
            let version = version.lines().next().unwrap_or_default().trim();
            let message = format!("{} {version}", path.display());
            match name == "git" && git_version(version).is_some_and(|version| version < GIT_MIN) {
                true => {
                    Check::fail(name, message, format!("Install git {}.{} or later", GIT_MIN.0, GIT_MIN.1))
                }
                false => Check::ok(name, message.trim_end()),
            }
        }
        _ => Check::fail(name, format!("{} does not run", path.display()), advice),
    }
}

/// Of `git version 2.39.5 (…)`.
fn git_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("git version ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

pub(super) fn find_program(name: &str, path: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    path.split(':').filter(|dir| !dir.is_empty()).map(|dir| Path::new(dir).join(name)).find(is_program)
}

pub(super) fn free_inodes(dir: &Path) -> Check {
    const NAME: &str = "free inodes";
    const ADVICE: &str = "Remove what is not needed: a checkout has a file for each of the repository's";
    let status = existing(dir).and_then(|dir| rustix::fs::statvfs(&dir).ok());
    // Some file systems make inodes as they need them.
    let Some(status) = status.filter(|status| 0 < status.f_files) else {
        return Check::ok(NAME, "not limited");
    };
    let message = format!("{} left", status.f_favail);
    match status.f_favail {
        0..FREE_INODES_FAIL => Check::fail(NAME, message, ADVICE),
        FREE_INODES_FAIL..FREE_INODES_WARN => Check::warn(NAME, message, ADVICE),
        _ => Check::ok(NAME, message),
    }
}

pub(super) fn open_files() -> Check {
    const NAME: &str = "open files";
    match rustix::process::getrlimit(Resource::Nofile).current {
        Some(limit) if limit < OPEN_FILES_WARN => {
            let advice =
                format!("Raise it to {OPEN_FILES_WARN} or more: `ulimit -n`, or LimitNOFILE= of the unit");
            Check::warn(NAME, format!("a process may have {limit}"), advice)
        }
        Some(limit) => Check::ok(NAME, format!("a process may have {limit}")),
        None => Check::ok(NAME, "not limited"),
    }
}

/// Without it output is looked for from time to time, which is slower and costs more.
pub(super) fn inotify() -> Check {
    const NAME: &str = "inotify";
    let limit = |name: &str| -> Option<u64> {
        std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok()
    };
    let (Some(instances), Some(watches)) = (limit("max_user_instances"), limit("max_user_watches")) else {
        return Check::ok(NAME, "its limits cannot be read");
    };
    let message = format!("{instances} instances and {watches} watches for a user");
    if instances < INOTIFY_INSTANCES_WARN || watches < INOTIFY_WATCHES_WARN {
        let advice =
            "Raise them: `sysctl fs.inotify.max_user_instances=128 fs.inotify.max_user_watches=65536`";
        return Check::warn(NAME, message, advice);
    }
    Check::ok(NAME, message)
}

/// What systemd does to steps when the service is restarted, where there is such a service.
pub(super) async fn service() -> Option<Check> {
    const NAME: &str = "systemd";
    if !Path::new("/run/systemd/system").is_dir() {
        return None;
    }
    let mut command = tokio::process::Command::new("systemctl");
    command.args(["show", "slipway.service", "--property=LoadState,KillMode"]);
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, command.output()).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    if !text.lines().any(|line| line == "LoadState=loaded") {
        return None;
    }
    let mode = text.lines().find_map(|line| line.strip_prefix("KillMode="))?;
    Some(match mode {
        "process" => Check::ok(NAME, "a restart of slipway.service leaves steps alone"),
        _ => Check::fail(
            NAME,
            format!("a restart of slipway.service kills all running steps (KillMode={mode})"),
            "Set KillMode=process in its unit, then `systemctl daemon-reload`",
        ),
    })
}

/// Files that others can read or write, but should not.
fn open_to_others(dir: &Path) -> Vec<PathBuf> {
    let is_open = |path: &PathBuf| {
        std::fs::symlink_metadata(path)
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o077 != 0)
    };
    PRIVATE_FILES.iter().map(|name| dir.join(name)).filter(is_open).collect()
}

pub(super) fn file_modes(dir: &Path) -> Check {
    const NAME: &str = "file modes";
    let open = open_to_others(dir);
    if open.is_empty() {
        return Check::ok(NAME, "what is private can be read by its owner alone");
    }
    let names: Vec<String> = open.iter().map(|path| path.display().to_string()).collect();
    let message = format!("others can read or write {}", names.join(", "));
    Check::warn(NAME, message, format!("`slipway doctor --repair`, or `chmod 600 {}`", names.join(" ")))
}

/// Takes from others what they should not have of the data directory. What was done, and what could not be.
pub(super) fn repair_modes(dir: &Path) -> Vec<String> {
    let mut wrong: Vec<(PathBuf, u32)> = open_to_others(dir).into_iter().map(|path| (path, 0o600)).collect();
    if std::fs::metadata(dir).is_ok_and(|dir| dir.is_dir() && dir.permissions().mode() & 0o022 != 0) {
        wrong.push((dir.to_owned(), 0o700));
    }
    let set = |(path, mode): (PathBuf, u32)| {
        let shown = path.display();
        match std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)) {
            Ok(()) => format!("{shown} has mode {mode:o}"),
            Err(error) => format!("{shown} keeps its mode: {error}"),
        }
    };
    wrong.into_iter().map(set).collect()
}

pub(super) fn admin_token(config: &Config) -> Check {
    const NAME: &str = "admin token";
    match &config.auth.admin_token {
        Some(token) if token.reveal().len() < ADMIN_TOKEN_CHARS_MIN => {
            let message = format!("shorter than {ADMIN_TOKEN_CHARS_MIN} characters, so it can be guessed");
            Check::warn(NAME, message, "Set a longer SLIPWAY_ADMIN_TOKEN, or none: one is made then")
        }
        Some(_) => Check::ok(NAME, "is set"),
        None => admin_token_file(&config.data_dir.join("admin-token")),
    }
}

fn admin_token_file(file: &Path) -> Check {
    const NAME: &str = "admin token";
    match std::fs::metadata(file) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            let message = format!("{} can be read by others", file.display());
            Check::warn(NAME, message, format!("`chmod 600 {}`", file.display()))
        }
        Ok(_) => Check::ok(NAME, format!("is in {}", file.display())),
        Err(_) => Check::ok(NAME, "is made at the first start"),
    }
}

pub(super) fn clock(dir: &Path) -> Check {
    const NAME: &str = "clock";
    const ADVICE: &str = "Set the clock, and let it be kept by NTP";
    let now = time::now();
    if now < EARLIEST {
        return Check::fail(NAME, format!("it says {now}"), ADVICE);
    }
    let modified =
        std::fs::metadata(dir).ok().map(|metadata| Timestamp::from_millis(metadata.mtime() * 1000));
    match modified {
        Some(modified) if now.plus(CLOCK_SLACK) < modified => {
            let message = format!("it says {now}, but the data directory was written to at {modified}");
            Check::warn(NAME, message, ADVICE)
        }
        _ => Check::ok(NAME, now.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_git_is_compared_by_its_numbers() {
        assert_eq!(git_version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(git_version("git version 2.9"), Some((2, 9)));
        assert!((2, 9) < GIT_MIN && GIT_MIN <= (2, 39));
        assert_eq!(git_version("gut"), None);
    }
}
