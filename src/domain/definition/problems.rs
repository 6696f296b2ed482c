//! Collects what is wrong with a definition, and reads the values that need no more than their own place.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use saphyr::Scalar;

use crate::domain::definition::PROBLEMS_MAX;
use crate::domain::definition::tree::{Content, Node, Place, is_null};
use crate::domain::duration;
use crate::domain::pipeline::Problem;

/// How much of somebody's text a message repeats, in characters.
const QUOTE_CHARS_MAX: usize = 60;

/// All readers give a value or, having said why, none: so one pass finds every problem.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
    /// How often a nearest name was looked for.
    suggestions: usize,
}

impl Problems {
    pub(super) fn add(&mut self, place: Place, path: &str, message: impl Into<String>, expected: &str) {
        self.found.push(place.problem(path, message.into(), expected));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// In the order of the text, the first `count`.
    pub(super) fn first(mut self, count: usize) -> Vec<Problem> {
        self.found.sort_by_key(|problem| (problem.line, problem.column));
        self.found.truncate(count);
        self.found
    }

    /// “; did you mean …?”, where one of the names is near. Looking for it costs the lengths of the text and of all
    /// names, multiplied: so it is done for short texts, and as often as problems are reported.
    pub(super) fn suggestion<'a>(&mut self, text: &str, names: impl Iterator<Item = &'a str>) -> String {
        if QUOTE_CHARS_MAX < text.len() || PROBLEMS_MAX <= self.suggestions {
            return String::new();
        }
        self.suggestions += 1;
        let distance_max = (text.chars().count() / 3).min(3);
        let text = text.to_lowercase();
        names
            .filter(|name| name.len() <= QUOTE_CHARS_MAX)
            .map(|name| (strsim::osa_distance(&text, &name.to_lowercase()), name))
            .filter(|(distance, _)| *distance <= distance_max)
            .min_by_key(|(distance, _)| *distance)
            .map_or_else(String::new, |(_, name)| format!("; did you mean {}?", quote(name)))
    }

    fn wrong_type(&mut self, node: &Node<'_>, path: &str, expected: &str) {
        self.add(node.place, path, format!("{} stands here", kind(node)), expected);
    }

    /// The values of a map by key. Keys that are not `known` are problems, and so are keys given twice.
    pub(super) fn fields<'n, 'a>(
        &mut self,
        node: &'n Node<'a>,
        path: &str,
        known: &[&'static str],
    ) -> HashMap<&'static str, &'n Node<'a>> {
        let mut fields = HashMap::new();
        for (key, place, value) in self.entries(node, path, "keys and values") {
            let at = join(path, key);
            match known.iter().find(|name| **name == key) {
                Some(name) => {
                    fields.insert(*name, value);
                }
                None => {
                    let meant = self.suggestion(key, known.iter().copied());
                    let message = format!("unknown key {}{meant}", quote(key));
                    self.add(place, &at, message, &format!("one of {}", known.join(", ")));
                }
            }
        }
        fields
    }

    /// The entries of a map whose keys are texts, each key once.
    pub(super) fn entries<'n, 'a>(
        &mut self,
        node: &'n Node<'a>,
        path: &str,
        expected: &str,
    ) -> Vec<(&'n str, Place, &'n Node<'a>)> {
        let Content::Map(entries) = &node.content else {
            self.wrong_type(node, path, expected);
            return Vec::new();
        };
        let mut lines: HashMap<&str, u32> = HashMap::new();
        let mut unique = Vec::new();
        for (key, value) in entries {
            let Content::Scalar { written, .. } = &key.content else {
                self.add(key.place, path, format!("{} stands as a key", kind(key)), "a name as key");
                continue;
            };
            match lines.insert(written, key.place.line) {
                None => unique.push((&**written, key.place, value)),
                Some(line) => {
                    let message = format!("the key {} stands at line {line} already", quote(written));
                    self.add(key.place, &join(path, written), message, "each key once");
                }
            }
        }
        unique
    }

    pub(super) fn list<'n, 'a>(
        &mut self,
        node: &'n Node<'a>,
        path: &str,
        expected: &str,
    ) -> Option<&'n [Node<'a>]> {
        match &node.content {
            Content::List(items) => Some(items),
            _ => {
                self.wrong_type(node, path, expected);
                None
            }
        }
    }

    pub(super) fn text<'n>(&mut self, node: &'n Node<'_>, path: &str, expected: &str) -> Option<&'n str> {
        match &node.content {
            Content::Scalar { value: Scalar::String(text), .. } => Some(text),
            Content::Scalar { written, .. } if !is_null(node) => {
                let message =
                    format!("{} stands here: as text it needs quotes, \"{}\"", kind(node), clip(written));
                self.add(node.place, path, message, expected);
                None
            }
            _ => {
                self.wrong_type(node, path, expected);
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, node: &Node<'_>, path: &str) -> Option<bool> {
        match &node.content {
            Content::Scalar { value: Scalar::Boolean(value), .. } => Some(*value),
            _ => {
                self.wrong_type(node, path, "true or false");
                None
            }
        }
    }

    pub(super) fn whole_number(
        &mut self,
        node: &Node<'_>,
        path: &str,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let Content::Scalar { value: Scalar::Integer(number), written } = &node.content else {
            self.wrong_type(node, path, &expected);
            return None;
        };
        let number = u32::try_from(*number).ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.add(node.place, path, format!("{} is out of range", quote(written)), &expected);
        }
        number
    }

    pub(super) fn duration(
        &mut self,
        node: &Node<'_>,
        path: &str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let expected = format!(
            "a span from {} to {}, such as 500ms, 10s, 5m, 1h30m or 2d",
            duration::display(*range.start()),
            duration::display(*range.end())
        );
        let Content::Scalar { written, .. } = &node.content else {
            self.wrong_type(node, path, &expected);
            return None;
        };
        match duration::parse(written) {
            Ok(duration) if range.contains(&duration) => return Some(duration),
            Ok(_) => self.add(node.place, path, format!("{} is out of range", quote(written)), &expected),
            Err(duration::DurationError::NoUnit) => {
                let message = format!("{} has no unit: write {}s for seconds", quote(written), clip(written));
                self.add(node.place, path, message, &expected);
            }
            Err(error @ duration::DurationError::Malformed) => {
                self.add(node.place, path, format!("{} is {error}", quote(written)), &expected);
            }
        }
        None
    }
}

/// What a node is, for people.
fn kind(node: &Node<'_>) -> &'static str {
    match &node.content {
        Content::List(_) => "a list",
        Content::Map(_) => "a map",
        Content::Scalar { value, .. } => match value {
            Scalar::Null => "nothing",
            Scalar::Boolean(_) => "a boolean",
            Scalar::Integer(_) | Scalar::FloatingPoint(_) => "a number",
            Scalar::String(_) => "a text",
        },
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { clip(key) } else { format!("{path}.{}", clip(key)) }
}

pub(super) fn quote(text: &str) -> String {
    format!("“{}”", clip(text))
}

/// The beginning of a text that may be long, in one line.
fn clip(text: &str) -> String {
    let mut characters = text.chars();
    let shown = characters.by_ref().take(QUOTE_CHARS_MAX);
    let mut clipped: String =
        shown.map(|character| if character.is_control() { ' ' } else { character }).collect();
    if characters.next().is_some() {
        clipped.push('…');
    }
    clipped
}
