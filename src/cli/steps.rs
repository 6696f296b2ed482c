//! One step under its supervisor, for `slipway exec`: started, read to its end, ended when asked to.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::run::StepStatus;
use crate::executor::{self, Attachment, Block, Ending, ExecutorError, Output, StepSpec};

#[derive(Debug)]
pub(super) enum StepEvent {
    Printed { index: usize, block: Block },
    Ended { index: usize, end: StepEnd },
}

/// How a step fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StepEnd {
    pub(super) status: StepStatus,
    pub(super) exit_code: Option<i32>,
    pub(super) reason: Option<String>,
}

impl StepEnd {
    fn of(ending: Ending) -> Self {
        let end = |status, exit_code, reason: Option<&str>| Self {
            status,
            exit_code,
            reason: reason.map(str::to_owned),
        };
        match ending {
            Ending::Exited(0) => end(StepStatus::Succeeded, Some(0), None),
            Ending::Exited(code) => end(StepStatus::Failed, Some(code), None),
            Ending::Signaled(signal) => {
                let reason = format!("ended by signal {signal}");
                end(StepStatus::Failed, Some(128 + signal), Some(&reason))
            }
            Ending::Killed => end(StepStatus::Canceled, None, None),
            Ending::TimedOut => end(StepStatus::TimedOut, None, Some("its time was over")),
            Ending::NotStarted => end(StepStatus::Failed, None, Some("it could not be started")),
        }
    }
}

/// Runs a step to its end, and tells the driver of it. `kill` ends it.
pub(super) async fn run_step(
    index: usize,
    spec: StepSpec,
    kill: CancellationToken,
    events: mpsc::Sender<StepEvent>,
) {
    let end = match attend(index, &spec, kill, &events).await {
        Ok(end) => end,
        Err(error) => {
            // Its end is unknown, so it must not go on unseen. What became of this cannot be told either.
            let _ = executor::kill(&spec.dir);
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            let reason = Some(format!("{error}: {source}"));
            StepEnd { status: StepStatus::Failed, exit_code: None, reason }
        }
    };
    // The driver is gone only if the whole program ends.
    let _ = events.send(StepEvent::Ended { index, end }).await;
}

async fn attend(
    index: usize,
    spec: &StepSpec,
    kill: CancellationToken,
    events: &mpsc::Sender<StepEvent>,
) -> Result<StepEnd, ExecutorError> {
    executor::start(spec).await?;
    let mut attachment = Attachment::open(&spec.dir, &spec.workspace, 0).await?;
    let mut is_killed = false;
    loop {
        let output = tokio::select! {
            output = attachment.next() => output?,
            () = kill.cancelled(), if !is_killed => {
                is_killed = true;
                executor::kill(&spec.dir)?;
                continue;
            }
        };
        match output {
            Output::Block(block) => {
                let next_offset = block.next_offset;
                // If nobody prints it, nobody needs it.
                let _ = events.send(StepEvent::Printed { index, block }).await;
                executor::punch(&spec.dir, next_offset);
            }
            Output::Ended { ending, .. } => return Ok(StepEnd::of(ending)),
            Output::Lost => {
                let reason = Some("its supervisor was gone".to_owned());
                return Ok(StepEnd { status: StepStatus::Lost, exit_code: None, reason });
            }
        }
    }
}
