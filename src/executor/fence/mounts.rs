//! A mount namespace in which the server's files are covered and `/tmp` is the step's own.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::sched::CloneFlags;
use rustix::fs::{CWD, StatVfsMountFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_bind, mount_change,
    mount_remount, move_mount, open_tree,
};
use rustix::process::{getegid, geteuid};

use super::Fence;

/// Where everybody may write.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];
const SHARED_MEMORY: &str = "/dev/shm";
/// What covers a directory holds nothing but ways to what is shown again.
const COVER: &std::ffi::CStr = c"mode=0755,size=1m,nr_inodes=4k";

/// What happens at a path. What is higher up comes first, since it covers what is below.
enum Change {
    Cover,
    Show { tree: OwnedFd, is_file: bool, is_read_only: bool },
}

/// Enters a namespace of mounts, of its own users too where this process is not privileged.
pub(super) fn enter(fence: &Fence, script: Option<&Path>) -> Result<(), String> {
    let said = |doing: &str| {
        let doing = doing.to_owned();
        move |error: io::Error| format!("{doing}: {error}")
    };
    unshare().map_err(said("making a mount namespace"))?;
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .map_err(|error| said("keeping mounts private")(error.into()))?;
    for (path, change) in changes(fence, script)? {
        apply(&path, change).map_err(said(&path.display().to_string()))?;
    }
    if Path::new(SHARED_MEMORY).is_dir() {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", SHARED_MEMORY, "tmpfs", flags, c"mode=1777")
            .map_err(|error| said(SHARED_MEMORY)(error.into()))?;
    }
    Ok(())
}

fn unshare() -> io::Result<()> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    if geteuid().is_root() {
        return Ok(nix::sched::unshare(CloneFlags::CLONE_NEWNS)?);
    }
    nix::sched::unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    // Only who gives up changing groups may say who is who.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

/// What is to be done, in the order in which it is to be done. What is shown is taken hold of before it is covered.
fn changes(fence: &Fence, script: Option<&Path>) -> Result<Vec<(PathBuf, Change)>, String> {
    let shown: Vec<(&Path, bool)> = (fence.open.iter().map(|path| (path.as_path(), false)))
        .chain(fence.readable.iter().map(PathBuf::as_path).chain(script).map(|path| (path, true)))
        .filter(|(path, _)| path.exists())
        .collect();
    let mut covered: Vec<PathBuf> = fence.hidden.iter().filter(|path| path.exists()).cloned().collect();
    if fence.user.is_some() {
        covered.extend(shown.iter().filter_map(|(path, _)| closed_above(path)));
    }
    let mut changes = Vec::new();
    for path in TEMPORARY.map(Path::new).into_iter().filter(|path| path.is_dir()) {
        changes.push((path.to_owned(), show(&fence.temporary, false)?));
    }
    let is_below = |path: &Path| {
        let covers = covered.iter().map(PathBuf::as_path).chain(TEMPORARY.map(Path::new));
        covers.into_iter().any(|cover| path.starts_with(cover))
    };
    for (path, is_read_only) in &shown {
        if is_below(path) {
            changes.push(((*path).to_owned(), show(path, *is_read_only)?));
        }
    }
    changes.extend(covered.into_iter().map(|path| (path, Change::Cover)));
    // Stable: at the same path what is covered first would hide what is shown.
    changes.sort_by_key(|(path, change)| (path.components().count(), matches!(change, Change::Show { .. })));
    Ok(changes)
}

/// The highest directory above a path that a stranger cannot pass.
fn closed_above(path: &Path) -> Option<PathBuf> {
    let above: Vec<&Path> = path.ancestors().skip(1).collect();
    let is_closed =
        |dir: &&Path| fs::metadata(dir).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 == 0);
    above.into_iter().rev().find(is_closed).map(Path::to_owned)
}

fn show(path: &Path, is_read_only: bool) -> Result<Change, String> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, path, flags).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Change::Show { tree, is_file: path.is_file(), is_read_only })
}

fn apply(path: &Path, change: Change) -> io::Result<()> {
    match change {
        // Something above it is covered already, and it with that.
        Change::Cover if !path.exists() => Ok(()),
        Change::Cover if path.is_dir() => {
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            Ok(mount("tmpfs", path, "tmpfs", flags, COVER)?)
        }
        Change::Cover => Ok(mount_bind("/dev/null", path)?),
        Change::Show { tree, is_file, is_read_only } => {
            if is_file && let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
                if !path.exists() {
                    File::create(path)?;
                }
            } else {
                fs::create_dir_all(path)?;
            }
            move_mount(tree, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
            if is_read_only { make_read_only(path) } else { Ok(()) }
        }
    }
}

/// Who does not own a mount may add to what it forbids, but not take away.
fn make_read_only(path: &Path) -> io::Result<()> {
    let forbids = rustix::fs::statvfs(path)?.f_flag;
    let mut flags = MountFlags::BIND | MountFlags::RDONLY;
    for (forbidden, flag) in [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ] {
        if forbids.contains(forbidden) {
            flags |= flag;
        }
    }
    Ok(mount_remount(path, flags, "")?)
}
