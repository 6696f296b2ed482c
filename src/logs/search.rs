//! Looking for lines in a whole log: frame by frame, several segments at a time, without parsing lines that cannot match.

use std::borrow::Cow;
use std::num::NonZero;
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use regex::{Regex, RegexBuilder, bytes};
use serde::Deserialize;

use crate::domain::ids::RunId;
use crate::domain::terminal::harmless;
use crate::error::{Error, Result, Source};
use crate::logs::Logs;
use crate::logs::archive::{self, Segment};
use crate::logs::lines::{Block, message_of, number_of};

/// Searches that this process works on at a time, and segments of each: more would take the processors from whoever
/// writes logs.
pub(super) const SEARCHES_MAX: usize = 2;
static SEGMENTS_MAX: LazyLock<usize> =
    LazyLock::new(|| available_parallelism().map_or(1, NonZero::get).div_ceil(2).clamp(2, 8));
/// What a compiled pattern may take of memory.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// How an escape character stands in a stored line.
const STORED_ESCAPE: &str = r"\\u001b";

/// What is looked for in lines: as a terminal shows them, so colours within a word do not hide it.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: Regex,
    /// Where it is not found in the stored bytes, no line matches; none: any line may.
    stored: Option<bytes::Regex>,
    step: Option<String>,
}

/// Of a stored line, where it is from.
#[derive(Deserialize)]
struct Origin<'a> {
    #[serde(borrow)]
    step: Option<Cow<'a, str>>,
}

/// Part of a log that was looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// All lines up to this one have been looked at.
    pub last_n: u64,
    /// The lines that match, in order.
    pub hits: Vec<u64>,
}

impl Pattern {
    /// A text as it is.
    ///
    /// # Errors
    ///
    /// `Invalid` for a text that is too long.
    pub fn text(text: &str, match_case: bool, step: Option<String>) -> Result<Self> {
        let json = serde_json::to_string(text).map_err(|error| Error::internal("searching a log", error))?;
        let stored = format!("(?:{})|(?:{STORED_ESCAPE})", regex::escape(&json[1..json.len() - 1]));
        let stored = bytes::RegexBuilder::new(&stored)
            .case_insensitive(!match_case)
            .size_limit(PATTERN_BYTES_MAX)
            .build()
            .map_err(|error| Error::invalid("text", error.to_string()))?;
        Ok(Self { text: compiled(&regex::escape(text), match_case)?, stored: Some(stored), step })
    }

    /// A regular expression in the syntax of the crate `regex`, which takes linear time.
    ///
    /// # Errors
    ///
    /// `Invalid` for what is none.
    pub fn regex(text: &str, match_case: bool, step: Option<String>) -> Result<Self> {
        Ok(Self { text: compiled(text, match_case)?, stored: None, step })
    }

    /// Adds the numbers of those lines of a block that match.
    fn find(&self, block: &Block, hits: &mut Vec<u64>) -> Result<()> {
        let text = &block.text[..];
        let mut at = 0;
        while at < text.len() {
            if let Some(stored) = &self.stored {
                let Some(found) = stored.find_at(text, at) else { return Ok(()) };
                at = memchr::memrchr(b'\n', &text[at..found.start()]).map_or(at, |end| at + end + 1);
            }
            let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end);
            let line = &text[at..end];
            if self.matches(line).map_err(broken)? {
                hits.push(number_of(line).ok_or_else(|| broken("a line without a number"))?);
            }
            at = end + 1;
        }
        Ok(())
    }

    fn matches(&self, line: &[u8]) -> serde_json::Result<bool> {
        let message = message_of(line)?;
        let is_match = match message.contains('\u{1b}') {
            true => self.text.is_match(&harmless(&message, false)),
            false => self.text.is_match(&message),
        };
        match &self.step {
            Some(step) if is_match => {
                let origin: Origin<'_> = serde_json::from_slice(line)?;
                Ok(origin.step.as_deref() == Some(step))
            }
            _ => Ok(is_match),
        }
    }
}

fn broken(error: impl Into<Source>) -> Error {
    Error::internal("reading a stored line", error)
}

fn compiled(pattern: &str, match_case: bool) -> Result<Regex> {
    RegexBuilder::new(pattern)
        .case_insensitive(!match_case)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|error| Error::invalid("text", error.to_string()))
}

impl Logs {
    /// Looks for lines above `after_n` up to `until_n`, in order. Dropping the stream ends the work. It waits for its turn.
    pub fn search(
        &self,
        run: &RunId,
        pattern: Pattern,
        after_n: u64,
        until_n: u64,
    ) -> BoxStream<'static, Result<Found>> {
        let (logs, run, pattern) = (self.clone(), run.clone(), Arc::new(pattern));
        let found = async_stream::try_stream! {
            let _turn = Arc::clone(&logs.searches).acquire_owned().await;
            let mut last_n = after_n;
            let parts = parts(logs.segments(&run).await?, after_n, until_n);
            let looks = parts.into_iter().map(|(segment, after_n)| {
                logs.clone().look_through(segment, Arc::clone(&pattern), after_n, until_n)
            });
            let mut looks = futures::stream::iter(looks).buffered(*SEGMENTS_MAX);
            while let Some(found) = looks.try_next().await? {
                last_n = found.last_n;
                yield found;
            }
            // What is not archived yet, or has been since.
            while last_n < until_n {
                let blocks = logs.read(&run, last_n).await?;
                let Some(last) = blocks.last() else { break };
                last_n = last.last_n.min(until_n);
                let pattern = Arc::clone(&pattern);
                let hits = blocking(move || find(blocks.into_iter().map(Ok), &pattern, after_n, until_n)).await?;
                yield Found { last_n, hits };
            }
        };
        found.boxed()
    }

    async fn look_through(
        self,
        segment: Segment,
        pattern: Arc<Pattern>,
        after_n: u64,
        until_n: u64,
    ) -> Result<Found> {
        let object = self.segment(&segment).await?;
        let hits = blocking(move || find(archive::blocks(&object)?, &pattern, after_n, until_n)).await?;
        Ok(Found { last_n: segment.last_n.min(until_n), hits })
    }
}

async fn blocking(work: impl FnOnce() -> Result<Vec<u64>> + Send + 'static) -> Result<Vec<u64>> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::internal("searching a log", error))?
}

fn find(
    blocks: impl Iterator<Item = Result<Block>>,
    pattern: &Pattern,
    after_n: u64,
    until_n: u64,
) -> Result<Vec<u64>> {
    let mut hits = Vec::new();
    for block in blocks {
        pattern.find(&block?, &mut hits)?;
    }
    hits.retain(|n| (after_n + 1..=until_n).contains(n));
    Ok(hits)
}

/// The segments that hold the lines wanted, each with the line that it is read from: they may overlap.
fn parts(segments: Vec<Segment>, after_n: u64, until_n: u64) -> Vec<(Segment, u64)> {
    let mut parts: Vec<(Segment, u64)> = Vec::new();
    let mut n = after_n;
    while n < until_n {
        let has_next = |segment: &&Segment| segment.first_n <= n + 1 && n < segment.last_n;
        let Some(segment) = segments.iter().filter(has_next).min_by_key(|segment| segment.last_n) else {
            break;
        };
        parts.push((segment.clone(), n));
        n = segment.last_n;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::log::{LineId, LogLine, LogStream};
    use crate::domain::time::Timestamp;
    use crate::logs::lines::encode;

    fn block(first_n: u64, messages: &[&str]) -> Block {
        let mut text = Vec::new();
        for (n, message) in (first_n..).zip(messages) {
            let line = LogLine {
                id: LineId { epoch: 1, n },
                n,
                timestamp: Timestamp::from_millis(1_700_000_000_000),
                step: Some(if n % 2 == 0 { "even" } else { "odd" }.to_owned()),
                attempt: 1,
                stream: LogStream::Stdout,
                message: (*message).to_owned(),
                partial: false,
                continued: false,
            };
            encode(&line, &mut text);
        }
        Block::parse(text.into(), first_n + messages.len() as u64 - 1).unwrap()
    }

    fn hits(pattern: Result<Pattern>, messages: &[&str]) -> Vec<u64> {
        find([Ok(block(1, messages))].into_iter(), &pattern.unwrap(), 0, 100).unwrap()
    }

    #[test]
    fn a_text_is_found_as_a_terminal_shows_it() {
        let messages = [
            "an Error",
            "err\u{1b}[31mor\u{1b}[0m",
            "erro",
            "a \"quoted\" \\ tab\tend",
            "ÄRGER",
            "error error",
        ];
        let text = |text: &str, match_case| hits(Pattern::text(text, match_case, None), &messages);
        assert_eq!(text("error", false), [1, 2, 6]);
        assert_eq!(text("error", true), [2, 6]);
        assert!(text("[31m", false).is_empty());
        assert_eq!(text("\"quoted\" \\ tab\tend", true), [4]);
        assert_eq!(text("ärger", false), [5]);
        // What stands around the message in a stored line is no part of it.
        for around in ["stdout", "message", "odd", "attempt", "u001b", "\":\""] {
            assert!(text(around, false).is_empty(), "{around}");
        }
    }

    #[test]
    fn a_regular_expression_is_held_against_each_line_of_its_own() {
        let messages = ["took 12 ms", "took 7 s", "\u{1b}[1mtook\u{1b}[0m 99 ms", "a\tb"];
        let regex = |text: &str, step: Option<&str>| {
            hits(Pattern::regex(text, false, step.map(str::to_owned)), &messages)
        };
        assert_eq!(regex(r"^took \d+ ms$", None), [1, 3]);
        assert_eq!(regex(r"^a\sb$", None), [4]);
        assert_eq!(regex("took", Some("even")), [2]);
        assert!(matches!(Pattern::regex("(", false, None), Err(Error::Invalid { .. })));
        assert!(matches!(
            Pattern::regex(&"(a{100}){100}".repeat(50), false, None),
            Err(Error::Invalid { .. })
        ));
    }
}
