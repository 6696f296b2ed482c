//! Brings the commit of a repository into a run's workspace.
//!
//! It is a script for an ordinary step, so that cancel, timeout and log treat it as they treat every step. Git
//! itself does the work: credentials, LFS and submodules are its job. A bare mirror for each repository makes
//! the second checkout fast; workspaces borrow its objects, and so it never loses any.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What is to be checked out, and where.
#[derive(Debug, Clone)]
pub struct CheckoutSpec {
    /// Has passed `domain::text::repository`.
    pub repository: String,
    /// A branch or tag that has passed `domain::text::branch`; none: the repository's default branch.
    pub branch: Option<String>,
    /// The commit that the run has built before; none: the one that the branch stands at.
    pub commit: Option<String>,
    /// Holds the mirrors of all repositories.
    pub mirror_dir: PathBuf,
    /// Emptied first, and made if it is not there.
    pub workspace: PathBuf,
    /// Written at the end: `read_result` reads it.
    pub result_file: PathBuf,
}

/// What was checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The commit's whole id.
    pub commit: String,
    /// The branch or tag.
    pub branch: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    #[error("reading the checkout's result")]
    Io(#[from] io::Error),
    #[error("the checkout's result is not a commit and a branch")]
    Malformed,
}

/// Far above a commit's id and a branch's name.
const RESULT_BYTES_MAX: u64 = 4 * 1024;

/// Settings for this checkout alone; nothing of them stays in the workspace.
const GIT_SETTINGS: &[(&str, &str)] = &[
    // A repository's or machine's hooks are not part of a checkout.
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("credential.interactive", "false"),
    // Objects stay: workspaces borrow them. The script packs them itself where there are many.
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("fetch.unpackLimit", "1"),
    ("transfer.bundleURI", "false"),
    ("submodule.recurse", "false"),
    ("advice.detachedHead", "false"),
    ("init.defaultBranch", "main"),
    ("init.defaultRefFormat", "files"),
];

/// The step's script.
pub fn script() -> &'static str {
    include_str!("checkout.sh")
}

/// What the script needs beside the `PATH` and `HOME` of every step; git finds credentials by the latter.
pub fn env(spec: &CheckoutSpec) -> Vec<(String, String)> {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let mirror = mirror(&spec.mirror_dir, &spec.repository);
    let mut env: Vec<(String, String)> = [
        ("SLIPWAY_CHECKOUT_REPOSITORY", spec.repository.clone()),
        ("SLIPWAY_CHECKOUT_BRANCH", spec.branch.clone().unwrap_or_default()),
        ("SLIPWAY_CHECKOUT_COMMIT", spec.commit.clone().unwrap_or_default()),
        ("SLIPWAY_CHECKOUT_MIRROR", path(&mirror)),
        ("SLIPWAY_CHECKOUT_WORKSPACE", path(&spec.workspace)),
        ("SLIPWAY_CHECKOUT_RESULT", path(&spec.result_file)),
        // Nobody is there to answer: what asks for a password fails at once.
        ("GIT_TERMINAL_PROMPT", "0".to_owned()),
        ("GIT_ASKPASS", "false".to_owned()),
        ("SSH_ASKPASS_REQUIRE", "never".to_owned()),
        // Transports that reach a repository; others run a command that the address names.
        ("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh".to_owned()),
        ("GIT_TEMPLATE_DIR", String::new()),
        // A server that sends less than a kilobyte a second for a minute has stopped.
        ("GIT_HTTP_LOW_SPEED_LIMIT", "1000".to_owned()),
        ("GIT_HTTP_LOW_SPEED_TIME", "60".to_owned()),
        ("GIT_CONFIG_COUNT", GIT_SETTINGS.len().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for (index, (name, value)) in GIT_SETTINGS.iter().enumerate() {
        env.push((format!("GIT_CONFIG_KEY_{index}"), (*name).to_owned()));
        env.push((format!("GIT_CONFIG_VALUE_{index}"), (*value).to_owned()));
    }
    env
}

/// What the script wrote.
///
/// # Errors
///
/// It is not there, or is not what the script writes: the checkout did not succeed.
pub fn read_result(result_file: &Path) -> Result<Checkout, ResultError> {
    if RESULT_BYTES_MAX < fs::metadata(result_file)?.len() {
        return Err(ResultError::Malformed);
    }
    let text = fs::read_to_string(result_file)?;
    let mut lines = text.lines();
    let (Some(commit), Some(branch), None) = (lines.next(), lines.next(), lines.next()) else {
        return Err(ResultError::Malformed);
    };
    let is_id = [40, 64].contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_id || branch.is_empty() {
        return Err(ResultError::Malformed);
    }
    Ok(Checkout { commit: commit.to_owned(), branch: branch.to_owned() })
}

/// The mirror's directory: any address as a name that every file system takes.
pub fn mirror(mirror_dir: &Path, repository: &str) -> PathBuf {
    let name: String =
        Sha256::digest(repository.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    mirror_dir.join(name)
}
