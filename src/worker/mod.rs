//! The worker: an edge, as HTTP is. Jobs come in, services decide, outcomes go out.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::OnShutdown;
use crate::error::{Error, Result};
use crate::jobs::consumer::{Consumer, Handler};
use crate::worker::execute_run::ExecuteRuns;
use crate::worker::host::Seat;
use crate::worker::running::Running;

pub mod claims;
pub mod driver;
pub mod environment;
pub mod execute_run;
pub mod faults;
pub mod fence;
pub mod forgotten;
pub mod host;
pub mod prepare;
pub mod run_log;
pub mod running;
mod trigger_run;
pub mod upkeep;

/// Takes and works on runs until `shutdown`, then as the configuration says: leaves running steps to their
/// supervisors, waits for them, or cancels them. `running` is what this process works on.
pub async fn run(app: App, name: String, running: Running, shutdown: CancellationToken) -> Result<()> {
    let checking = app.clone();
    let checked = tokio::task::spawn_blocking(move || fence::check(&checking)).await;
    checked.map_err(|error| Error::internal("looking at what steps can be kept from", error))??;
    let seat = Seat::take(&app.config.data_dir)
        .map_err(|error| Error::internal("taking a worker's place in the data directory", error))?;
    let seat = Arc::new(seat);
    let handler: Arc<dyn Handler> =
        Arc::new(ExecuteRuns::new(app.clone(), seat.clone(), running.clone(), shutdown.clone()));
    // Upkeep and events go on while runs are waited for.
    let stopped = CancellationToken::new();
    let _stops_upkeep = stopped.clone().drop_guard();
    let announced = upkeep::announce(&app, &seat, name.clone()).await?;
    app.tasks.spawn(upkeep::beat(app.clone(), announced, stopped.clone()));
    app.tasks.spawn(upkeep::take_back(app.clone(), seat.clone(), running.clone(), shutdown.clone()));
    app.tasks.spawn(upkeep::sweep(app.clone(), seat.clone(), running.clone(), shutdown.clone()));
    app.tasks.spawn(upkeep::clear(app.clone(), shutdown.clone()));
    app.tasks.spawn(upkeep::retain(app.clone(), shutdown.clone()));
    app.tasks.spawn(upkeep::trim_audit(app.clone(), shutdown.clone()));
    app.tasks.spawn(upkeep::bulk_works(app.clone(), shutdown.clone()));
    let concurrency = app.config.worker.concurrency;
    let started = Consumer::start(app.redis.clone(), &name, concurrency, handler.clone(), &shutdown).await;
    let Some(consumer) = started else { return Ok(()) };
    let consumer = Arc::new(consumer);
    let events = consumer.clone();
    let events_stop = stopped.clone();
    app.tasks.spawn(async move { events.watch(handler, events_stop).await });
    shutdown.cancelled().await;
    consumer.pause();
    if app.config.worker.on_shutdown != OnShutdown::Leave {
        running.none().await;
    }
    consumer.close().await;
    Ok(())
}
