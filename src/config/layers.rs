//! Values before they are understood: what each source says, laid over one another.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::environment::Environment;
use crate::config::settings::{self, SETTINGS, Shown};
use crate::config::values::Expected;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// The line counts from 1.
    File {
        path: PathBuf,
        line: usize,
    },
    Variable(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// None: with the settings as a whole.
    pub origin: Option<Origin>,
    pub message: String,
}

/// All that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub Vec<Problem>);

impl std::error::Error for ConfigError {}

/// One line for each problem.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if 0 < index {
                f.write_str("\n")?;
            }
            match &problem.origin {
                Some(origin) => write!(f, "{origin}: {}", problem.message)?,
                None => f.write_str(&problem.message)?,
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    Text(String),
    List(Vec<String>),
}

impl Raw {
    /// As one text; a list with commas.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(items) => items.join(","),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// All sources, and what was found wrong on the way.
#[derive(Debug, Default)]
pub(super) struct Layers {
    defaults: BTreeMap<&'static str, Value>,
    values: BTreeMap<&'static str, Value>,
    pub(super) problems: Vec<Problem>,
}

impl Layers {
    pub(super) fn new(defaults: &str) -> Self {
        let mut layers = Self::default();
        layers.add_file(Path::new("config.default.toml"), defaults);
        let values = std::mem::take(&mut layers.values);
        let as_default = |(key, value): (_, Value)| (key, Value { origin: Origin::Default, ..value });
        layers.defaults = values.into_iter().map(as_default).collect();
        layers
    }

    pub(super) fn problem(&mut self, origin: Option<Origin>, message: impl Into<String>) {
        self.problems.push(Problem { origin, message: message.into() });
    }

    /// Lays a value over what is there.
    pub(super) fn set(&mut self, key: &'static str, raw: Raw, origin: Origin) {
        self.values.insert(key, Value { raw, origin });
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key).or_else(|| self.defaults.get(key))
    }

    pub(super) fn add_file(&mut self, path: &Path, text: &str) {
        let at = |start: usize| {
            let line = text.bytes().take(start).filter(|&byte| byte == b'\n').count() + 1;
            Origin::File { path: path.to_owned(), line }
        };
        match DeTable::parse(text) {
            Ok(table) => self.add_table("", table.get_ref(), &at),
            Err(error) => {
                let start = error.span().map_or(0, |span| span.start);
                self.problem(Some(at(start)), format!("not TOML: {}", error.message()));
            }
        }
    }

    fn add_table(&mut self, prefix: &str, table: &DeTable<'_>, at: &dyn Fn(usize) -> Origin) {
        // The map is in order of names; people read problems in the order of their file.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            let key = format!("{prefix}{}", name.get_ref());
            let origin = at(name.span().start);
            if let Some(setting) = settings::by_key(&key) {
                match raw_of(value) {
                    Some(raw) => self.set(setting.key, raw, origin),
                    None => {
                        self.problem(Some(origin), format!("{key}: expected a value, or a list of texts"))
                    }
                }
            } else if let (true, Some(inner)) = (is_section(&key), value.get_ref().as_table()) {
                self.add_table(&format!("{key}."), inner, at);
            } else {
                let nearest = settings::nearest_key(&key);
                self.problem(Some(origin), format!("{key}: no such setting; the nearest is {nearest}"));
            }
        }
    }

    pub(super) fn add_environment(&mut self, environment: &Environment) {
        for name in environment.names().filter(|name| settings::is_unknown_variable(name)) {
            let nearest = settings::nearest_variable(name);
            let message = format!("no such setting; the nearest is {nearest}");
            self.problem(Some(Origin::Variable(name.to_owned())), message);
        }
        for setting in SETTINGS {
            if let Some(value) = environment.get(setting.variable) {
                let origin = Origin::Variable(setting.variable.to_owned());
                self.set(setting.key, Raw::Text(value.to_owned()), origin);
            }
        }
    }

    /// `key=value`. A secret is refused: everybody on the machine can read a process's arguments.
    pub(super) fn add_assignment(&mut self, assignment: &str) {
        let Some((key, value)) = assignment.split_once('=') else {
            let flag = Origin::Flag("--set".to_owned());
            return self.problem(Some(flag), format!("{assignment}: expected KEY=VALUE"));
        };
        let flag = Origin::Flag(format!("--set {key}"));
        match settings::by_key(key) {
            Some(setting) if setting.shown == Shown::Plainly => {
                self.set(setting.key, Raw::Text(value.to_owned()), flag);
            }
            Some(setting) => {
                let message = format!("may hold a secret; set {} or the file instead", setting.variable);
                self.problem(Some(flag), message);
            }
            None => {
                let nearest = settings::nearest_key(key);
                self.problem(Some(flag), format!("no such setting; the nearest is {nearest}"));
            }
        }
    }

    /// The value of a setting that has a default, in the form that `parse` reads. If it does not: the problem
    /// is noted, and the default stands in, so that all problems are found at once.
    pub(super) fn required<T>(&mut self, key: &str, parse: impl Fn(&str) -> Expected<T>) -> T {
        match self.optional(key, &parse) {
            Some(value) => value,
            None => {
                let default = self.defaults.get(key).expect("the compiled-in file has each required setting");
                parse(&default.raw.to_text()).expect("defaults have the form of their settings")
            }
        }
    }

    pub(super) fn optional<T>(&mut self, key: &str, parse: impl Fn(&str) -> Expected<T>) -> Option<T> {
        let Value { raw, origin } = self.get(key)?.clone();
        let text = raw.to_text();
        let is_one_value = matches!(raw, Raw::Text(_));
        match parse(&text) {
            Ok(value) if is_one_value => Some(value),
            Ok(_) => {
                self.problem(Some(origin), format!("{key}: expected one value, not a list"));
                None
            }
            Err(expected) => {
                self.wrong(key, &text, origin, &expected);
                None
            }
        }
    }

    /// A list; where it comes as one text, its items are separated by commas.
    pub(super) fn list<T>(&mut self, key: &str, parse: impl Fn(&[String]) -> Expected<Vec<T>>) -> Vec<T> {
        let Some(Value { raw, origin }) = self.get(key).cloned() else { return Vec::new() };
        let text = raw.to_text();
        let items: Vec<String> = match raw {
            Raw::List(items) => items,
            Raw::Text(text) => {
                text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
            }
        };
        parse(&items).unwrap_or_else(|expected| {
            self.wrong(key, &text, origin, &expected);
            Vec::new()
        })
    }

    fn wrong(&mut self, key: &str, text: &str, origin: Origin, expected: &str) {
        let setting = settings::by_key(key).expect("only known settings are read");
        let message = match setting.shown {
            Shown::Plainly => format!("{key}: expected {expected}, got {text:?}"),
            Shown::WithoutPassword | Shown::Never => format!("{key}: expected {expected}"),
        };
        self.problem(Some(origin), message);
    }
}

fn is_section(key: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.key.split_once('.').is_some_and(|(section, _)| section == key))
}

/// None for what no setting can be: tables, dates, lists of other things than text.
fn raw_of(value: &Spanned<DeValue<'_>>) -> Option<Raw> {
    match value.get_ref() {
        DeValue::String(text) => Some(Raw::Text(text.to_string())),
        DeValue::Integer(number) if number.radix() == 10 => Some(Raw::Text(number.as_str().to_owned())),
        DeValue::Boolean(value) => Some(Raw::Text(value.to_string())),
        DeValue::Array(items) => {
            let text = |item: &Spanned<DeValue<'_>>| item.get_ref().as_str().map(str::to_owned);
            items.iter().map(text).collect::<Option<_>>().map(Raw::List)
        }
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}
