//! Server-sent events out of bytes, as they come: an event may be cut anywhere.
//!
//! The reading side of the standard's event stream. Written by hand: it is small, must bound what it keeps,
//! and the libraries bring a client of their own along.

/// An event that is larger is taken for an attack or a mistake. A log line is at most a few dozen KiB.
pub(super) const EVENT_BYTES_MAX: usize = 4 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// `message` where the stream names none.
    pub(super) name: String,
    pub(super) data: String,
    /// The last id that the stream gave up to and with this event.
    pub(super) id: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("the server sent an event of more than {EVENT_BYTES_MAX} bytes")]
pub(super) struct TooLarge;

/// Keeps what of an event has come so far.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    /// The byte before was CR: an LF behind it belongs to the same line end.
    after_cr: bool,
    at_start: bool,
    name: Option<String>,
    data: Option<String>,
    id: Option<String>,
}

impl Parser {
    pub(super) fn new() -> Self {
        Self { at_start: true, ..Self::default() }
    }

    /// Takes the next bytes; the events that they complete.
    ///
    /// # Errors
    ///
    /// An event is over [`EVENT_BYTES_MAX`]. The stream is not to be read any further.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.keep(rest)?;
                break;
            };
            self.keep(&rest[..end])?;
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            let line = std::mem::take(&mut self.line);
            events.extend(self.end_line(&String::from_utf8_lossy(&line)));
        }
        Ok(events)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        let data = self.data.as_ref().map_or(0, String::len);
        if EVENT_BYTES_MAX < self.line.len() + bytes.len() + data {
            return Err(TooLarge);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, line: &str) -> Option<Event> {
        let line = match std::mem::take(&mut self.at_start) {
            true => line.strip_prefix('\u{feff}').unwrap_or(line),
            false => line,
        };
        if line.is_empty() {
            let name = self.name.take();
            let data = self.data.take()?;
            let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| "message".to_owned());
            return Some(Event { name, data, id: self.id.clone() });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.name = Some(value.to_owned()),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()).filter(|id| !id.is_empty()),
            // Comments have an empty name; `retry` and what the standard does not know change nothing here.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str, id: Option<&str>) -> Event {
        Event { name: name.to_owned(), data: data.to_owned(), id: id.map(str::to_owned) }
    }

    const STREAM: &str = "\u{feff}retry: 500\n\nevent: connected\ndata: {}\n\n: a comment\n\
        data: {\"n\":1,\"message\":\"\u{e4}\u{1f600}\"}\nid: 1-1\n\n\ndata: a\r\ndata:  b\r\nid: 1-2\r\n\r\n\
        event: ping\rdata: \r\revent: unheard\n\nid:\ndata\n\nevent: return\ndata:\n\ndata: cut off\n";

    fn expected() -> Vec<Event> {
        vec![
            event("connected", "{}", None),
            event("message", "{\"n\":1,\"message\":\"\u{e4}\u{1f600}\"}", Some("1-1")),
            event("message", "a\n b", Some("1-2")),
            event("ping", "", Some("1-2")),
            event("message", "", None),
            event("return", "", None),
        ]
    }

    #[test]
    fn events_are_the_same_wherever_the_stream_is_cut() {
        let bytes = STREAM.as_bytes();
        for cut in 0..=bytes.len() {
            for second in [cut, (cut + 1).min(bytes.len()), (cut + bytes.len()) / 2] {
                let mut parser = Parser::new();
                let mut events = parser.feed(&bytes[..cut]).unwrap();
                events.extend(parser.feed(&bytes[cut..second]).unwrap());
                events.extend(parser.feed(&bytes[second..]).unwrap());
                assert_eq!(events, expected(), "cut at {cut} and {second}");
            }
        }
        let mut parser = Parser::new();
        let one_by_one: Vec<_> = bytes.iter().flat_map(|&byte| parser.feed(&[byte]).unwrap()).collect();
        assert_eq!(one_by_one, expected());
    }

    #[test]
    fn an_event_without_end_is_refused_instead_of_kept() {
        let mut parser = Parser::new();
        let chunk = vec![b'x'; 1 << 20];
        let fed: Vec<_> = (0..5).map(|_| parser.feed(&chunk).is_ok()).collect();
        assert_eq!(fed, [true, true, true, true, false]);

        let mut parser = Parser::new();
        let line = [b"data: ".as_slice(), &chunk, b"\n"].concat();
        assert!((0..5).any(|_| parser.feed(&line).is_err()), "nor one of many lines");
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;
    use crate::mutate::{Cuts, cuts, holds, mutated};

    const SAMPLES: [&[u8]; 3] = [
        "\u{feff}retry: 500\n\nevent: connected\ndata: {}\n\n: a comment\ndata: {\"n\":1}\nid: 1-1\n\n"
            .as_bytes(),
        b"data: a\r\ndata:  b\r\nid: 1-2\r\n\r\nevent: ping\rdata: \r\revent: unheard\n\nid:\ndata\n\n",
        "id: \u{e4}\0\nid: 7\ndata:\n\nevent:\ndata: \u{1f600}\nnonsense: x\n\ndata: cut off\n".as_bytes(),
    ];

    /// The standard's own words, on a whole stream.
    fn by_the_standard(bytes: &[u8]) -> Vec<Event> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
        let (mut name, mut data, mut id) = (String::new(), String::new(), String::new());
        let mut events = Vec::new();
        let mut lines: Vec<&str> = text.split('\n').collect();
        // What has no end is no line.
        lines.pop();
        for line in lines {
            if line.is_empty() {
                let (name, data) = (std::mem::take(&mut name), std::mem::take(&mut data));
                if let Some(data) = data.strip_suffix('\n') {
                    let name = if name.is_empty() { "message".to_owned() } else { name };
                    let id = Some(id.clone()).filter(|id| !id.is_empty());
                    events.push(Event { name, data: data.to_owned(), id });
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => name = value.to_owned(),
                "data" => data.extend([value, "\n"]),
                "id" if !value.contains('\0') => id = value.to_owned(),
                _ => {}
            }
        }
        events
    }

    #[test]
    fn a_stream_is_read_as_the_standard_says_wherever_it_is_cut() {
        holds(1_500, (mutated(&SAMPLES), cuts()), |(bytes, cuts): (Vec<u8>, Cuts)| {
            let mut parser = Parser::new();
            let mut events = Vec::new();
            for piece in cuts.of(&bytes) {
                events.extend(parser.feed(piece).unwrap());
            }
            prop_assert_eq!(events, by_the_standard(&bytes));
            Ok(())
        });
    }
}
