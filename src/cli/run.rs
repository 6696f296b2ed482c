//! `slipway trigger`, `logs`, `watch`, `cancel`, `retry`: runs.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};

use crate::cli::client::Client;
use crate::cli::failure::{Exit, Failure};
use crate::cli::follow::{Show, follow};
use crate::cli::lines::Piece;
use crate::cli::output::{Output, note};
use crate::cli::view::View;
use crate::domain::ids::RunId;
use crate::domain::log::LogLine;
use crate::domain::run::Run;
use crate::services::logs::PAGE_LINES_MAX;

#[derive(Debug, Args)]
pub(super) struct TriggerArguments {
    /// The pipeline's id or name.
    pipeline: String,
    /// The branch to check out [default: the pipeline's].
    #[arg(long)]
    branch: Option<String>,
    /// Given to steps as SLIPWAY_INPUT_<NAME>; may be repeated.
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = super::assignment)]
    inputs: Vec<(String, String)>,
    /// Two triggers with the same key make one run.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Print the log until the run has ended, and exit with its outcome.
    #[arg(long, short)]
    follow: bool,
}

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// The run's id.
    #[arg(value_parser = run_id)]
    run: RunId,
}

#[derive(Debug, Args)]
pub(super) struct LogsArguments {
    /// The run's id.
    #[arg(value_parser = run_id)]
    run: RunId,
    /// Go on until the run has ended, and exit with its outcome.
    #[arg(long, short, conflicts_with = "limit")]
    follow: bool,
    /// Begin with this line; negative: that many before the end.
    #[arg(long, value_name = "LINE", allow_negative_numbers = true)]
    from: Option<i64>,
    /// Print at most so many lines.
    #[arg(long, value_name = "LINES")]
    limit: Option<u64>,
    /// Only the lines of this step.
    #[arg(long, value_name = "NAME")]
    step: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RetryArguments {
    /// The run's id.
    #[arg(value_parser = run_id)]
    run: RunId,
    /// Where to begin.
    #[arg(long, value_enum, default_value = "failed")]
    from: RetryFrom,
    /// Print the log until the run has ended, and exit with its outcome.
    #[arg(long, short)]
    follow: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RetryFrom {
    /// With a new workspace, from the first step.
    Start,
    /// With the steps that did not succeed.
    Failed,
}

pub(super) fn run_id(text: &str) -> Result<RunId, String> {
    text.parse()
        .map_err(|_| "expected the id of a run, such as 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b".to_owned())
}

pub(super) async fn trigger(
    output: Output,
    client: &Client,
    arguments: TriggerArguments,
) -> Result<Exit, Failure> {
    let TriggerArguments { pipeline, branch, inputs, idempotency_key, follow: follows } = arguments;
    let inputs: BTreeMap<String, String> = inputs.into_iter().collect();
    let run = client.trigger(&pipeline, branch.as_deref(), &inputs, idempotency_key.as_deref()).await?;
    if !follows {
        output.either(&run, || format!("Triggered {} ({})", title(&run), run.id))?;
        return Ok(Exit::Success);
    }
    if output.is_json() {
        output.json(&serde_json::json!({ "run": run }))?;
    } else {
        note(&format!("Triggered {} ({})", title(&run), run.id));
    }
    follow(client, output, &run.id, title(&run), Show::Everything).await
}

pub(super) async fn watch(output: Output, client: &Client, arguments: RunArguments) -> Result<Exit, Failure> {
    // Also tells at once if there is no such run, or no server.
    let details = client.run(&arguments.run).await?;
    follow(client, output, &arguments.run, title(&details.run), Show::States).await
}

pub(super) async fn logs(output: Output, client: &Client, arguments: LogsArguments) -> Result<Exit, Failure> {
    let LogsArguments { run, follow: follows, from, limit, step } = arguments;
    if !follows {
        return print_log(output, client, &run, from, limit, step.as_deref()).await;
    }
    let details = client.run(&run).await?;
    let after = match from {
        // Only the server knows how many lines there are.
        Some(from) if from < 0 => {
            let page = client.logs(&run, Some(from), 1, None).await?;
            page.items.first().map_or(0, |line| line.n.saturating_sub(1))
        }
        from => u64::try_from(from.unwrap_or(1)).unwrap_or(1).saturating_sub(1),
    };
    follow(client, output, &run, title(&details.run), Show::Lines { after, step }).await
}

/// The lines that are there, page by page.
async fn print_log(
    output: Output,
    client: &Client,
    run: &RunId,
    from: Option<i64>,
    limit: Option<u64>,
    step: Option<&str>,
) -> Result<Exit, Failure> {
    let mut view = View::new(output, String::new());
    let mut from = from;
    let mut left = limit.unwrap_or(u64::MAX);
    while 0 < left {
        let size = u32::try_from(left).unwrap_or(u32::MAX).min(PAGE_LINES_MAX);
        let page = client.logs(run, from, size, step).await?;
        left = left.saturating_sub(page.items.len() as u64);
        for line in &page.items {
            print_line(output, &mut view, line)?;
        }
        if !output.is_json() {
            view.redraw()?;
        }
        // A page must lead further on, or a server in error would be asked for ever.
        match page.next_from.and_then(|next| i64::try_from(next).ok()) {
            Some(next) if from.is_none_or(|from| from < next) => from = Some(next),
            _ => break,
        }
    }
    view.end_log()?;
    Ok(Exit::Success)
}

fn print_line(output: Output, view: &mut View, line: &LogLine) -> std::io::Result<()> {
    if output.is_json() {
        return output.json(line);
    }
    view.log(Piece::from(line));
    Ok(())
}

pub(super) async fn cancel(
    output: Output,
    client: &Client,
    arguments: RunArguments,
) -> Result<Exit, Failure> {
    let run = client.cancel(&arguments.run).await?;
    output.either(&run, || format!("{} is {}", title(&run), run.status.as_str().replace('_', " ")))?;
    Ok(Exit::Success)
}

pub(super) async fn retry(
    output: Output,
    client: &Client,
    arguments: RetryArguments,
) -> Result<Exit, Failure> {
    let from = match arguments.from {
        RetryFrom::Start => "start",
        RetryFrom::Failed => "failed",
    };
    let run = client.retry(&arguments.run, from).await?;
    if !arguments.follow {
        output.either(&run, || format!("{} is tried again, attempt {}", title(&run), run.attempt))?;
        return Ok(Exit::Success);
    }
    // What was printed in the attempts before is there to be read already.
    follow(client, output, &run.id, title(&run), Show::Lines { after: run.lines, step: None }).await
}

pub(super) fn title(run: &Run) -> String {
    format!("{} #{}", run.pipeline_name, run.number)
}
