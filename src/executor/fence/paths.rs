//! Landlock: what a step may reach of the file system, and of processes that are not its own.

use std::collections::HashMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::fs::{FileType, Mode, OFlags};

use super::Fence;

/// The latest rules that are known here; an older kernel is asked for what it has.
const RULES: ABI = ABI::V6;
/// A directory beside what is hidden with more entries than this is not opened entry by entry.
const ENTRIES_MAX: usize = 16_384;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Enforced {
    Wholly,
    /// The kernel has only some of the rules.
    Partly,
    Not,
}

/// Restricts this process and all that it starts, for ever: no signal to and no abstract socket of a process outside;
/// with `with_files` also nothing of what the fence hides. Landlock only knows what is allowed, so everything beside
/// the way to what is hidden is.
pub(super) fn restrict(fence: &Fence, with_files: bool, script: Option<&Path>) -> Result<Enforced, String> {
    restricted(fence, with_files, script).map_err(|error| error.to_string())
}

fn restricted(
    fence: &Fence,
    with_files: bool,
    script: Option<&Path>,
) -> Result<Enforced, landlock::RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?;
    if with_files {
        ruleset = ruleset.handle_access(AccessFs::from_all(RULES))?;
    }
    let mut ruleset = ruleset.create()?;
    if with_files {
        let hidden: Vec<PathBuf> = fence.hidden.iter().filter_map(|path| path.canonicalize().ok()).collect();
        ruleset = allow_beside(ruleset, Path::new("/"), &hidden)?;
        for path in fence.open.iter().chain([&fence.temporary]) {
            ruleset = allow(ruleset, path, AccessFs::from_all(RULES))?;
        }
        for path in fence.readable.iter().map(PathBuf::as_path).chain(script) {
            ruleset = allow(ruleset, path, AccessFs::from_read(RULES))?;
        }
    }
    let status = ruleset.restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Enforced::Wholly,
        RulesetStatus::PartiallyEnforced => Enforced::Partly,
        RulesetStatus::NotEnforced => Enforced::Not,
    })
}

/// Allows all that is in a directory but what is hidden, and what leads there.
fn allow_beside(
    mut ruleset: RulesetCreated,
    dir: &Path,
    hidden: &[PathBuf],
) -> Result<RulesetCreated, landlock::RulesetError> {
    let mut ways: HashMap<PathBuf, bool> = HashMap::new();
    for path in hidden {
        if let Ok(rest) = path.strip_prefix(dir)
            && let Some(first) = rest.components().next()
        {
            let is_hidden = rest.components().count() == 1;
            *ways.entry(dir.join(first)).or_default() |= is_hidden;
        }
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten().take(ENTRIES_MAX) {
        let path = entry.path();
        ruleset = match ways.get(&path) {
            Some(true) => ruleset,
            Some(false) => allow_beside(ruleset, &path, hidden)?,
            None => allow(ruleset, &path, AccessFs::from_all(RULES))?,
        };
    }
    Ok(ruleset)
}

/// What cannot be opened is not allowed. A link allows nothing: what it points to has a path of its own.
fn allow(
    ruleset: RulesetCreated,
    path: &Path,
    access: landlock::BitFlags<AccessFs>,
) -> Result<RulesetCreated, landlock::RulesetError> {
    match open(path) {
        Some((fd, true)) => ruleset.add_rule(PathBeneath::new(fd, access)),
        Some((fd, false)) => ruleset.add_rule(PathBeneath::new(fd, access & AccessFs::from_file(RULES))),
        None => Ok(ruleset),
    }
}

/// With whether it is a directory.
fn open(path: &Path) -> Option<(OwnedFd, bool)> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    match FileType::from_raw_mode(rustix::fs::fstat(&fd).ok()?.st_mode) {
        FileType::Symlink => None,
        kind => Some((fd, kind == FileType::Directory)),
    }
}
