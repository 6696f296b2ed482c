//! What the fuzzed properties share: samples that are nearly right, bytes cut anywhere, and the runner.
//!
//! The library's own tests have this file too, for what cannot be reached from outside. A property is a test in a module
//! named `fuzz`: that is how `make fuzz` finds it.

use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseResult, TestError, TestRunner};

/// Tries a property on `cases` values, or on as many times more as `PROPTEST_CASES` is above its default of 256.
#[track_caller]
pub(crate) fn holds<S: Strategy>(cases: u32, values: S, property: impl Fn(S::Value) -> TestCaseResult)
where
    S::Value: Debug,
{
    let defaults = Config::default();
    let cases = u32::try_from(u64::from(cases) * u64::from(defaults.cases) / 256).unwrap_or(u32::MAX).max(1);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 1_000, ..defaults };
    let outcome = TestRunner::new(config).run(&values, property);
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a property");
    match outcome {
        Ok(()) => eprintln!("{name}: {cases} cases"),
        Err(TestError::Fail(reason, value)) => panic!("{name}: {reason}\nwith {value:?}"),
        Err(TestError::Abort(reason)) => panic!("{name}: gave up: {reason}"),
    }
}

/// Pieces that mean something to some reader, or that readers like to forget.
const TOKENS: &[&str] = &[
    "\0",
    "\u{1}",
    "\t",
    "\r",
    "\n",
    "\r\n",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{202e}",
    "\u{fffd}",
    "é",
    "𝄞",
    " ",
    "\"",
    "'",
    "\\",
    "\\u0000",
    "\\ud800",
    "\\udc00\\ud800",
    "{",
    "}",
    "[",
    "]",
    "[[",
    ":",
    ",",
    ";",
    "=",
    "&",
    "*",
    "!",
    "#",
    "?",
    "%",
    "%00",
    "%ff",
    "%zz",
    "%2e",
    "/",
    "//",
    "../",
    "-",
    "+",
    ".",
    "..",
    "~",
    "|",
    ">",
    "null",
    "true",
    "0",
    "-0",
    "-1",
    "1.0",
    "1e999",
    "0x10",
    "9007199254740993",
    "18446744073709551616",
    "NaN",
    "0-0",
    "1-1",
    "data: ",
    "id: ",
    "id:",
    "event: ",
    "\n\n",
    "---\n",
    "&a ",
    "*a",
    "<<: ",
    "for=",
    "Bearer ",
];

/// One way to spoil a sample.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Cut(Index),
    Remove(Index, usize),
    Repeat(Index, usize, usize),
    Put(Index, &'static str, usize),
    Swap(Index, Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let token = || select(TOKENS);
    prop_oneof![
        3 => (any::<Index>(), 1..=255_u8).prop_map(|(at, mask)| Change::Flip(at, mask)),
        1 => any::<Index>().prop_map(Change::Cut),
        3 => (any::<Index>(), 1..12_usize).prop_map(|(at, len)| Change::Remove(at, len)),
        2 => (any::<Index>(), 1..12_usize, 1..4_usize).prop_map(|(at, len, n)| Change::Repeat(at, len, n)),
        6 => (any::<Index>(), token()).prop_map(|(at, token)| Change::Put(at, token, 1)),
        // Deep or long: what recurses, or is copied once too often, shows here.
        1 => (any::<Index>(), token(), 2..10_000_usize).prop_map(|(at, token, n)| Change::Put(at, token, n)),
        2 => (any::<Index>(), any::<Index>(), 1..8_usize).prop_map(|(a, b, len)| Change::Swap(a, b, len)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let place = |index: &Index, bytes: &[u8]| index.index(bytes.len());
        match self {
            Self::Flip(at, mask) => {
                let at = place(at, bytes);
                bytes[at] ^= mask;
            }
            Self::Cut(at) => bytes.truncate(place(at, bytes)),
            Self::Remove(at, len) => {
                let at = place(at, bytes);
                bytes.drain(at..(at + len).min(bytes.len()));
            }
            Self::Repeat(at, len, times) => {
                let at = place(at, bytes);
                let piece = bytes[at..(at + len).min(bytes.len())].repeat(*times);
                bytes.splice(at..at, piece);
            }
            Self::Put(at, token, times) => {
                let at = place(at, bytes);
                bytes.splice(at..at, token.repeat(*times).into_bytes());
            }
            Self::Swap(a, b, len) => {
                let (a, b) = (place(a, bytes), place(b, bytes));
                for offset in 0..*len {
                    let (a, b) = (a + offset, b + offset);
                    if a.max(b) < bytes.len() {
                        bytes.swap(a, b);
                    }
                }
            }
        }
    }
}

/// One of the samples, as it is or spoilt in some places, and now and then something else altogether.
pub(crate) fn mutated<T: AsRef<[u8]>>(samples: &[T]) -> BoxedStrategy<Vec<u8>> {
    let samples: Vec<Vec<u8>> = samples.iter().map(|sample| sample.as_ref().to_vec()).collect();
    let tokens = vec(select(TOKENS), 0..12).prop_map(|tokens| tokens.concat().into_bytes());
    prop_oneof![12 => spoilt(select(samples)), 1 => tokens, 1 => vec(any::<u8>(), 0..200)].boxed()
}

/// Values, most of them spoilt in some places.
pub(crate) fn spoilt(values: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (values, vec(change(), 0..5)).prop_map(|(mut bytes, changes)| {
        changes.iter().for_each(|change| change.apply(&mut bytes));
        bytes
    })
}

/// The same as text.
pub(crate) fn mutated_text<T: AsRef<[u8]>>(samples: &[T]) -> BoxedStrategy<String> {
    mutated(samples).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).boxed()
}

/// Where bytes are cut on their way.
#[derive(Debug, Clone)]
pub(crate) struct Cuts(Vec<Index>);

pub(crate) fn cuts() -> impl Strategy<Value = Cuts> {
    vec(any::<Index>(), 0..8).prop_map(Cuts)
}

impl Cuts {
    /// The pieces, some of them empty.
    pub(crate) fn of<'a>(&self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut places: Vec<usize> = self.0.iter().map(|index| index.index(bytes.len() + 1)).collect();
        places.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for place in places.into_iter().chain([bytes.len()]) {
            pieces.push(&bytes[from..place]);
            from = place;
        }
        pieces
    }
}
