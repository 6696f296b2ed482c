//! `slipway config`: the settings in force, as a file that could be used, secrets apart.

use serde_json::{Map, json};

use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{FAINT, Output, STRONG};
use crate::config::Loaded;

pub(super) fn run(output: Output, loaded: &Loaded) -> Result<Exit, Failure> {
    if output.is_json() {
        let describe = |setting: &crate::config::EffectiveSetting| {
            let value = json!({
                "value": setting.value,
                "source": setting.origin.to_string(),
                "variable": setting.variable,
            });
            (setting.key.to_owned(), value)
        };
        output.json(&loaded.settings.iter().map(describe).collect::<Map<_, _>>())?;
        return Ok(Exit::Success);
    }
    let mut section = "";
    for setting in &loaded.settings {
        let (of, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if of != section {
            section = of;
            output.line(&format!("\n{}", output.paint(STRONG, &format!("[{section}]"))))?;
        }
        let value = match &setting.value {
            Some(value) => format!("{name} = {value:?}"),
            None => format!("# {name} is not set"),
        };
        let source = format!("# {} ({})", setting.origin, setting.variable);
        output.line(&format!("{value:40} {}", output.paint(FAINT, &source)))?;
    }
    Ok(Exit::Success)
}
