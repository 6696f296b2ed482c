//! Before the first step: the workspace, the definition, the plan.

use std::io;

use crate::config::OnShutdown;
use crate::domain::attempt::StopReason;
use crate::domain::pipeline::Definition;
use crate::error::{Error, Result};
use crate::executor::Ending;
use crate::services::{executions, runs};
use crate::store;
use crate::worker::driver::steps::describe;
use crate::worker::driver::{Driver, End, Left, Prepared, Turn, patiently};
use crate::worker::fence;
use crate::worker::prepare::{self, Ready};
use crate::worker::run_log::Place;

/// A checkout whose supervisor was lost is started so many times.
const CHECKOUTS_MAX: u32 = 3;

impl Driver {
    pub(super) async fn plan(
        &mut self,
        text: &str,
        definition: &Definition,
        ready: Option<Ready>,
    ) -> Result<bool> {
        let (commit, branch) = ready.map_or((None, None), |ready| (ready.commit, ready.branch));
        let (app, record, steps) = (&self.app, &self.record, &self.steps);
        let lines = self.log.progress().last_n;
        let is_ours = patiently(&self.shutdown, || {
            let (commit, branch, steps) = (commit.clone(), branch.clone(), steps.clone());
            executions::plan(app, record, (text, definition), commit, branch, steps, lines)
        })
        .await?;
        if is_ours && let Some(record) = store::runs::find(&self.app.store, &self.record.run.id).await? {
            self.record = record;
        }
        Ok(is_ours)
    }

    /// Makes the workspace, and finds the definition.
    pub(super) async fn prepare(&mut self) -> Result<Prepared> {
        if self.dir.ready(&self.record).is_none() {
            match self.record.repository.clone() {
                None => {
                    let ready = Ready { attempt: self.record.run.attempt, commit: None, branch: None };
                    let made = self.dir.clear().and_then(|()| self.dir.set_ready(&ready));
                    made.map_err(|error| Error::internal("making a workspace", error))?;
                }
                Some(repository) => {
                    if let Some(prepared) = self.check_out(&repository).await? {
                        return Ok(prepared);
                    }
                }
            }
        }
        let dir = self.dir.clone();
        let owned = tokio::task::spawn_blocking(move || fence::own_by_run(&dir)).await;
        owned
            .map_err(io::Error::from)
            .flatten()
            .map_err(|error| Error::internal("making a workspace its run's", error))?;
        let text = match &self.record.definition {
            Some(text) => Ok(text.clone()),
            None => self.dir.definition(),
        };
        let checked = text.and_then(|text| match runs::parse(&text) {
            Ok(definition) => Ok((text, definition)),
            Err(error) => Err(format!("{}: {error}", prepare::DEFINITION_FILE)),
        });
        match checked {
            Ok((text, definition)) => Ok(Prepared::Ready(text, Box::new(definition))),
            Err(reason) => {
                self.log.say(None, reason.clone()).await;
                Ok(Prepared::Ending(executions::Ending::Failed(reason)))
            }
        }
    }

    /// Checks out, or goes on with the checkout that an earlier worker began. None: the workspace is ready.
    pub(super) async fn check_out(&mut self, repository: &str) -> Result<Option<Prepared>> {
        let attempt = self.record.run.attempt;
        let (mut name, mut number) = self.dir.checkout(attempt);
        if !prepare::is_started(&self.dir, &name) {
            let branch =
                self.record.run.branch.as_deref().map_or(String::new(), |branch| format!(" at {branch}"));
            self.log.say(None, format!("checking out {repository}{branch}")).await;
        }
        loop {
            if self.stopped.is_some() && !prepare::is_started(&self.dir, &name) {
                return Ok(Some(Prepared::Ending(executions::Ending::Canceled)));
            }
            if !prepare::is_started(&self.dir, &name) {
                let (app, dir) = (self.app.clone(), self.dir.clone());
                let owned = tokio::task::spawn_blocking(move || fence::own_by_checkouts(&app, &dir)).await;
                let owned = owned.map_err(io::Error::from).flatten();
                owned.map_err(|error| Error::internal("making a workspace the checkout's", error))?;
            }
            let spec = prepare::checkout_step(&self.app, &self.record, &self.dir, &name, repository);
            let place = Place { dir: name.clone(), step: None, attempt: 0 };
            if let Err(reason) = self.begin(None, &spec, place).await {
                return Ok(Some(Prepared::Ending(self.checkout_failed(reason))));
            }
            if self.stopped.is_some() {
                self.kill(&spec.dir);
            }
            let event = loop {
                match self.turn(None).await {
                    Turn::Event(event) => break event,
                    Turn::Look | Turn::Wake | Turn::Deadline => {
                        if !self.look().await? {
                            return Ok(Some(Prepared::Left(Left::Fenced)));
                        }
                        if self.has_grown() && !self.note(self.record.run.progress).await? {
                            return Ok(Some(Prepared::Left(Left::Fenced)));
                        }
                        if self.stopped.is_some() {
                            self.kill(&spec.dir);
                        }
                    }
                    Turn::Fenced => return Ok(Some(Prepared::Left(Left::Fenced))),
                    Turn::Shutdown => match self.app.config.worker.on_shutdown {
                        OnShutdown::Leave => return Ok(Some(Prepared::Left(Left::Leave))),
                        OnShutdown::Wait => self.has_drained = true,
                        OnShutdown::Cancel => {
                            self.has_drained = true;
                            self.stopped = Some(StopReason::Canceled);
                            self.kill(&spec.dir);
                        }
                    },
                }
            };
            match event.end {
                End::Ended(Ending::Exited(0), _) => {
                    let ready = prepare::checkout_result(&self.dir, &name, attempt)
                        .and_then(|ready| self.dir.set_ready(&ready).map_err(|error| error.to_string()));
                    return Ok(ready.err().map(|reason| Prepared::Ending(self.checkout_failed(reason))));
                }
                End::Ended(..) if self.stopped.is_some() => {
                    return Ok(Some(Prepared::Ending(executions::Ending::Canceled)));
                }
                End::Ended(Ending::TimedOut, _) => {
                    return Ok(Some(Prepared::Ending(self.checkout_failed("it took too long".to_owned()))));
                }
                End::Ended(ending, _) => {
                    let reason = describe(ending).unwrap_or_default();
                    return Ok(Some(Prepared::Ending(self.checkout_failed(reason))));
                }
                End::Unreadable(reason) => return Ok(Some(Prepared::Ending(self.checkout_failed(reason)))),
                End::Lost if CHECKOUTS_MAX <= number => {
                    let reason = "its supervisor was lost each time".to_owned();
                    return Ok(Some(Prepared::Ending(self.checkout_failed(reason))));
                }
                End::Lost => {
                    (name, number) = self.dir.checkout_after(attempt, number);
                    self.log.say(None, "the checkout's supervisor is gone: it starts again").await;
                }
            }
        }
    }

    pub(super) fn checkout_failed(&self, reason: String) -> executions::Ending {
        let reason = format!("checkout: {reason}");
        if self.record.run.attempt < self.record.run.attempts_max {
            executions::Ending::RetryLater(reason)
        } else {
            executions::Ending::Failed(reason)
        }
    }
}
