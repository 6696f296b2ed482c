//! Blocks of lines as they are stored, and as server-sent events.
//!
//! A stored block is NDJSON, a [`LogLine`] a line, exactly as clients get it: it is encoded once, by the
//! writer, and every reader passes the bytes on.

use std::borrow::Cow;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::domain::log::{LineId, LogLine};
use crate::error::{Error, Result};

/// Consecutive lines, as NDJSON. Each line ends with `\n`.
#[derive(Debug, Clone)]
pub struct Block {
    pub first_n: u64,
    pub last_n: u64,
    pub text: Bytes,
}

impl Block {
    /// Reads a stored block; none if it is not one.
    pub fn parse(text: Bytes, last_n: u64) -> Option<Self> {
        let count = memchr::memchr_iter(b'\n', &text).count() as u64;
        if count == 0 || last_n < count || text.last() != Some(&b'\n') {
            return None;
        }
        Some(Self { first_n: last_n - count + 1, last_n, text })
    }

    /// Only the lines above `n`; none if there are none.
    #[must_use]
    pub fn after(self, n: u64) -> Option<Self> {
        if n < self.first_n {
            return Some(self);
        }
        if self.last_n <= n {
            return None;
        }
        let skipped = (n - self.first_n) as usize;
        let start = memchr::memchr_iter(b'\n', &self.text).nth(skipped)? + 1;
        Some(Self { first_n: n + 1, last_n: self.last_n, text: self.text.slice(start..) })
    }

    /// Its lines, without their ends.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        memchr::memchr_iter(b'\n', &self.text).map(move |end| {
            let line = &self.text[start..end];
            start = end + 1;
            line
        })
    }

    fn last_line(&self) -> Option<&[u8]> {
        let lines = self.text.strip_suffix(b"\n")?;
        let start = memchr::memrchr(b'\n', lines).map_or(0, |end| end + 1);
        Some(&lines[start..])
    }

    /// Whether its first and last line have the numbers that the block says.
    pub fn is_numbered(&self) -> bool {
        let is = |line: Option<&[u8]>, n: u64| line.and_then(number_of) == Some(n);
        is(self.lines().next(), self.first_n) && is(self.last_line(), self.last_n)
    }

    pub fn decode(&self) -> serde_json::Result<Vec<LogLine>> {
        self.lines().map(serde_json::from_slice).collect()
    }
}

/// Appends a line to a block that is being made.
pub fn encode(line: &LogLine, text: &mut Vec<u8>) {
    serde_json::to_writer(&mut *text, line).expect("a log line has nothing that JSON cannot hold");
    text.push(b'\n');
}

/// A block as finished server-sent events, and where each begins, so that any part of it can be sent.
#[derive(Debug, Clone)]
pub struct Frames {
    pub first_n: u64,
    pub last_n: u64,
    bytes: Bytes,
    /// Where the event of the line `first_n + i` begins.
    starts: Box<[u32]>,
}

impl Frames {
    pub fn of(block: &Block) -> Self {
        let count = (block.last_n - block.first_n + 1) as usize;
        let mut bytes = BytesMut::with_capacity(block.text.len() + count * 32);
        let mut starts = Vec::with_capacity(count);
        for line in block.lines() {
            starts.push(bytes.len() as u32);
            put_event(&mut bytes, line, id_of(line));
        }
        Self { first_n: block.first_n, last_n: block.last_n, bytes: bytes.freeze(), starts: starts.into() }
    }

    /// The events of the lines above `n`.
    pub fn after(&self, n: u64) -> Bytes {
        if n < self.first_n {
            return self.bytes.clone();
        }
        let index = (n - self.first_n + 1) as usize;
        match self.starts.get(index) {
            Some(start) => self.bytes.slice(*start as usize..),
            None => Bytes::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// A value as one finished server-sent event.
pub fn event(value: &impl Serialize, id: u64) -> Result<Bytes> {
    let json = serde_json::to_vec(value).map_err(|error| Error::internal("encoding an event", error))?;
    let mut event = BytesMut::with_capacity(json.len() + 48);
    put_event(&mut event, &json, id.to_string().as_bytes());
    Ok(event.freeze())
}

/// Writes one server-sent event with an id. `data` has no line break, as JSON written by serde has none.
pub fn put_event(bytes: &mut BytesMut, data: &[u8], id: &[u8]) {
    bytes.put_slice(b"data: ");
    bytes.put_slice(data);
    bytes.put_slice(b"\nid: ");
    bytes.put_slice(id);
    bytes.put_slice(b"\n\n");
}

/// The number of a stored line; none if it is not one.
pub fn number_of(line: &[u8]) -> Option<u64> {
    std::str::from_utf8(id_of(line)).ok()?.parse::<LineId>().ok().map(|id| id.n)
}

/// The text of a stored line. Most have no escapes in it, and whoever looks through millions of them has no time to parse
/// the rest, so it is cut out where [`encode`] put it: within a string before it, no quote stands without a backslash.
pub fn message_of(line: &[u8]) -> serde_json::Result<Cow<'_, str>> {
    const BEFORE: &[u8] = b",\"message\":";
    let start = memchr::memmem::find(line, BEFORE).map_or(line.len(), |at| at + BEFORE.len());
    let text = line.get(start + 1..).unwrap_or_default();
    if let Some(end) = memchr::memchr2(b'"', b'\\', text)
        && text[end] == b'"'
        && let Ok(text) = std::str::from_utf8(&text[..end])
    {
        return Ok(Cow::Borrowed(text));
    }
    String::deserialize(&mut serde_json::Deserializer::from_slice(&line[start..])).map(Cow::Owned)
}

/// The id in a stored line: its first field, written by [`encode`].
fn id_of(line: &[u8]) -> &[u8] {
    const BEFORE: Range<usize> = 0..b"{\"id\":\"".len();
    let rest = line.get(BEFORE.end..).unwrap_or_default();
    let end = memchr::memchr(b'"', rest).unwrap_or(rest.len());
    &rest[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::log::{LineId, LogStream};
    use crate::domain::time::Timestamp;

    fn line(n: u64) -> LogLine {
        LogLine {
            id: LineId { epoch: 2, n },
            n,
            timestamp: Timestamp::from_millis(1_700_000_000_000),
            step: Some("build".to_owned()),
            attempt: 1,
            stream: LogStream::Stdout,
            message: format!("line {n}\nof \"text\""),
            partial: false,
            continued: n == 7,
        }
    }

    fn block(numbers: std::ops::RangeInclusive<u64>) -> Block {
        let mut text = Vec::new();
        let last_n = *numbers.end();
        numbers.for_each(|n| encode(&line(n), &mut text));
        Block::parse(text.into(), last_n).unwrap()
    }

    #[test]
    fn a_block_gives_back_the_lines_that_were_put_in() {
        let block = block(5..=9);
        assert_eq!((block.first_n, block.last_n), (5, 9));
        assert_eq!(block.decode().unwrap(), (5..=9).map(line).collect::<Vec<_>>());
    }

    #[test]
    fn a_block_is_cut_behind_any_line() {
        for n in 0..=10 {
            let rest = block(5..=9).after(n).map(|block| (block.first_n, block.decode().unwrap()));
            let expected: Vec<_> = (5..=9).filter(|number| n < *number).map(line).collect();
            match rest {
                Some((first_n, lines)) => {
                    assert_eq!(first_n, expected[0].n);
                    assert_eq!(lines, expected);
                }
                None => assert!(expected.is_empty(), "after {n}"),
            }
        }
    }

    #[test]
    fn a_text_is_cut_out_of_a_line_as_it_was_put_in() {
        let texts =
            ["", "plain", "a \"quoted\" \\ one", "\u{1b}[1mbold\u{1b}[0m", "ends with \\", "ÄÖ 中文 \u{0}\n"];
        let steps = ["build", r#"a","message":"b"#, r"ends with \", r#"","message":""#];
        for (text, step) in texts.iter().flat_map(|text| steps.map(|step| (*text, step))) {
            let line =
                LogLine { step: Some(step.to_owned()), message: text.to_owned(), partial: true, ..line(12) };
            let mut stored = Vec::new();
            encode(&line, &mut stored);
            assert_eq!(message_of(&stored).unwrap(), text, "of the step {step}");
            assert_eq!(number_of(&stored), Some(12));
        }
        for broken in
            ["", "{}", "{\"id\":\"1-1\"", "{\"id\":\"1-1\",\"message\":", "{\"id\":\"1-1\",\"message\":\"a"]
        {
            assert!(message_of(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn frames_are_cut_behind_any_line_too() {
        let frames = Frames::of(&block(5..=9));
        for n in 0..=10 {
            let text = String::from_utf8(frames.after(n).to_vec()).unwrap();
            let ids: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
            let expected: Vec<_> = (5..=9).filter(|number| n < *number).map(|n| format!("2-{n}")).collect();
            assert_eq!(ids, expected, "after {n}");
        }
    }
}
