//! Text from outside: what every name, branch, address and message must pass before it is stored.

/// Makes any bytes storable text: bytes that are not UTF-8 and NUL become U+FFFD. PostgreSQL refuses NUL.
pub fn storable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.into_owned() }
}
