//! Reads a pipeline's definition from YAML. What it means is said by the types in `domain::pipeline`, how it is
//! written by `docs/pipeline.schema.json`.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::time::Duration;

use saphyr::Scalar;

use crate::domain::definition::order::check_order;
use crate::domain::definition::problems::{Problems, join, quote};
use crate::domain::definition::tree::{Content, Node, Place};
use crate::domain::pipeline::{Definition, PlannedStep, Problem, Retry, StepDefinition, When};
use crate::domain::step_limits::StepLimits;
use crate::domain::text;

mod limits;
mod order;
mod problems;
mod secrets;
mod tree;

/// Of the whole text: far beyond what people write, and little enough to be copied with each run.
pub const BYTES_MAX: usize = 256 * 1024;
/// Problems that one reading reports: nobody mends more at a time.
pub const PROBLEMS_MAX: usize = 50;
/// Steps are rows of each run, and each status that is sent names them all.
pub const STEPS_MAX: usize = 200;
/// Of one step's script: longer ones belong into a file of the repository.
pub const SCRIPT_BYTES_MAX: usize = 64 * 1024;
/// Variables of one `env`. With their values they stay far below what the system lets a program be given.
pub const ENV_MAX: usize = 200;
/// Of one variable's value; Linux takes 128 KiB.
pub const ENV_VALUE_BYTES_MAX: usize = 32 * 1024;
/// Delays double with each attempt: more attempts than this wait for days.
pub const ATTEMPTS: RangeInclusive<u32> = 1..=20;
pub const DELAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3_600);
/// Something that takes longer than a week is not a run but a service.
pub const TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 86_400);

const RETRY_DEFAULT: Retry = Retry { attempts: 3, delay: Duration::from_secs(1) };
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(3_600);

const DEFINITION_KEYS: [&str; 4] = ["retry", "timeout", "env", "steps"];
const STEP_KEYS: [&str; 10] =
    ["name", "run", "needs", "when", "env", "secrets", "timeout", "retry", "limits", "tty"];
const RETRY_KEYS: [&str; 2] = ["attempts", "delay"];
const WHENS: [(&str, When); 3] =
    [("success", When::Success), ("failure", When::Failure), ("always", When::Always)];
const STEPS_EXPECTED: &str = "a list of 1 to 200 steps, each with `name` and `run`";

/// A step as read, with the places that later checks point at.
struct PlacedStep {
    step: StepDefinition,
    name_place: Place,
    /// One for each of `step.needs`.
    need_places: Vec<Place>,
}

pub(super) fn read(text: &str) -> Result<Definition, Vec<Problem>> {
    placed(text).map(|(definition, _)| definition)
}

pub(super) fn plan(text: &str) -> Result<Vec<PlannedStep>, Vec<Problem>> {
    let (definition, lines) = placed(text)?;
    let planned = |(step, line)| {
        let StepDefinition { name, needs, when, .. } = step;
        PlannedStep { name, needs, when, line }
    };
    Ok(definition.steps.into_iter().zip(lines).map(planned).collect())
}

/// With the line of each step's name.
fn placed(text: &str) -> Result<(Definition, Vec<u32>), Vec<Problem>> {
    if BYTES_MAX < text.len() {
        let message = format!("the definition has {} bytes", text.len());
        let expected = format!("at most {BYTES_MAX} bytes");
        return Err(vec![Place::START.problem("", message, &expected)]);
    }
    let root = tree::read(text).map_err(|problem| vec![inside(text, problem)])?;
    let mut problems = Problems::default();
    let read = definition(&mut problems, &root);
    if problems.is_empty() {
        return Ok(read);
    }
    Err(problems.first(PROBLEMS_MAX).into_iter().map(|problem| inside(text, problem)).collect())
}

/// A problem that the parser puts behind the text stands at its end.
fn inside(text: &str, problem: Problem) -> Problem {
    let end = tree::place_of(text, text.len());
    let Place { line, column } = end.min(Place { line: problem.line, column: problem.column });
    Problem { line, column, ..problem }
}

/// Where something is wrong, a problem says so and the default stands in for it.
fn definition(problems: &mut Problems, root: &Node<'_>) -> (Definition, Vec<u32>) {
    let fields = problems.fields(root, "", &DEFINITION_KEYS);
    let retry = fields.get("retry").map_or(RETRY_DEFAULT, |node| retry(problems, node, "retry"));
    let timeout = fields.get("timeout").and_then(|node| problems.duration(node, "timeout", TIMEOUT));
    let env = fields.get("env").map_or_else(BTreeMap::new, |node| env(problems, node, "env"));
    let steps = match fields.get("steps") {
        Some(node) => steps(problems, node),
        None => {
            if matches!(root.content, Content::Map(_)) {
                problems.add(root.place, "steps", "the key `steps` is missing", STEPS_EXPECTED);
            }
            Vec::new()
        }
    };
    check_order(problems, &steps);
    let lines = steps.iter().map(|placed| placed.name_place.line).collect();
    let steps = steps.into_iter().map(|placed| placed.step).collect();
    (Definition { retry, timeout: timeout.unwrap_or(TIMEOUT_DEFAULT), env, steps }, lines)
}

fn steps(problems: &mut Problems, node: &Node<'_>) -> Vec<PlacedStep> {
    let Some(items) = problems.list(node, "steps", STEPS_EXPECTED) else { return Vec::new() };
    if items.is_empty() {
        problems.add(node.place, "steps", "there are no steps", STEPS_EXPECTED);
    }
    if let Some(first_beyond) = items.get(STEPS_MAX) {
        let message = format!("there are {} steps", items.len());
        problems.add(first_beyond.place, "steps", message, STEPS_EXPECTED);
    }
    let steps: Vec<PlacedStep> =
        items.iter().take(STEPS_MAX).enumerate().map(|(index, item)| step(problems, item, index)).collect();

    let mut first_lines: HashMap<&str, u32> = HashMap::new();
    for (index, placed) in steps.iter().enumerate().filter(|(_, placed)| !placed.step.name.is_empty()) {
        if let Some(line) = first_lines.get(placed.step.name.as_str()) {
            let message = format!("the step at line {line} is named {} already", quote(&placed.step.name));
            problems.add(placed.name_place, &format!("steps[{index}].name"), message, "a name of its own");
        } else {
            first_lines.insert(&placed.step.name, placed.name_place.line);
        }
    }
    steps
}

fn step(problems: &mut Problems, node: &Node<'_>, index: usize) -> PlacedStep {
    let path = format!("steps[{index}]");
    let fields = problems.fields(node, &path, &STEP_KEYS);
    if matches!(node.content, Content::Map(_)) {
        for (key, expected) in [("name", "the step's name"), ("run", "a script for `sh -e`")] {
            if !fields.contains_key(key) {
                problems.add(node.place, &join(&path, key), format!("the key `{key}` is missing"), expected);
            }
        }
    }
    let at = |key: &str| join(&path, key);
    let (needs, need_places) =
        fields.get("needs").map_or_else(Default::default, |node| needs(problems, node, &at("needs")));
    let own_env = fields.get("env").map_or_else(BTreeMap::new, |node| env(problems, node, &at("env")));
    let step = StepDefinition {
        name: fields.get("name").and_then(|node| step_name(problems, node, &at("name"))).unwrap_or_default(),
        run: fields.get("run").and_then(|node| script(problems, node, &at("run"))).unwrap_or_default(),
        needs,
        when: fields.get("when").and_then(|node| when(problems, node, &at("when"))).unwrap_or(When::Success),
        secrets: fields
            .get("secrets")
            .map_or_else(Vec::new, |node| secrets::read(problems, node, &at("secrets"), &own_env)),
        env: own_env,
        timeout: fields.get("timeout").and_then(|node| problems.duration(node, &at("timeout"), TIMEOUT)),
        retry: fields.get("retry").map(|node| retry(problems, node, &at("retry"))),
        limits: fields
            .get("limits")
            .map_or_else(StepLimits::default, |node| limits::limits(problems, node, &at("limits"))),
        tty: fields.get("tty").and_then(|node| problems.boolean(node, &at("tty"))).unwrap_or(false),
    };
    let name_place = fields.get("name").map_or(node.place, |node| node.place);
    PlacedStep { step, name_place, need_places }
}

fn step_name(problems: &mut Problems, node: &Node<'_>, path: &str) -> Option<String> {
    let expected = "1 to 100 letters, digits, spaces and . _ - /, the first a letter or digit";
    let name = problems.text(node, path, expected)?;
    match text::step_name(name) {
        Ok(()) => Some(name.to_owned()),
        Err(reason) => {
            problems.add(node.place, path, format!("the name {} {reason}", quote(name)), expected);
            None
        }
    }
}

fn script(problems: &mut Problems, node: &Node<'_>, path: &str) -> Option<String> {
    let expected = "a script for `sh -e`";
    let script = problems.text(node, path, expected)?;
    if script.trim().is_empty() {
        problems.add(node.place, path, "the script is empty", expected);
        return None;
    }
    if SCRIPT_BYTES_MAX < script.len() {
        let message = format!("the script has {} bytes, and {SCRIPT_BYTES_MAX} is the most", script.len());
        problems.add(node.place, path, message, "a short script that calls a file of the repository");
        return None;
    }
    Some(script.to_owned())
}

fn needs(problems: &mut Problems, node: &Node<'_>, path: &str) -> (Vec<String>, Vec<Place>) {
    let expected = "a list of names of other steps";
    let Some(items) = problems.list(node, path, expected) else { return Default::default() };
    if STEPS_MAX < items.len() {
        problems.add(node.place, path, format!("there are {} names", items.len()), expected);
        return Default::default();
    }
    let mut needs: Vec<String> = Vec::new();
    let mut places = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(name) = problems.text(item, &path, "the name of another step") else { continue };
        if needs.iter().any(|need| need == name) {
            problems.add(item.place, &path, format!("{} stands here already", quote(name)), "each name once");
        } else {
            needs.push(name.to_owned());
            places.push(item.place);
        }
    }
    (needs, places)
}

fn when(problems: &mut Problems, node: &Node<'_>, path: &str) -> Option<When> {
    let expected = "success, failure or always";
    let text = problems.text(node, path, expected)?;
    let found = WHENS.iter().find(|(name, _)| *name == text).map(|(_, when)| *when);
    if found.is_none() {
        let meant = problems.suggestion(text, WHENS.iter().map(|(name, _)| *name));
        problems.add(node.place, path, format!("{} is no condition{meant}", quote(text)), expected);
    }
    found
}

fn retry(problems: &mut Problems, node: &Node<'_>, path: &str) -> Retry {
    let fields = problems.fields(node, path, &RETRY_KEYS);
    let attempts = fields
        .get("attempts")
        .and_then(|node| problems.whole_number(node, &join(path, "attempts"), ATTEMPTS));
    let delay = fields.get("delay").and_then(|node| problems.duration(node, &join(path, "delay"), DELAY));
    Retry {
        attempts: attempts.unwrap_or(RETRY_DEFAULT.attempts),
        delay: delay.unwrap_or(RETRY_DEFAULT.delay),
    }
}

fn env(problems: &mut Problems, node: &Node<'_>, path: &str) -> BTreeMap<String, String> {
    let entries = problems.entries(node, path, "names of variables with their values");
    if ENV_MAX < entries.len() {
        let message = format!("there are {} variables", entries.len());
        problems.add(node.place, path, message, &format!("at most {ENV_MAX}"));
        return BTreeMap::new();
    }
    let mut env = BTreeMap::new();
    for (name, place, value) in entries {
        let path = join(path, name);
        if let Err(reason) = text::env_name(name) {
            let expected = "letters, digits and _, not a digit first, not SLIPWAY_ first";
            problems.add(place, &path, format!("the name {} {reason}", quote(name)), expected);
        }
        if let Some(text) = env_value(problems, value, &path) {
            env.insert(name.to_owned(), text.to_owned());
        }
    }
    env
}

/// Numbers and booleans are taken as they are written: `1.10` stays `1.10`.
fn env_value<'n>(problems: &mut Problems, node: &'n Node<'_>, path: &str) -> Option<&'n str> {
    let expected = "a text, a number, or true or false; \"\" for an empty text";
    let text = match &node.content {
        Content::Scalar { value: Scalar::String(text), .. } => text,
        Content::Scalar { value, written } if *value != Scalar::Null => written,
        // Says what stands here instead.
        _ => return problems.text(node, path, expected),
    };
    if ENV_VALUE_BYTES_MAX < text.len() {
        let message = format!("the value has {} bytes", text.len());
        problems.add(node.place, path, message, &format!("at most {ENV_VALUE_BYTES_MAX} bytes"));
        return None;
    }
    Some(text)
}
