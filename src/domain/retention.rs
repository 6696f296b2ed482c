//! How long a pipeline keeps what has ended.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::domain::duration;

/// What an age looks like, as every dialect of regular expressions reads it.
pub const AGE_PATTERN: &str = "^(forever|[1-9][0-9]{0,3}[dhms])$";
const FOREVER: &str = "forever";
/// The largest number of runs that a rule may keep: so many are counted at each look.
pub const KEEP_RUNS_MAX: u32 = 100_000;

/// Rules of one pipeline. Those that are null are as the settings of the installation have them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retention {
    /// Runs that ended so long ago are deleted with their logs: `90d`, `12h`, or `forever` to keep them.
    #[serde(default)]
    #[schemars(regex(pattern = AGE_PATTERN))]
    pub runs: Option<String>,
    /// Logs of runs that ended so long ago are purged: `30d`, or `forever` to keep them as long as their runs.
    #[serde(default)]
    #[schemars(regex(pattern = AGE_PATTERN))]
    pub logs: Option<String>,
    /// Of the runs that have ended, so many of the newest stay; the others are deleted with their logs.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    pub keep_runs: Option<u32>,
}

/// What is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// None: runs are kept, however old.
    pub runs: Option<Duration>,
    /// None: logs are kept as long as their runs.
    pub logs: Option<Duration>,
    /// None: however many.
    pub keep_runs: Option<u32>,
}

impl Rules {
    pub fn is_any(&self) -> bool {
        self.runs.is_some() || self.logs.is_some() || self.keep_runs.is_some()
    }
}

impl Retention {
    /// Which field breaks a rule, and what was expected there.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (field, text) in [("runs", &self.runs), ("logs", &self.logs)] {
            if let Some(text) = text {
                check_age(text).map_err(|reason| (field, reason))?;
            }
        }
        if self.keep_runs.is_some_and(|count| !(1..=KEEP_RUNS_MAX).contains(&count)) {
            return Err(("keepRuns", format!("expected 1 to {KEEP_RUNS_MAX}")));
        }
        Ok(())
    }

    /// These before those of the installation.
    pub fn over(&self, general: Rules) -> Rules {
        let own = |text: &Option<String>, general| text.as_deref().and_then(age).unwrap_or(general);
        Rules {
            runs: own(&self.runs, general.runs),
            logs: own(&self.logs, general.logs),
            keep_runs: self.keep_runs.or(general.keep_runs),
        }
    }
}

/// The rule of an age in words, where a text breaks it.
pub fn check_age(text: &str) -> Result<(), String> {
    match age(text) {
        Some(_) => Ok(()),
        None => Err(format!("expected an age from 1s to 9999d, such as 90d or 12h, or {FOREVER}")),
    }
}

/// None: it is no age. `Some(None)`: for ever.
fn age(text: &str) -> Option<Option<Duration>> {
    if text == FOREVER {
        return Some(None);
    }
    let is_short = text.len() <= 5 && !text.starts_with('0') && !text.ends_with("ms");
    let age = duration::parse(text).ok()?;
    let is_simple = text.bytes().filter(u8::is_ascii_alphabetic).count() == 1;
    (is_short && is_simple).then_some(Some(age))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn an_age_is_one_number_with_one_unit() {
        assert_eq!(age("90d"), Some(Some(90 * DAY)));
        assert_eq!(age("9999h"), Some(Some(Duration::from_secs(9_999 * 3_600))));
        assert_eq!(age("forever"), Some(None));
        for text in
            ["", "0d", "01d", "10000d", "1h30m", "5ms", "1.5d", "-1d", "90 d", "90", "d", "Forever", "1w"]
        {
            assert_eq!(age(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_pipeline_says_goes_before_what_the_installation_says() {
        let general = Rules { runs: Some(90 * DAY), logs: None, keep_runs: Some(100) };
        assert_eq!(Retention::default().over(general), general);
        let own =
            Retention { runs: Some("forever".to_owned()), logs: Some("30d".to_owned()), keep_runs: Some(7) };
        assert_eq!(own.over(general), Rules { runs: None, logs: Some(30 * DAY), keep_runs: Some(7) });
    }

    #[test]
    fn a_rule_that_is_broken_is_named() {
        let broken = |retention: Retention| retention.check().unwrap_err().0;
        assert_eq!(broken(Retention { runs: Some("soon".to_owned()), ..Retention::default() }), "runs");
        assert_eq!(broken(Retention { logs: Some("0d".to_owned()), ..Retention::default() }), "logs");
        assert_eq!(broken(Retention { keep_runs: Some(0), ..Retention::default() }), "keepRuns");
    }
}
