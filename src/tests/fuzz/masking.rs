//! Secrets in any bytes, cut anywhere: none is left, and nothing else is changed.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use slipway::domain::mask::{MASK, Masker};
use slipway::domain::secret::Secret;

use super::mutate::{Cuts, cuts, holds, mutated};

/// Without asterisks: a mask beside a text could spell such a secret anew.
const SECRETS: [&str; 8] = [
    "hunter2-secret",
    "pässword/with \"quotes\"+",
    "-----BEGIN KEY-----\nabcdefghijklmnop\nqrstuvwxyz\n-----END KEY-----\n",
    "aaaaaa",
    "aabaab",
    "er2-sec",
    "\u{1}\u{2}control\t",
    "𝄞𝄞𝄞𝄞𝄞𝄞",
];

/// As programs print a secret. Base64 also of what stands around it, at each of its three offsets.
fn spelt(secret: &str, way: usize) -> String {
    let secret = secret.trim_end_matches('\n');
    let around = |before: &str, after: &str| format!("{before}{secret}{after}");
    match way {
        0 => secret.to_owned(),
        1 => STANDARD.encode(secret),
        2 => STANDARD.encode(around("u", ":x")),
        3 => URL_SAFE.encode(around("us", "")),
        4 => STANDARD_NO_PAD.encode(around("use", "!!")),
        5 => secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
        6 => secret.bytes().map(|byte| format!("{byte:02X}")).collect(),
        7 => utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        8 => form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        9 => serde_json::to_string(secret).unwrap(),
        _ => secret.replace('\n', "\r\n"),
    }
}
const WAYS: usize = 11;

/// Of what `spelt` gives, all that depends on nothing but the secret.
fn traces(secret: &str) -> Vec<Vec<u8>> {
    let inner = |way: usize| {
        let text = spelt(secret, way);
        let text = text.trim_end_matches('=');
        text.as_bytes()[4..text.len() - 4].to_vec()
    };
    let whole = [0, 5, 6, 7, 8, 10].map(|way| spelt(secret, way).into_bytes());
    let quoted = spelt(secret, 9);
    whole
        .into_iter()
        .chain([quoted.as_bytes()[1..quoted.len() - 1].to_vec()])
        .chain([2, 3, 4].map(inner).into_iter().filter(|trace| 8 <= trace.len()))
        .collect()
}

fn output() -> impl Strategy<Value = (Vec<&'static str>, Vec<u8>)> {
    let part = |secrets: Vec<&'static str>| {
        prop_oneof![
            2 => (select(secrets), 0..WAYS).prop_map(|(secret, way)| spelt(secret, way).into_bytes()),
            1 => mutated(&SECRETS),
            1 => "[a-z=:\"\n ]{0,12}".prop_map(String::into_bytes),
        ]
    };
    proptest::sample::subsequence(SECRETS.to_vec(), 1..=SECRETS.len()).prop_flat_map(move |secrets| {
        let parts = vec(part(secrets.clone()), 0..12).prop_map(|parts| {
            let mut bytes = parts.concat();
            // They would be taken for part of a mask.
            bytes.retain(|byte| *byte != b'*');
            bytes
        });
        (Just(secrets), parts)
    })
}

fn masker(secrets: &[&str]) -> Masker {
    let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new((*secret).to_owned())).collect();
    Masker::new(&secrets).unwrap()
}

fn masked(masker: &Masker, pieces: &[&[u8]]) -> Vec<u8> {
    let mut stream = masker.stream();
    let mut shown = Vec::new();
    for piece in pieces {
        stream.push(piece, &mut shown);
    }
    stream.finish(&mut shown);
    shown
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    (0..=bytes.len().checked_sub(part.len())?).find(|at| bytes[*at..].starts_with(part))
}

/// Whether `shown` is `bytes` with masks in the place of some parts.
fn differs_by_masks_alone(bytes: &[u8], shown: &[u8]) -> bool {
    let mask = MASK.as_bytes();
    let mut kept = Vec::new();
    let mut rest = shown;
    while let Some(at) = find(rest, mask) {
        kept.push(&rest[..at]);
        rest = &rest[at + mask.len()..];
    }
    let Some(mut open) = bytes.strip_prefix(*kept.first().unwrap_or(&rest)) else { return false };
    if kept.is_empty() {
        return open.is_empty();
    }
    for part in &kept[1..] {
        let Some(at) = find(open, part) else { return false };
        open = &open[at + part.len()..];
    }
    open.ends_with(rest)
}

#[test]
fn no_secret_is_left_in_any_spelling_and_nothing_else_is_touched() {
    holds(500, (output(), cuts()), |((secrets, bytes), cuts): (_, Cuts)| {
        let masker = masker(&secrets);
        let whole = masked(&masker, &[&bytes]);
        prop_assert_eq!(&masked(&masker, &cuts.of(&bytes)), &whole, "cut");
        let singly: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&masked(&masker, &singly), &whole, "byte by byte");
        for secret in &secrets {
            for trace in traces(secret) {
                let left = find(&whole, &trace);
                prop_assert!(left.is_none(), "{secret:?} as {:?}", String::from_utf8_lossy(&trace));
            }
        }
        prop_assert!(differs_by_masks_alone(&bytes, &whole), "{:?}", String::from_utf8_lossy(&whole));
        Ok(())
    });
}
