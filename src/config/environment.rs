//! The environment of the process, read once.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// Environment variables that are text. Those that are not are left out: none of ours may be such.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

/// Variables hold secrets, so only their names are shown.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What the environment says of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// `NO_COLOR` is set, or the terminal is none that could move its cursor.
    pub plain: bool,
}

impl Environment {
    pub fn of_process() -> Self {
        let text = |text: OsString| text.into_string().ok();
        Self(std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect())
    }

    /// An empty variable counts as not set, as `VARIABLE: ${VARIABLE:-}` in a compose file makes it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn terminal(&self) -> Terminal {
        Terminal { plain: self.get("NO_COLOR").is_some() || self.get("TERM") == Some("dumb") }
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
