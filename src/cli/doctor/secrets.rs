//! The keys of the secrets: where they come from, who can read them, and what is stored under which.

use std::os::unix::fs::PermissionsExt as _;

use crate::app::App;
use crate::cli::doctor::Check;
use crate::domain::keyring::KeyRing;
use crate::error::{Error, Result};
use crate::store;

const NAME: &str = "secrets";
/// More are not counted.
const COUNTED_MAX: u64 = 1_000;

pub(super) async fn check(app: &App) -> Check {
    let place = app.keys.place();
    let used = match store::secrets::key_ids(&app.store).await {
        Ok(used) => used,
        Err(error) => return Check::fail(NAME, error.chain(), "See what is said of the database"),
    };
    let ring = match app.keys.current().await {
        Ok(Some(ring)) => ring,
        Ok(None) if used.is_empty() => {
            return Check::ok(NAME, "there are none; the key is made with the first");
        }
        Ok(None) => {
            let advice = "Copy it there from where the secrets were set, or from its safe copy";
            return Check::fail(NAME, format!("{place} is missing, and there are secrets"), advice);
        }
        Err(error) => {
            let advice = "Steps that name a secret fail until it can be read";
            return Check::fail(NAME, Error::from(error).chain(), advice);
        }
    };
    if let Some(file) = app.keys.file()
        && let Ok(metadata) = std::fs::metadata(file)
        && metadata.permissions().mode() & 0o077 != 0
    {
        let message = format!("{place} has mode {:o}", metadata.permissions().mode() & 0o777);
        return Check::warn(NAME, message, format!("`chmod 600 {}`", file.display()));
    }
    if let Some(lost) = used.iter().find(|id| !ring.has(id)) {
        let message = format!("secrets are stored under the key {lost}, which {place} does not give");
        return Check::fail(NAME, message, "Add that key, or set those secrets anew");
    }
    match under_others(app, &ring).await {
        Ok(0) => Check::ok(NAME, format!("the key {} is from {place}", ring.first_id())),
        Ok(count) => {
            let many = if COUNTED_MAX <= count { "or more " } else { "" };
            let message =
                format!("{count} {many}secrets are under older keys than {}, from {place}", ring.first_id());
            Check::warn(NAME, message, "`slipway secret rotate` goes on with what was begun")
        }
        Err(error) => Check::fail(NAME, error.chain(), "See what is said of the database"),
    }
}

async fn under_others(app: &App, ring: &KeyRing) -> Result<u64> {
    let mut count = 0;
    for id in ring.ids().skip(1) {
        count += store::secrets::count_under_key(&app.store, id, COUNTED_MAX).await? as u64;
    }
    Ok(count)
}
