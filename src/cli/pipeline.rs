//! `slipway pipeline`: pipelines and their definitions.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::client::{Client, PipelineFields};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{Output, STRONG};
use crate::domain::pipeline::{self, Pipeline, Problem};
use crate::domain::retention::Retention;
use crate::domain::terminal::visible;

/// The largest definition that is read.
pub(super) const DEFINITION_BYTES_MAX: u64 = 256 << 10;
/// Lists are read whole, but not for ever.
const PAGES_MAX: usize = 1_000;

#[derive(Debug, Subcommand)]
pub(super) enum PipelineCommand {
    /// Make a pipeline.
    Create {
        name: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// List pipelines.
    List {
        /// Only those with this in their names.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
    /// Show a pipeline.
    Get {
        /// Its id or name.
        pipeline: String,
    },
    /// Change a pipeline; what is not named is left as it is.
    Update {
        /// Its id or name.
        pipeline: String,
        /// The name that it is to have.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        fields: Fields,
    },
    /// Delete a pipeline; its past runs stay.
    Delete {
        /// Its id or name.
        pipeline: String,
    },
    /// Check a definition, and say all that is wrong with it.
    Validate {
        /// The file with the definition; `-`: stdin.
        #[arg(default_value = ".slipway.yml")]
        file: PathBuf,
        /// Ask the server, which may be of another version.
        #[arg(long)]
        remote: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Fields {
    /// What `git clone` takes.
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
    /// The branch of a run that names none.
    #[arg(long, value_name = "BRANCH")]
    default_branch: Option<String>,
    /// The file with the definition; `-`: stdin. Without it, `.slipway.yml` of the repository is used.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    keep: Keep,
}

/// Rules of retention. `default` takes one away, so that the server's settings say it again.
#[derive(Debug, Args)]
struct Keep {
    /// Delete runs with their logs so long after they ended: `90d`, `12h`, `forever`, or the server's `default`.
    #[arg(long, value_name = "AGE")]
    keep_runs_for: Option<String>,
    /// Purge logs so long after their runs ended: `30d`, `forever`, or the server's `default`.
    #[arg(long, value_name = "AGE")]
    keep_logs_for: Option<String>,
    /// Of the runs that have ended, keep so many of the newest, or the server's `default`.
    #[arg(long, value_name = "COUNT")]
    keep_runs: Option<String>,
}

const DEFAULT: &str = "default";

impl Fields {
    /// `known`: the rules that the pipeline has, which are sent whole.
    fn read(self, name: Option<String>, known: Option<Retention>) -> Result<PipelineFields, Failure> {
        let Self { repository, default_branch, file, description, keep } = self;
        let definition = file.as_deref().map(read_definition).transpose()?;
        let retention = keep.is_given().then(|| keep.over(known.unwrap_or_default())).transpose()?;
        Ok(PipelineFields { name, repository, default_branch, definition, description, retention })
    }
}

impl Keep {
    fn is_given(&self) -> bool {
        self.keep_runs_for.is_some() || self.keep_logs_for.is_some() || self.keep_runs.is_some()
    }

    /// None: nothing is left of rules of its own.
    fn over(self, known: Retention) -> Result<Option<Retention>, Failure> {
        let Self { keep_runs_for, keep_logs_for, keep_runs } = self;
        let own = |text: String| Some(text).filter(|text| text != DEFAULT);
        let keep_runs = match keep_runs.map(own) {
            None => known.keep_runs,
            // What is no number is 0 runs, which no rule may keep.
            Some(count) => count.map(|count| count.parse().unwrap_or(0)),
        };
        let rules = Retention {
            runs: keep_runs_for.map_or(known.runs, own),
            logs: keep_logs_for.map_or(known.logs, own),
            keep_runs,
        };
        rules.check().map_err(|(field, reason)| {
            let flag = match field {
                "runs" => "--keep-runs-for",
                "logs" => "--keep-logs-for",
                _ => "--keep-runs",
            };
            Failure::usage(format!("{flag}: {reason}, or {DEFAULT}"))
        })?;
        Ok(Some(rules).filter(|rules| *rules != Retention::default()))
    }
}

pub(super) async fn run(
    output: Output,
    client: impl Fn() -> Result<Client, Failure>,
    command: PipelineCommand,
) -> Result<Exit, Failure> {
    match command {
        PipelineCommand::Create { name, fields } => {
            let pipeline = client()?.create_pipeline(&fields.read(Some(name), None)?).await?;
            output.either(&pipeline, || format!("Created {} ({})", pipeline.name, pipeline.id))?;
        }
        PipelineCommand::List { search } => list(output, &client()?, search.as_deref()).await?,
        PipelineCommand::Get { pipeline } => {
            let pipeline = client()?.pipeline(&pipeline).await?;
            output.either(&pipeline, || description(output, &pipeline))?;
        }
        PipelineCommand::Update { pipeline, name, fields } => {
            let client = client()?;
            let known = match fields.keep.is_given() {
                true => client.pipeline(&pipeline).await?.retention,
                false => None,
            };
            let pipeline = client.update_pipeline(&pipeline, &fields.read(name, known)?).await?;
            output.either(&pipeline, || format!("Changed {}", pipeline.name))?;
        }
        PipelineCommand::Delete { pipeline } => {
            client()?.delete_pipeline(&pipeline).await?;
            output.either(&json!({ "deleted": pipeline }), || format!("Deleted {pipeline}"))?;
        }
        PipelineCommand::Validate { file, remote } => {
            let text = read_definition(&file)?;
            let problems = match remote {
                true => client()?.validate(&text).await?,
                false => pipeline::parse(&text).err().unwrap_or_default(),
            };
            return report(output, &file, &problems);
        }
    }
    Ok(Exit::Success)
}

fn report(output: Output, file: &Path, problems: &[Problem]) -> Result<Exit, Failure> {
    if output.is_json() {
        output.json(&json!({ "problems": problems }))?;
    } else if problems.is_empty() {
        output.line(&format!("{}: nothing is wrong", shown(file)))?;
    } else {
        output.line(&problem_lines(file, problems))?;
    }
    Ok(if problems.is_empty() { Exit::Success } else { Exit::Failed })
}

/// As compilers print them, so that editors find the place.
pub(super) fn problem_lines(file: &Path, problems: &[Problem]) -> String {
    let line = |problem: &Problem| {
        let Problem { line, column, path, message, expected } = problem;
        let mut text = format!("{}:{line}:{column}: ", shown(file));
        if !path.is_empty() {
            text.push_str(&format!("{path}: "));
        }
        text.push_str(message);
        if !expected.is_empty() {
            text.push_str(&format!("; expected {expected}"));
        }
        text
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// As people read it.
pub(super) fn shown(file: &Path) -> String {
    if file == Path::new("-") { "stdin".to_owned() } else { file.display().to_string() }
}

/// The text of a definition, from a file or, for `-`, from stdin.
pub(super) fn read_definition(file: &Path) -> Result<String, Failure> {
    let name = shown(file);
    let cannot = |error: std::io::Error| Failure::usage(format!("cannot read {name}: {error}"));
    let mut bytes = Vec::new();
    let limit = DEFINITION_BYTES_MAX + 1;
    match file == Path::new("-") {
        true => std::io::stdin().take(limit).read_to_end(&mut bytes).map_err(cannot)?,
        false => {
            let opened = std::fs::File::open(file).map_err(cannot)?;
            opened.take(limit).read_to_end(&mut bytes).map_err(cannot)?
        }
    };
    if DEFINITION_BYTES_MAX < bytes.len() as u64 {
        return Err(Failure::usage(format!("{name} is larger than {} KiB", DEFINITION_BYTES_MAX >> 10)));
    }
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{name} is not UTF-8 text")))
}

async fn list(output: Output, client: &Client, search: Option<&str>) -> Result<(), Failure> {
    let mut pipelines: Vec<Pipeline> = Vec::new();
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let page = client.pipelines(search, cursor.as_deref()).await?;
        pipelines.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if output.is_json() {
        return Ok(output.json(&pipelines)?);
    }
    let row = |pipeline: Pipeline| {
        let keeps = keeps(&pipeline).unwrap_or_default();
        let Pipeline { name, id, repository, default_branch, .. } = pipeline;
        [name, id.to_string(), repository.unwrap_or_default(), default_branch.unwrap_or_default(), keeps]
    };
    let rows: Vec<_> = pipelines.into_iter().map(row).collect();
    Ok(output.table(["NAME", "ID", "REPOSITORY", "BRANCH", "KEEPS"], &rows)?)
}

fn description(output: Output, pipeline: &Pipeline) -> String {
    let mut text = format!("{}  {}", output.paint(STRONG, &pipeline.name), pipeline.id);
    let mut add = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!("\n{name}: {}", visible(value)));
        }
    };
    add("description", &pipeline.description);
    add("repository", &pipeline.repository);
    add("default branch", &pipeline.default_branch);
    add("keeps", &keeps(pipeline));
    add("definition", &pipeline.definition.as_ref().map(|definition| format!("\n{definition}")));
    text
}

/// Its own rules of retention; none: it has none.
fn keeps(pipeline: &Pipeline) -> Option<String> {
    let Retention { runs, logs, keep_runs } = pipeline.retention.as_ref()?;
    let parts = [
        runs.as_ref().map(|age| format!("runs {age}")),
        logs.as_ref().map(|age| format!("logs {age}")),
        keep_runs.map(|count| format!("the newest {count} runs")),
    ];
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}
