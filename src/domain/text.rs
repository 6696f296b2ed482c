//! Text from outside: what every name, branch, address and message must pass before it is stored.

/// Makes any bytes storable text: bytes that are not UTF-8 and NUL become U+FFFD. PostgreSQL refuses NUL.
pub fn storable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.into_owned() }
}

pub fn check_pipeline_name(_: &str) -> Result<(), String> {
    Ok(())
}
pub fn check_description(_: &str) -> Result<(), String> {
    Ok(())
}
pub fn check_repository(_: &str) -> Result<(), String> {
    Ok(())
}
pub fn check_branch(_: &str) -> Result<(), String> {
    Ok(())
}
pub fn check_inputs(_: &std::collections::BTreeMap<String, String>) -> Result<(), String> {
    Ok(())
}
pub fn check_idempotency_key(_: &str) -> Result<(), String> {
    Ok(())
}
pub fn check_token_name(_: &str) -> Result<(), String> {
    Ok(())
}
