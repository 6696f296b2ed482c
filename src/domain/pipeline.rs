//! A pipeline and its definition.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::domain::ids::PipelineId;
use crate::domain::retention::Retention;
use crate::domain::step_limits::StepLimits;
use crate::domain::time::Timestamp;

pub use crate::domain::definition::{BYTES_MAX as DEFINITION_BYTES_MAX, PROBLEMS_MAX};

/// A pipeline, as everywhere it is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pipeline {
    /// Stays the same when the name changes.
    pub id: PipelineId,
    /// Unique among the pipelines that are not deleted.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// What `git clone` takes; without it, steps run in an empty workspace.
    pub repository: Option<String>,
    /// The branch of a run that names none.
    pub default_branch: Option<String>,
    /// YAML; without it, `.slipway.yml` of the repository is used.
    pub definition: Option<String>,
    /// What is kept of its runs; null: what the settings of the installation say.
    pub retention: Option<Retention>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What a run does: its steps, and how they are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    pub retry: Retry,
    /// Of the whole run, all its attempts apart.
    pub timeout: Duration,
    pub env: BTreeMap<String, String>,
    pub steps: Vec<StepDefinition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepDefinition {
    pub name: String,
    /// A script for `sh -e`.
    pub run: String,
    /// Names of the steps that come before it.
    pub needs: Vec<String>,
    pub when: When,
    pub env: BTreeMap<String, String>,
    /// What it is given of the secrets that are stored; nothing else.
    pub secrets: Vec<StepSecret>,
    pub timeout: Option<Duration>,
    /// Inside one attempt of the run; none: the step is tried once in each.
    pub retry: Option<Retry>,
    /// Beside those of the server: the lesser counts.
    pub limits: StepLimits,
    /// Give it a terminal.
    pub tty: bool,
}

/// A secret that a step asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSecret {
    /// As it is stored: of the pipeline, or global.
    pub name: String,
    /// The variable that the step sees.
    pub env: String,
    /// It has the path of a file with the value, not the value.
    pub is_file: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// At least 1.
    pub attempts: u32,
    /// Before the second attempt; doubles with each further one.
    pub delay: Duration,
}

impl Retry {
    /// What a definition has that says nothing of it.
    pub const DEFAULT: Self = Self { attempts: 3, delay: Duration::from_secs(1) };
}

/// Which end of what a step needs has it run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// All that it needs has succeeded (and nothing that it needs was skipped).
    Success,
    /// A step that it needs, or any step where it needs none, has failed.
    Failure,
    /// Whatever happened, also after cancel and timeout.
    Always,
}

/// A step as a definition has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStep {
    /// Unique in its definition.
    pub name: String,
    /// The steps that have to end before it starts.
    pub needs: Vec<String>,
    /// How these have to end.
    pub when: When,
    /// Where its name stands, from 1.
    pub line: u32,
}

/// What is wrong with a definition, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// A path such as `steps[2].timeout`.
    pub path: String,
    /// What is wrong there.
    pub message: String,
    /// What would have been right there.
    pub expected: String,
}

/// Reads a definition, written as `docs/pipeline.schema.json` says.
///
/// # Errors
///
/// What is wrong with it, in the order of the text: at most [`PROBLEMS_MAX`] problems.
pub fn parse(text: &str) -> Result<Definition, Vec<Problem>> {
    crate::domain::definition::read(text)
}

/// Reads a definition for the order of its steps.
///
/// # Errors
///
/// As [`parse`].
pub fn plan(text: &str) -> Result<Vec<PlannedStep>, Vec<Problem>> {
    crate::domain::definition::plan(text)
}
