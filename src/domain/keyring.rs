//! The keys under which secrets are stored: XChaCha20-Poly1305, with random nonces of 192 bits.

use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key as CipherKey, XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::domain::secret::Secret;

pub const KEY_BYTES: usize = 32;
pub const NONCE_BYTES: usize = 24;
/// More are a slip: each is one rotation that was never ended.
const KEYS_MAX: usize = 100;

/// Keys, the one that writes first. All of them read.
pub struct KeyRing {
    first: Key,
    others: Vec<Key>,
}

struct Key {
    id: String,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

/// Where keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file, in the data directory where it is not named.
    File(Option<PathBuf>),
    /// The settings.
    Given(Secret<String>),
    /// What a program prints: its path and its arguments.
    Command(Vec<String>),
}

/// A value as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    pub key_id: String,
    pub nonce: Vec<u8>,
    pub ciphertext: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("expected 1 to {KEYS_MAX} keys of {KEY_BYTES} bytes in base64, a line each")]
    Malformed,
    #[error("the key {0} is not among the keys of this server")]
    Unknown(String),
    #[error("what is stored is not what this key has written for this secret")]
    Forged,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({})", self.key_id)
    }
}

impl KeyRing {
    /// Reads keys in base64, separated by white space or commas; a line that begins with # says something to people.
    ///
    /// # Errors
    ///
    /// `Malformed`, without a word of what stands there.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let words = lines.flat_map(|line| line.split([' ', '\t', ',', '\r'])).filter(|word| !word.is_empty());
        let mut keys = Vec::new();
        for word in words {
            if KEYS_MAX <= keys.len() {
                return Err(KeyError::Malformed);
            }
            keys.push(Key::parse(word)?);
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(KeyError::Malformed)?;
        Ok(Self { first, others: keys.collect() })
    }

    /// A key as a line of a file has it.
    pub fn line_of(key: &[u8; KEY_BYTES]) -> Secret<String> {
        Secret::new(STANDARD.encode(key))
    }

    /// These keys after a new one, as a file has them.
    pub fn text_with_first(&self, key: &[u8; KEY_BYTES]) -> Secret<String> {
        let mut text = self.text_of(|_| true);
        text.reveal_mut().insert_str(0, &format!("{}\n", Self::line_of(key).reveal()));
        text
    }

    /// Those of the keys that are wanted, as a file has them.
    pub fn text_of(&self, is_wanted: impl Fn(&str) -> bool) -> Secret<String> {
        // Grown once, so that no part of it stays behind in memory that was given up.
        let mut text = Secret::new(String::with_capacity((self.others.len() + 2) * 2 * KEY_BYTES));
        for key in std::iter::once(&self.first).chain(&self.others).filter(|key| is_wanted(&key.id)) {
            text.reveal_mut().push_str(Self::line_of(&key.bytes).reveal());
            text.reveal_mut().push('\n');
        }
        text
    }

    /// Names the key that writes.
    pub fn first_id(&self) -> &str {
        &self.first.id
    }

    pub fn ids(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.first).chain(&self.others).map(|key| key.id.as_str())
    }

    pub fn has(&self, id: &str) -> bool {
        self.ids().any(|known| known == id)
    }

    /// Encrypts a value, which opens only together with the same `bound`. A nonce is used once.
    ///
    /// # Errors
    ///
    /// `Malformed` if the value is too long for the cipher, which no bounded one is.
    pub fn seal(&self, bound: &str, nonce: [u8; NONCE_BYTES], value: &str) -> Result<Sealed, KeyError> {
        let payload = Payload { msg: value.as_bytes(), aad: bound.as_bytes() };
        let ciphertext = self.first.cipher().encrypt(&XNonce::from(nonce), payload);
        let ciphertext = ciphertext.map_err(|_| KeyError::Malformed)?;
        Ok(Sealed { key_id: self.first.id.clone(), nonce: nonce.to_vec(), ciphertext })
    }

    /// # Errors
    ///
    /// - `Unknown` if the key is not here.
    /// - `Forged` if the value was changed, or belongs to something else.
    pub fn open(&self, bound: &str, sealed: &Sealed) -> Result<Secret<String>, KeyError> {
        let mut keys = std::iter::once(&self.first).chain(&self.others);
        let key = keys.find(|key| key.id == sealed.key_id);
        let key = key.ok_or_else(|| KeyError::Unknown(sealed.key_id.clone()))?;
        let nonce = <[u8; NONCE_BYTES]>::try_from(&sealed.nonce[..]).map_err(|_| KeyError::Forged)?;
        let payload = Payload { msg: &sealed.ciphertext, aad: bound.as_bytes() };
        let plain = key.cipher().decrypt(&XNonce::from(nonce), payload).map_err(|_| KeyError::Forged)?;
        String::from_utf8(plain).map(Secret::new).map_err(|_| KeyError::Forged)
    }
}

impl Key {
    fn parse(word: &str) -> Result<Self, KeyError> {
        let decoded = STANDARD.decode(word).map(Zeroizing::new).map_err(|_| KeyError::Malformed)?;
        let bytes = <[u8; KEY_BYTES]>::try_from(&decoded[..]).map_err(|_| KeyError::Malformed)?;
        let bytes = Zeroizing::new(bytes);
        let mut hasher = Sha256::new();
        hasher.update(b"slipway key id");
        hasher.update(&bytes[..]);
        let id = hasher.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { id, bytes })
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&CipherKey::from(*self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(byte: u8) -> String {
        KeyRing::line_of(&[byte; KEY_BYTES]).reveal().clone()
    }

    #[test]
    fn a_value_opens_only_as_what_it_was_stored_for() {
        let ring = KeyRing::parse(&line(1)).unwrap();
        let sealed = ring.seal("global TOKEN 1", [7; NONCE_BYTES], "hunter22").unwrap();
        assert!(!sealed.ciphertext.windows(8).any(|bytes| bytes == b"hunter22"));
        assert_eq!(ring.open("global TOKEN 1", &sealed).unwrap().reveal(), "hunter22");
        assert_eq!(ring.open("global OTHER 1", &sealed).unwrap_err(), KeyError::Forged);
        for spoilt in 0..sealed.ciphertext.len() {
            let mut sealed = sealed.clone();
            sealed.ciphertext[spoilt] ^= 1;
            assert_eq!(ring.open("global TOKEN 1", &sealed).unwrap_err(), KeyError::Forged);
        }
    }

    #[test]
    fn the_first_key_writes_and_all_read() {
        let old = KeyRing::parse(&line(1)).unwrap();
        let sealed = old.seal("x", [0; NONCE_BYTES], "hunter22").unwrap();
        let ring = KeyRing::parse(&format!("# since today\n{}\n{}\n", line(2), line(1))).unwrap();
        assert_eq!(ring.open("x", &sealed).unwrap().reveal(), "hunter22");
        assert_ne!(ring.seal("x", [0; NONCE_BYTES], "hunter22").unwrap().key_id, sealed.key_id);
        let new = KeyRing::parse(&line(2)).unwrap();
        assert_eq!(new.open("x", &sealed).unwrap_err(), KeyError::Unknown(sealed.key_id));
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_repeated() {
        for text in ["", "# nothing", "c2hvcnQ=", "not base64 at all!", &line(1)[1..]] {
            assert_eq!(KeyRing::parse(text).unwrap_err(), KeyError::Malformed, "{text}");
        }
        let shown = format!("{:?}", KeyRing::parse(&line(1)).unwrap());
        assert!(!shown.contains(&line(1)) && shown.len() < 32, "{shown}");
    }
}
