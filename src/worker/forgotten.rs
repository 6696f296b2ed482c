//! Queued runs that have no job: Redis was away when they were triggered, or has forgotten them.
//!
//! To look at all of them in every pass would cost the more the longer the queue is. So a pass looks at the newest,
//! where those are that were triggered while Redis was away for a moment, and at some of the others in turn. Once it
//! has found one, or a pass has failed, all are looked at.

use std::time::Duration;

use futures::stream::{self, TryStreamExt as _};

use crate::app::App;
use crate::domain::ids::RunId;
use crate::domain::pipeline::{self, Retry};
use crate::domain::time::now;
use crate::error::Result;
use crate::jobs::JobStanding;
use crate::store;
use crate::store::runs::{QueuedRun, Towards};

/// Rows that are read at a time.
const SLICE: u32 = 100;
/// Slices of a pass: of the newest, and of the others.
const PASS_SLICES: u32 = 5;
/// How many are enqueued side by side: a Redis that has forgotten everything is to have it back soon.
const ADDED_AT_A_TIME: usize = 16;
/// A queued run is given its job by who triggers it; only one that has waited longer lacks it.
const GRACE: Duration = Duration::from_secs(3);

/// What is remembered from pass to pass.
#[derive(Debug, Default)]
pub struct Forgotten {
    /// What the others are looked at after; none: from the oldest on.
    turn: Option<RunId>,
    /// What was lost before this process began, or while Redis could not be asked, may be anywhere.
    is_sure: bool,
}

impl Forgotten {
    /// Gives runs that lack their jobs new ones.
    pub async fn enqueue(&mut self, app: &App) -> Result<()> {
        let is_sure = std::mem::replace(&mut self.is_sure, false);
        if !is_sure || self.look(app).await? {
            let mut after = None;
            while let Some(last) = enqueue_slice(app, Towards::Newest, after.as_ref()).await?.last {
                after = Some(last);
            }
        }
        self.is_sure = true;
        Ok(())
    }

    /// Whether any lacked its job.
    async fn look(&mut self, app: &App) -> Result<bool> {
        let mut before = None;
        for _ in 0..PASS_SLICES {
            let slice = enqueue_slice(app, Towards::Oldest, before.as_ref()).await?;
            if slice.is_any_forgotten {
                return Ok(true);
            }
            if slice.is_last {
                return Ok(false);
            }
            before = slice.last;
        }
        for _ in 0..PASS_SLICES {
            let slice = enqueue_slice(app, Towards::Newest, self.turn.as_ref()).await?;
            if slice.is_any_forgotten {
                return Ok(true);
            }
            self.turn = slice.last.filter(|_| !slice.is_last);
        }
        Ok(false)
    }
}

/// What became of a slice.
struct Slice {
    last: Option<RunId>,
    /// None follows.
    is_last: bool,
    is_any_forgotten: bool,
}

async fn enqueue_slice(app: &App, towards: Towards, from: Option<&RunId>) -> Result<Slice> {
    let queued = store::runs::queued(&app.store, towards, from, SLICE).await?;
    let is_last = queued.len() < SLICE as usize;
    let last = queued.last().map(|run| run.id.clone());
    let is_due = |run: &QueuedRun| run.due_at.plus(GRACE) < now();
    let due: Vec<RunId> = queued.into_iter().filter(is_due).map(|run| run.id).collect();
    let standings = due.iter().zip(app.jobs.standings(&due).await?);
    let forgotten: Vec<&RunId> =
        standings.filter(|(_, standing)| *standing != JobStanding::Live).map(|(id, _)| id).collect();
    let is_any_forgotten = !forgotten.is_empty();
    stream::iter(forgotten.into_iter().map(Ok))
        .try_for_each_concurrent(ADDED_AT_A_TIME, |id| add_missing(app, id))
        .await?;
    Ok(Slice { last, is_last, is_any_forgotten })
}

/// Adds the job of a run that lacks one. It is looked at again, since a run that has ended after it was listed
/// lacks its job rightly, and a further delivery would have it tried again.
pub(super) async fn add_missing(app: &App, run: &RunId) -> Result<()> {
    let Some(record) = store::runs::find(&app.store, run).await? else { return Ok(()) };
    if record.run.status.is_ended() {
        return Ok(());
    }
    let definition = record.definition.as_deref().and_then(|text| pipeline::parse(text).ok());
    let retry = definition.map_or(Retry::DEFAULT, |definition| definition.retry);
    app.jobs.add_again(run, retry).await
}
