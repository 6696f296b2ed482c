//! What a machine can check of the architecture.

use std::fs;
use std::path::{Path, PathBuf};

/// What each layer may import from this crate, beside itself. Anything else points the wrong way.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("metrics", &[]),
    ("store", &["domain", "error", "config", "metrics"]),
    ("redis", &["domain", "error", "metrics"]),
    ("jobs", &["redis", "domain", "error"]),
    ("logs", &["redis", "domain", "error", "metrics"]),
    ("executor", &["domain"]),
    ("oidc", &["config", "domain", "error"]),
    ("services", &["app", "store", "jobs", "logs", "oidc", "redis", "domain", "error", "metrics"]),
    ("rpc", &["app", "services", "store::page", "domain", "error", "metrics"]),
    ("http", &["app", "rpc", "services", "config", "domain", "error", "metrics"]),
    // Reads what an installation has, from outside: no requests, no jobs.
    ("backup", &["app", "executor", "logs", "redis", "store", "config", "domain", "error"]),
    // Takes jobs and runs steps; reads and writes rows by way of services, but for its own upkeep.
    (
        "worker",
        &[
            "app",
            "services",
            "rpc::foreign",
            "jobs",
            "logs",
            "executor",
            "store",
            "redis",
            "config",
            "domain",
            "error",
            "metrics",
        ],
    ),
];

/// Text that is at home in some places only.
const AT_HOME: &[(&str, &[&str])] = &[
    ("sea_orm", &["src/store", "migrations"]),
    ("bullmq::", &["src/jobs"]),
    ("rspc", &["src/rpc"]),
    ("prometheus_client", &["src/metrics"]),
    ("StatusCode", &["src/http", "src/rpc", "src/cli"]),
    ("openidconnect", &["src/oidc"]),
    ("std::env::var", &["src/config"]),
];

/// What finds a run or a pipeline without asking who wants it, and who may do so: the rest of `services` and `rpc` goes by
/// way of `services/access.rs`.
const UNGUARDED: &[&str] = &["store::runs::find", "store::pipelines::find", "runs::find_run"];
const MAY_LOOK_UNGUARDED: &[&str] =
    &["src/services/access.rs", "src/services/executions.rs", "src/services/states.rs"];

/// Longer files have more than one subject.
const FILE_LINES_MAX: usize = 550;

#[test]
fn imports_point_from_the_edges_to_the_core() {
    let mut wrong = Vec::new();
    for (layer, allowed) in LAYERS {
        for (path, text) in sources(&Path::new("src").join(layer)) {
            for import in imports(&text) {
                let is_own = import == *layer || import.starts_with(&format!("{layer}::"));
                let is_allowed =
                    allowed.iter().any(|name| import == *name || import.starts_with(&format!("{name}::")));
                if !is_own && !is_allowed {
                    wrong.push(format!("{}: must not use crate::{import}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn libraries_stay_where_they_are_at_home() {
    let mut wrong = Vec::new();
    let files = sources(Path::new("src")).into_iter().chain(sources(Path::new("migrations")));
    for (path, text) in files {
        if path.starts_with("src/tests") {
            continue;
        }
        for (word, homes) in AT_HOME {
            let is_at_home = homes
                .iter()
                .any(|home| path.starts_with(home) || path == Path::new(home).with_extension("rs"));
            if !is_at_home && code(&text).any(|line| has_word(line, word)) {
                wrong.push(format!("{}: {word} is at home in {}", path.display(), homes.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_request_names_is_found_by_way_of_who_may_see_it() {
    let mut wrong = Vec::new();
    for (path, text) in sources(Path::new("src/services")).into_iter().chain(sources(Path::new("src/rpc"))) {
        let may = MAY_LOOK_UNGUARDED.iter().any(|one| path == Path::new(one));
        let found = code(&text).find(|line| UNGUARDED.iter().any(|word| line.contains(word)));
        if let Some(line) = found.filter(|_| !may) {
            wrong.push(format!("{}: go by way of services::access: {}", path.display(), line.trim()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `src/rpc/wire` could be a crate of its own: it needs nothing of this one.
#[test]
fn the_transport_stands_alone() {
    let mut wrong = Vec::new();
    for (path, text) in sources(Path::new("src/rpc/wire")) {
        // The example sees it from outside.
        let is_example = path.ends_with("example.rs");
        let is_root = path.ends_with("mod.rs");
        let leaves = |line: &str| {
            line.contains("crate::")
                || line.contains("super::super::")
                || (is_root && line.contains("super::"))
                || (line.contains("slipway") && !is_example)
                || (line.contains("slipway::") && !line.contains("slipway::rpc::wire"))
        };
        if let Some(line) = code(&text).find(|line| leaves(line)) {
            wrong.push(format!("{}: {}", path.display(), line.trim()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_has_one_subject() {
    let long: Vec<String> = sources(Path::new("src"))
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| FILE_LINES_MAX < *lines)
        .map(|(path, lines)| format!("{}: {lines} lines, at most {FILE_LINES_MAX}", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

fn sources(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    let single = dir.with_extension("rs");
    if single.is_file() {
        found.push((single.clone(), fs::read_to_string(&single).unwrap()));
    }
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

/// Lines that are not comments: prose may point anywhere. Tests at a file's end may use what they like.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .filter(|line| !line.trim_start().starts_with("//"))
}

/// What stands behind each `crate::`, two segments deep; the members of a group one by one.
fn imports(text: &str) -> Vec<String> {
    let code: String = code(text).flat_map(|line| [line, "\n"]).collect();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|last: char| last.is_alphanumeric() || last == '_' || last == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let members = group.split('}').next().unwrap_or_default();
            found.extend(
                members.split(',').map(|member| path_of(member.trim())).filter(|path| !path.is_empty()),
            );
        } else {
            found.push(path_of(rest));
        }
    }
    found
}

fn path_of(text: &str) -> String {
    let end =
        text.find(|char: char| !(char.is_alphanumeric() || char == '_' || char == ':')).unwrap_or(text.len());
    text[..end].split("::").filter(|segment| !segment.is_empty()).take(2).collect::<Vec<_>>().join("::")
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|char| char.is_alphanumeric() || char == '_')
    })
}
