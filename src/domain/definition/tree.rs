//! YAML as a tree whose every node knows its place in the text.
//!
//! Built from the parser's events and not by its loader: the loader keeps neither the places of keys nor the
//! second of two equal keys, expands aliases, and recurses as deep as the text does.

use std::borrow::Cow;

use saphyr::{Scalar, ScalarStyle};
use saphyr_parser::{Event, Parser, Span};

use crate::domain::pipeline::Problem;

/// How deep a definition can nest: its own rules need 4 levels; the rest is for texts that break them, so that
/// they are told what they did and not only that it is too deep.
const DEPTH_MAX: usize = 16;

/// A place in the text; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Place {
    pub(super) const START: Self = Self { line: 1, column: 1 };

    fn of(mark: &saphyr_parser::Marker) -> Self {
        // The text is bounded far below 2^32 characters.
        Self { line: mark.line().max(1) as u32, column: mark.col() as u32 + 1 }
    }

    pub(super) fn problem(self, path: &str, message: String, expected: &str) -> Problem {
        Problem {
            line: self.line,
            column: self.column,
            path: path.to_owned(),
            message,
            expected: expected.to_owned(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) place: Place,
    pub(super) content: Content<'a>,
}

#[derive(Debug)]
pub(super) enum Content<'a> {
    /// What it means, and how it is written: `1.10` is a number, and as the value of a variable it is `1.10`.
    Scalar {
        value: Scalar<'a>,
        written: Cow<'a, str>,
    },
    List(Vec<Node<'a>>),
    /// In the order of the text, with whatever keys it gives twice.
    Map(Vec<(Node<'a>, Node<'a>)>),
}

/// Reads the one document of a text.
pub(super) fn read(text: &str) -> Result<Node<'_>, Problem> {
    if let Some(at) = text.find('\0') {
        return Err(place_of(text, at).problem("", "the text has a NUL character".to_owned(), "text"));
    }
    let mut builder = Builder { open: Vec::new(), root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            Place::of(error.marker()).problem("", format!("not valid YAML: {}", error.info()), "YAML")
        })?;
        builder.take(event, span)?;
    }
    builder.root.filter(|root| !is_null(root)).ok_or_else(|| {
        Place::START.problem("", "the definition is empty".to_owned(), "a list of steps under `steps:`")
    })
}

pub(super) fn is_null(node: &Node<'_>) -> bool {
    matches!(node.content, Content::Scalar { value: Scalar::Null, .. })
}

/// The place before a byte of the text. As in YAML, CR alone ends a line too.
pub(super) fn place_of(text: &str, byte: usize) -> Place {
    let before = &text[..byte];
    let ends_line = |(at, byte): &(usize, u8)| match byte {
        b'\n' => true,
        b'\r' => before.as_bytes().get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    let (ends, line_start) =
        before.bytes().enumerate().filter(ends_line).fold((0, 0), |(ends, _), (at, _)| (ends + 1, at + 1));
    Place { line: ends + 1, column: before[line_start..].chars().count() as u32 + 1 }
}

/// A list or map whose end has not come.
enum Open<'a> {
    List(Place, Vec<Node<'a>>),
    Map(Place, Vec<(Node<'a>, Node<'a>)>, Option<Node<'a>>),
}

struct Builder<'a> {
    open: Vec<Open<'a>>,
    root: Option<Node<'a>>,
}

impl<'a> Builder<'a> {
    fn take(&mut self, event: Event<'a>, span: Span) -> Result<(), Problem> {
        let place = Place::of(&span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                if self.root.is_some() {
                    let message = "a second document starts here".to_owned();
                    return Err(place.problem("", message, "one document, without further `---`"));
                }
            }
            Event::Alias(_) => return Err(anchored(place)),
            Event::Scalar(text, style, anchor, tag) => {
                plain_node(place, anchor, tag.is_some())?;
                self.add(scalar(place, text, style)?);
            }
            Event::SequenceStart(anchor, tag) => {
                plain_node(place, anchor, tag.is_some())?;
                self.open(place, Open::List(place, Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                plain_node(place, anchor, tag.is_some())?;
                self.open(place, Open::Map(place, Vec::new(), None))?;
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(place, items)) => self.add(Node { place, content: Content::List(items) }),
                Some(Open::Map(place, entries, _)) => {
                    self.add(Node { place, content: Content::Map(entries) });
                }
                None => {}
            },
        }
        Ok(())
    }

    fn open(&mut self, place: Place, open: Open<'a>) -> Result<(), Problem> {
        if DEPTH_MAX <= self.open.len() {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(place.problem("", message, "a definition, which nests 4 levels"));
        }
        self.open.push(open);
        Ok(())
    }

    fn add(&mut self, node: Node<'a>) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, key)) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push((key, node)),
            },
        }
    }
}

fn scalar<'a>(place: Place, text: Cow<'a, str>, style: ScalarStyle) -> Result<Node<'a>, Problem> {
    // Double quotes can spell what the text itself may not hold.
    if text.contains('\0') {
        return Err(place.problem("", "the text has a NUL character".to_owned(), "text"));
    }
    let written = text.clone();
    let value = Scalar::parse_from_cow_and_metadata(text, style, None).unwrap_or(Scalar::Null);
    Ok(Node { place, content: Content::Scalar { value, written } })
}

fn plain_node(place: Place, anchor: usize, is_tagged: bool) -> Result<(), Problem> {
    if anchor != 0 {
        return Err(anchored(place));
    }
    if is_tagged {
        let message = "tags (`!`) have no meaning in a definition".to_owned();
        return Err(place.problem("", message, "the value alone, in quotes where it begins with `!`"));
    }
    Ok(())
}

fn anchored(place: Place) -> Problem {
    let message = "anchors and aliases (`&` and `*`) have no meaning in a definition".to_owned();
    place.problem("", message, "the value itself, in quotes where it begins with `&` or `*`")
}
