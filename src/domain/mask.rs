//! Secrets out of bytes, over chunk borders and in the usual encodings.
//!
//! It finds values that it was given. It is no defence against a command that wants to leak one, which can
//! always spell it differently.

use std::collections::BTreeSet;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::domain::secret::Secret;

/// What stands in place of a secret.
pub const MASK: &str = "***";
/// A shorter value would mask ordinary words. The place where secrets are stored refuses it.
pub const SECRET_CHARS_MIN: usize = 6;
/// A line of a multi-line value is masked on its own from here on: keys are full of short lines like `}`.
const SECRET_LINE_CHARS_MIN: usize = 8;

/// RFC 3986: what never needs an escape.
const URL_STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What JavaScript's `encodeURIComponent` leaves as it is.
const URL_COMPONENT: &AsciiSet =
    &URL_STRICT.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');

/// The values are too many or too long to be looked for.
#[derive(Debug, thiserror::Error)]
#[error("the secrets are too many or too long to be masked")]
pub struct MaskError;

/// Looks for secrets. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Masker {
    /// `None` where there is nothing to look for.
    patterns: Option<Arc<Patterns>>,
}

struct Patterns {
    /// In order, so that a binary search finds those that begin with some bytes.
    sorted: Vec<Vec<u8>>,
    finder: AhoCorasick,
    starts: [bool; 256],
    bytes_max: usize,
}

impl std::fmt::Debug for Patterns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Patterns(***)")
    }
}

impl Masker {
    /// Values under [`SECRET_CHARS_MIN`] are passed over.
    ///
    /// # Errors
    ///
    /// The values are so many or so long that no matcher can be built: then nothing may be shown.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret<String>>) -> Result<Self, MaskError> {
        let mut patterns = BTreeSet::new();
        for secret in secrets {
            add_patterns(secret.reveal(), &mut patterns);
        }
        if patterns.is_empty() {
            return Ok(Self::default());
        }
        let sorted: Vec<Vec<u8>> = patterns.into_iter().collect();
        // Overlapping search needs the standard kind: the leftmost kinds would leave the end of a secret
        // readable that begins inside another one. A DFA is no faster here and five times slower to build.
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&sorted)
            .map_err(|_| MaskError)?;
        let mut starts = [false; 256];
        let mut bytes_max = 0;
        for pattern in &sorted {
            starts[usize::from(pattern[0])] = true;
            bytes_max = bytes_max.max(pattern.len());
        }
        Ok(Self { patterns: Some(Arc::new(Patterns { sorted, finder, starts, bytes_max })) })
    }

    /// Nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_none()
    }

    /// Masks a whole text.
    pub fn mask(&self, text: &str) -> String {
        let mut stream = self.stream();
        let mut masked = Vec::with_capacity(text.len());
        stream.push(text.as_bytes(), &mut masked);
        stream.finish(&mut masked);
        // Patterns are valid UTF-8, so a match begins and ends between characters.
        String::from_utf8_lossy(&masked).into_owned()
    }

    /// Masks bytes that arrive in pieces.
    pub fn stream(&self) -> MaskStream {
        MaskStream { patterns: self.patterns.clone(), held: Vec::new(), covered: 0 }
    }
}

/// Masks one stream of bytes. Holds back what may be the beginning of a secret, less than the longest
/// pattern, and nothing at all when there are no secrets.
#[derive(Debug)]
pub struct MaskStream {
    patterns: Option<Arc<Patterns>>,
    /// Raw.
    held: Vec<u8>,
    /// The first bytes of `held` belong to a match whose mask has been given out already.
    covered: usize,
}

impl MaskStream {
    /// Takes the next bytes and appends to `masked` what can be shown.
    pub fn push(&mut self, bytes: &[u8], masked: &mut Vec<u8>) {
        let Some(patterns) = self.patterns.clone() else {
            masked.extend_from_slice(bytes);
            return;
        };
        self.held.extend_from_slice(bytes);
        let held_from = self.held.len() - patterns.open_end(&self.held);
        self.release(&patterns, held_from, masked);
    }

    /// Appends the rest: no more bytes will come.
    pub fn finish(&mut self, masked: &mut Vec<u8>) {
        if let Some(patterns) = self.patterns.clone() {
            self.release(&patterns, self.held.len(), masked);
            self.covered = 0;
        }
    }

    /// Gives out what stands before `held_from`. A match that reaches over it is masked here, and what
    /// remains of it is remembered as covered: so what is held never grows beyond the longest pattern, even
    /// in an endless chain of overlapping matches.
    fn release(&mut self, patterns: &Patterns, held_from: usize, masked: &mut Vec<u8>) {
        let mut at = 0;
        for (start, end, shown) in patterns.intervals(&self.held, self.covered) {
            // What was shown stays covered, also when nothing can be given out this time.
            if held_from <= start && !shown {
                break;
            }
            masked.extend_from_slice(&self.held[at..start]);
            if !shown {
                masked.extend_from_slice(MASK.as_bytes());
            }
            at = end;
        }
        if at < held_from {
            masked.extend_from_slice(&self.held[at..held_from]);
        }
        self.covered = at.saturating_sub(held_from);
        self.held.drain(..held_from);
    }
}

impl Patterns {
    /// How long the longest end of `bytes` is that a pattern begins with and goes on after.
    fn open_end(&self, bytes: &[u8]) -> usize {
        let from = bytes.len().saturating_sub(self.bytes_max - 1);
        for start in from..bytes.len() {
            if !self.starts[usize::from(bytes[start])] {
                continue;
            }
            let end = &bytes[start..];
            // The patterns that begin with `end` follow each other, the one that equals it first.
            let at = self.sorted.partition_point(|pattern| pattern.as_slice() <= end);
            if self.sorted.get(at).is_some_and(|pattern| pattern.starts_with(end)) {
                return end.len();
            }
        }
        0
    }

    /// The union of all matches: (start, end, its mask was given out already), in order. Matches that only
    /// touch stay apart, so that the outcome does not depend on where the bytes were cut.
    fn intervals(&self, bytes: &[u8], covered: usize) -> Vec<(usize, usize, bool)> {
        let mut union: Vec<(usize, usize, bool)> = Vec::new();
        if covered > 0 {
            union.push((0, covered, true));
        }
        if !self.finder.is_match(bytes) {
            return union;
        }
        // Matches arrive in the order of their ends: one that begins earlier swallows what it overlaps.
        for found in self.finder.find_overlapping_iter(bytes) {
            let (mut start, mut shown) = (found.start(), false);
            while let Some(&(last_start, last_end, last_shown)) = union.last() {
                if last_end <= start {
                    break;
                }
                start = start.min(last_start);
                shown |= last_shown;
                union.pop();
            }
            // The covered start may reach further than this match.
            let end = if shown { found.end().max(covered) } else { found.end() };
            union.push((start, end, shown));
        }
        union
    }
}

fn add_patterns(value: &str, patterns: &mut BTreeSet<Vec<u8>>) {
    // A line's end that a file brought along is not part of what must not be seen.
    let value = value.trim_end_matches(['\n', '\r']);
    if value.chars().count() < SECRET_CHARS_MIN {
        return;
    }
    let bytes = value.as_bytes();
    patterns.insert(bytes.to_vec());
    for alphabet in [&alphabet::STANDARD, &alphabet::URL_SAFE] {
        add_base64(bytes, &GeneralPurpose::new(alphabet, NO_PAD), patterns);
    }
    let hex = |digits: fn(&u8) -> String| bytes.iter().map(digits).collect::<String>().into_bytes();
    patterns.insert(hex(|byte| format!("{byte:02x}")));
    patterns.insert(hex(|byte| format!("{byte:02X}")));
    for set in [URL_STRICT, URL_COMPONENT, NON_ALPHANUMERIC] {
        let encoded = percent_encode(bytes, set).to_string();
        patterns.insert(lower_escapes(&encoded).into_bytes());
        patterns.insert(encoded.into_bytes());
    }
    patterns.insert(form_urlencoded::byte_serialize(bytes).collect::<String>().into_bytes());
    for json in json_forms(value) {
        patterns.insert(json.into_bytes());
    }
    if value.contains('\n') {
        // A terminal ends its lines with both.
        patterns.insert(value.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes());
        let lines = value.lines().map(str::trim).filter(|line| line.chars().count() >= SECRET_LINE_CHARS_MIN);
        patterns.extend(lines.map(|line| line.as_bytes().to_vec()));
    }
}

/// Base64 spells a value in three ways, after where in the encoded text it begins. Only the characters that
/// depend on nothing but the value are looked for, and the whole of it where it stands alone.
fn add_base64(bytes: &[u8], engine: &GeneralPurpose, patterns: &mut BTreeSet<Vec<u8>>) {
    patterns.insert(engine.encode(bytes).into_bytes());
    for before in 0..3 {
        let mut shifted = vec![0; before];
        shifted.extend_from_slice(bytes);
        let encoded = engine.encode(&shifted).into_bytes();
        let first = [0, 2, 3][before];
        let last = if shifted.len() % 3 == 0 { encoded.len() } else { encoded.len() - 1 };
        patterns.insert(encoded[first..last].to_vec());
    }
}

/// `%2F` as `%2f`.
fn lower_escapes(encoded: &str) -> String {
    let mut lowered = String::with_capacity(encoded.len());
    let mut escape = 0;
    for character in encoded.chars() {
        if character == '%' {
            escape = 3;
        }
        lowered.push(if escape > 0 { character.to_ascii_lowercase() } else { character });
        escape = usize::saturating_sub(escape, 1);
    }
    lowered
}

/// As a JSON string without its quotes: as it is, and with everything beyond ASCII escaped.
fn json_forms(value: &str) -> [String; 2] {
    let quoted = serde_json::Value::from(value).to_string();
    let plain = quoted[1..quoted.len() - 1].to_owned();
    let mut ascii = String::with_capacity(plain.len());
    for character in plain.chars() {
        if character.is_ascii() {
            ascii.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    [plain, ascii]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masker(values: &[&str]) -> Masker {
        let secrets: Vec<_> = values.iter().map(|value| Secret::new((*value).to_owned())).collect();
        Masker::new(&secrets).unwrap()
    }

    fn in_pieces(masker: &Masker, pieces: &[&[u8]]) -> String {
        let mut stream = masker.stream();
        let mut masked = Vec::new();
        for piece in pieces {
            stream.push(piece, &mut masked);
        }
        stream.finish(&mut masked);
        String::from_utf8(masked).unwrap()
    }

    #[test]
    fn a_value_is_masked_in_each_of_its_usual_encodings() {
        let value = "pässword/with \"quotes\"+";
        let masker = masker(&[value]);
        let standard = GeneralPurpose::new(&alphabet::STANDARD, base64::engine::general_purpose::PAD);
        assert_eq!(masker.mask(&format!("a {value} b")), "a *** b");
        for before in ["", "u", "us", "use"] {
            for after in ["", "!", "!!"] {
                let encoded = standard.encode(format!("{before}{value}{after}"));
                let masked = masker.mask(&encoded);
                assert!(masked.contains(MASK) && masked.len() < 16, "{before:?} {after:?} {masked}");
            }
        }
        let hex: String = value.bytes().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(masker.mask(&hex), MASK);
        assert_eq!(masker.mask(&hex.to_lowercase()), MASK);
        assert_eq!(masker.mask("q=p%C3%A4ssword%2Fwith%20%22quotes%22%2B&r"), "q=***&r");
        assert_eq!(masker.mask("q=p%c3%a4ssword%2fwith%20%22quotes%22%2b&r"), "q=***&r");
        assert_eq!(masker.mask("q=p%C3%A4ssword%2Fwith+%22quotes%22%2B&r"), "q=***&r");
        assert_eq!(masker.mask(r#"{"a":"pässword/with \"quotes\"+"}"#), r#"{"a":"***"}"#);
        assert_eq!(masker.mask(r#"{"a":"p\u00e4ssword/with \"quotes\"+"}"#), r#"{"a":"***"}"#);
    }

    #[test]
    fn lines_of_a_value_are_masked_from_eight_characters_on() {
        let masker = masker(&["first-line-of-it\nshort\nthe last line\n"]);
        assert_eq!(masker.mask("> first-line-of-it <"), "> *** <");
        assert_eq!(masker.mask("short"), "short");
        assert_eq!(masker.mask("first-line-of-it\nshort\nthe last line\nrest"), "***\nrest");
        assert_eq!(masker.mask("first-line-of-it\r\nshort\r\nthe last line\r\nrest"), "***\r\nrest");
    }

    #[test]
    fn short_values_are_passed_over() {
        assert!(masker(&["12345", "", "\n"]).is_empty());
        assert_eq!(masker(&["123456"]).mask("1234567"), "***7");
    }

    #[test]
    fn the_outcome_does_not_depend_on_where_the_bytes_were_cut() {
        let masker = masker(&["abcdefgh", "efghijkl", "secret\nover lines", "aaaaaa", "ghijkl", "xyzxyz"]);
        let text = "1 abcdefghijkl 2 secret\nover lines 3 aaaaaaaaaaaaab YWJjZGVmZ2g= abcdefgabcdefgh \
                    xyzxyzxyz xyzxyzxyzxyz efghij secret\nover\n secret";
        let whole = masker.mask(text);
        assert_eq!(
            whole, "1 *** 2 *** 3 ***b ***= abcdefg*** *** *** efghij secret\nover\n secret",
            "all at once"
        );
        let bytes = text.as_bytes();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(in_pieces(&masker, &pieces), whole, "cut at {first} and {second}");
            }
        }
        let singly: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(in_pieces(&masker, &singly), whole, "byte by byte");
    }

    #[test]
    fn what_is_held_back_stays_below_the_longest_pattern() {
        let masker = masker(&["aaaaaa"]);
        let bytes_max = masker.patterns.as_ref().unwrap().bytes_max;
        let mut stream = masker.stream();
        let mut masked = Vec::new();
        for _ in 0..1_000 {
            stream.push(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &mut masked);
            assert!(stream.held.len() < bytes_max);
        }
        stream.finish(&mut masked);
        assert_eq!(masked, MASK.as_bytes());
    }

    #[test]
    fn nothing_is_held_back_without_secrets() {
        let mut masked = Vec::new();
        masker(&[]).stream().push(b"prompt> ", &mut masked);
        assert_eq!(masked, b"prompt> ");
    }
}
