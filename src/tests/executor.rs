//! The process executor, from outside: real supervisors, real processes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use slipway::domain::secret::Secret;
use slipway::executor::{self, Attachment, Block, Ending, Output, Source, SpoolLine, StepSpec};
use tempfile::TempDir;

mod attaching;
mod ending;
mod output;

/// No test waits longer for what must come.
const DEADLINE: Duration = Duration::from_secs(60);

/// A step in a directory of its own. What it may leave behind is looked for by the directory's name.
struct Step {
    root: TempDir,
    spec: StepSpec,
}

impl Step {
    fn new(script: &str) -> Self {
        executor::set_program(env!("CARGO_BIN_EXE_slipway"));
        let root = tempfile::Builder::new().prefix("slipway-step-").tempdir().unwrap();
        let workspace = root.path().join("workspace");
        fs::create_dir(&workspace).unwrap();
        let spec = StepSpec {
            dir: root.path().join("step"),
            workspace,
            script: script.to_owned(),
            env: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())],
            secrets: Vec::new(),
            files: Vec::new(),
            timeout: None,
            grace: Duration::from_secs(5),
            log_bytes_max: 1 << 30,
            line_bytes_max: 64 * 1024,
            backlog_bytes_max: 1 << 30,
            tty: false,
            fence: None,
        };
        Self { root, spec }
    }

    fn secret(mut self, value: &str) -> Self {
        self.spec.secrets.push(Secret::new(value.to_owned()));
        self
    }

    async fn start(&self) {
        executor::start(&self.spec).await.unwrap();
    }

    async fn attach(&self, offset: u64) -> Attachment {
        Attachment::open(&self.spec.dir, &self.spec.workspace, offset).await.unwrap()
    }

    /// Starts the step and reads it to its end.
    async fn run(&self) -> Told {
        self.start().await;
        read_to_end(&mut self.attach(0).await).await
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    /// The processes that stand in this step's directory or were given its name.
    fn processes(&self) -> Vec<String> {
        let name = self.path().file_name().unwrap().to_str().unwrap();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            if entry.file_name().to_str().is_none_or(|name| name.parse::<u32>().is_err()) {
                continue;
            }
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let is_zombie = stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z"));
            let cwd = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            if !is_zombie && (cwd.starts_with(self.path()) || command.contains(name)) {
                found.push(format!("{} {command}", entry.file_name().display()));
            }
        }
        found
    }
}

/// What a step said.
#[derive(Debug)]
struct Told {
    blocks: Vec<Block>,
    last: Output,
}

impl Told {
    fn ending(&self) -> Ending {
        match self.last {
            Output::Ended { ending, .. } => ending,
            ref other => panic!("the step did not end: {other:?}"),
        }
    }

    fn lines(&self, source: Source) -> Vec<SpoolLine> {
        let blocks = self.blocks.iter().filter(|block| block.source == source);
        blocks.flat_map(|block| block.lines.clone()).collect()
    }

    fn texts(&self, source: Source) -> Vec<String> {
        self.lines(source).into_iter().map(|line| line.text).collect()
    }
}

async fn next(attachment: &mut Attachment) -> Output {
    tokio::time::timeout(DEADLINE, attachment.next()).await.expect("something comes next").unwrap()
}

async fn read_to_end(attachment: &mut Attachment) -> Told {
    let mut blocks = Vec::new();
    loop {
        match next(attachment).await {
            Output::Block(block) => blocks.push(block),
            last => return Told { blocks, last },
        }
    }
}

/// Reads until a line is there that says `text`.
async fn wait_for(attachment: &mut Attachment, text: &str) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        match next(attachment).await {
            Output::Block(block) => {
                texts.extend(block.lines.into_iter().map(|line| line.text));
                if texts.iter().any(|line| line == text) {
                    return texts;
                }
            }
            last => panic!("the step ended with {last:?} after {texts:?}"),
        }
    }
}

fn whole(text: &str) -> SpoolLine {
    SpoolLine { text: text.to_owned(), partial: false, continued: false }
}
