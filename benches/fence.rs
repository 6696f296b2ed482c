//! What the fence costs a step: `cargo bench --bench fence`, as root and as somebody else.
//!
//! Steps that do nothing, with a fence and without one in turns, so that whatever else the machine does hits both alike.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on is to fail")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a measurement is there to be read")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use slipway::executor::fence::{self, Fence, Part, Users};
use slipway::executor::{self, Attachment, Ending, Output, StepSpec};

const STEPS: usize = 300;
const USERS: Users = Users { first: 2_000_000_000, count: 10_000 };

#[tokio::main]
async fn main() {
    executor::set_program(env!("CARGO_BIN_EXE_slipway"));
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let [data, workspace] = ["data", "data/workspace"].map(|name| dir.path().join(name));
    fs::create_dir_all(&workspace).unwrap();
    let around = Fence { hidden: vec![data.clone()], temporary: workspace.clone(), ..Fence::default() };
    let report = fence::probe(&around, Some(USERS), &[]).unwrap();
    let user = report.has(Part::User).then_some(USERS.first + 1);
    if let Some(user) = user {
        fence::own(&workspace, user).unwrap();
    }
    let whole = Fence {
        user,
        open: vec![workspace.clone()],
        with_mounts: report.has(Part::Mounts),
        with_landlock: report.has(Part::Landlock),
        umask: 0o022,
        ..around
    };
    let in_force = Part::ALL.into_iter().filter(|part| report.has(*part)).map(Part::name);
    println!("in force: {}", in_force.collect::<Vec<_>>().join(", "));

    let [mut with, mut without] = [(); 2].map(|()| Vec::new());
    for number in 0..STEPS {
        // The first of each warms up.
        with.push(took(&data.join(format!("with-{number}")), &workspace, Some(whole.clone())).await);
        without.push(took(&data.join(format!("without-{number}")), &workspace, None).await);
    }
    let [with, without] = [with, without].map(median);
    println!(
        "a step with a fence: {with:.2?}, without: {without:.2?}, {:.2?} more",
        with.saturating_sub(without)
    );
    println!("ratio: {:.2}", with.as_secs_f64() / without.as_secs_f64());
}

/// From the start to the end that is read.
async fn took(dir: &Path, workspace: &Path, fence: Option<Fence>) -> Duration {
    let spec = StepSpec {
        dir: dir.to_owned(),
        workspace: workspace.to_owned(),
        script: ":\n".to_owned(),
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        secrets: Vec::new(),
        files: Vec::new(),
        timeout: None,
        grace: Duration::from_secs(1),
        log_bytes_max: 1 << 20,
        line_bytes_max: 1 << 14,
        backlog_bytes_max: 1 << 20,
        tty: false,
        fence,
    };
    let started = Instant::now();
    executor::start(&spec).await.unwrap();
    let mut attachment = Attachment::open(dir, workspace, 0).await.unwrap();
    loop {
        match attachment.next().await.unwrap() {
            Output::Ended { ending: Ending::Exited(0), .. } => return started.elapsed(),
            Output::Block(block) => eprintln!("{:?}", block.lines),
            other => panic!("{other:?}"),
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
