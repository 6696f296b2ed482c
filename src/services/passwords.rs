//! Passwords: hashed and compared, off the threads that serve requests, and only so many at a time.

use std::sync::LazyLock;
use std::time::Duration;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::domain::person::{PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN};
use crate::domain::secret::Secret;
use crate::error::{Error, Result};
use crate::store::people::PasswordHash;

/// OWASP's parameters for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Each takes a processor and [`MEMORY_KIB`].
static HASHING: Semaphore = Semaphore::const_new(2);
/// How long somebody waits for their turn.
const TURN_MAX: Duration = Duration::from_secs(10);

/// What is compared with where there is no account, so that it takes the same time as where there is one.
static DECOY: LazyLock<Option<String>> = LazyLock::new(|| hash_now("nobody has this password").ok());

/// A password that is to be kept. `Invalid` if it is too short or too long.
pub async fn hash(field: &'static str, password: Secret<String>) -> Result<PasswordHash> {
    if !has_length(&password) {
        let reason = format!("must have {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters");
        return Err(Error::invalid(field, reason));
    }
    in_turn(move || hash_now(password.reveal())).await?.map(Secret::new)
}

/// Whether the password is the one that was hashed. It takes the same time if there is no hash.
pub async fn verify(password: Secret<String>, hash: Option<PasswordHash>) -> Result<bool> {
    if !has_length(&password) {
        return Ok(false);
    }
    in_turn(move || {
        let known = hash.as_ref().map(|hash| hash.reveal().as_str());
        let compared = known.or(DECOY.as_deref()).unwrap_or_default();
        let is_right = Argon2::default().verify_password(password.reveal().as_bytes(), compared).is_ok();
        is_right && known.is_some()
    })
    .await
}

fn has_length(password: &Secret<String>) -> bool {
    (PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&password.reveal().chars().count())
}

fn hash_now(password: &str) -> Result<String> {
    const DOING: &str = "hashing a password";
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.map_err(|error| Error::internal(DOING, error.to_string()))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| Error::internal(DOING, error.to_string()))
}

async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let turn = tokio::time::timeout(TURN_MAX, HASHING.acquire()).await;
    let Ok(Ok(turn)) = turn else {
        return Err(Error::unavailable("sign-in", "too many passwords are being checked"));
    };
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    done.await.map_err(|error| Error::internal("working on a password", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_alone() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let hash = hash("password", secret("correct horse")).await.unwrap();
        assert!(hash.reveal().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.reveal());
        assert!(verify(secret("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!verify(secret("correct horsf"), Some(hash)).await.unwrap());
        assert!(!verify(secret("nobody has this password"), None).await.unwrap());
        for bad in ["short", &"x".repeat(PASSWORD_CHARS_MAX + 1)] {
            assert!(matches!(super::hash("password", secret(bad)).await, Err(Error::Invalid { .. })));
        }
    }
}
