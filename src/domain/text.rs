//! Text from outside: what every name, branch, address and message must pass before it is stored.
//!
//! A rule answers with the reason in words that go on from the name of the field: “branch” “has two dots in a
//! row”.

use std::collections::BTreeMap;

use crate::domain::mask::SECRET_CHARS_MIN;
use crate::domain::retention::{AGE_PATTERN, check_age};

/// What is wrong with a text, as the rest of a sentence about it.
pub type Verdict = Result<(), String>;

/// Of pipelines, steps and tokens, in characters: what a table shows without wrapping.
pub const NAME_CHARS_MAX: usize = 100;
pub const BRANCH_CHARS_MAX: usize = 250;
pub const REPOSITORY_CHARS_MAX: usize = 2_000;
pub const DESCRIPTION_CHARS_MAX: usize = 2_000;
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 200;
pub const INPUTS_MAX: usize = 100;
/// Linux takes 128 KiB for one variable, its name included, and a character has up to four bytes.
pub const INPUT_CHARS_MAX: usize = 30_000;
/// Of all names and values of a run's inputs: with `env` they stay far below what a program can be given.
pub const INPUTS_BYTES_MAX: usize = 256 * 1024;
/// Begins the names of the variables that Slipway itself gives to steps.
pub const ENV_RESERVED_PREFIX: &str = "SLIPWAY_";

/// `pipeline_name` and `token_name` but for the length, as every dialect of regular expressions reads it. The tags
/// beyond U+FFFF stand there themselves, since the dialects have no escape for them in common.
pub const NAME_PATTERN: &str = concat!(
    r"^[^ ._/\-\u0000-\u001F!-,:-@\[-\^\u0060{-\u00BF\u061C\u1680\u180E\u2000-\u206F\u3000",
    r"\uE000-\uF8FF\uFDD0-\uFDEF\uFEFF\uFFF0-\uFFFF",
    "\u{e0000}-\u{e0fff}",
    r"]([^\u0000-\u001F!-,:-@\[-\^\u0060{-\u00BF\u061C\u1680\u180E\u2000-\u206F\u3000",
    r"\uE000-\uF8FF\uFDD0-\uFDEF\uFEFF\uFFF0-\uFFFF",
    "\u{e0000}-\u{e0fff}",
    r"]*[^ \u0000-\u001F!-,:-@\[-\^\u0060{-\u00BF\u061C\u1680\u180E\u2000-\u206F\u3000",
    r"\uE000-\uF8FF\uFDD0-\uFDEF\uFEFF\uFFF0-\uFFFF",
    "\u{e0000}-\u{e0fff}",
    r"])?$",
);

/// `branch` but for the length: parts between single dots and slashes.
pub const BRANCH_PATTERN: &str = concat!(
    r"^[^\u0000-\u0020\u007F-\u009F~\^:?*\[\\/.\-]",
    r"[^\u0000-\u0020\u007F-\u009F~\^:?*\[\\/.]*",
    r"([./][^\u0000-\u0020\u007F-\u009F~\^:?*\[\\/.]+)*$",
);

/// `repository` but for the length.
pub const REPOSITORY_PATTERN: &str = concat!(
    r"^(/[^\u0000-\u0020\u007F-\u009F]*",
    r"|file:///[^\u0000-\u0020\u007F-\u009F]+",
    r"|(https|http|ssh|git)://([^\u0000-\u0020\u007F-\u009F/?#:@\-][^\u0000-\u0020\u007F-\u009F/?#:@]*@)?",
    r"[^\u0000-\u0020\u007F-\u009F/?#@\-][^\u0000-\u0020\u007F-\u009F/?#@]*",
    r"([/?#][^\u0000-\u0020\u007F-\u009F]*)?",
    r"|[A-Za-z0-9._][A-Za-z0-9._\-]*@[A-Za-z0-9._][A-Za-z0-9._\-]*:",
    r"[^\u0000-\u0020\u007F-\u009F:\-][^\u0000-\u0020\u007F-\u009F]*)$",
);

/// `secret_name` but for the length.
pub const SECRET_NAME_PATTERN: &str = "^(?!SLIPWAY_)[A-Z_][A-Z0-9_]*$";

/// `branch_pattern` but for the length: `branch` with stars.
pub const BRANCHES_PATTERN: &str = concat!(
    r"^[^\u0000-\u0020\u007F-\u009F~\^:?\[\\/.\-]",
    r"[^\u0000-\u0020\u007F-\u009F~\^:?\[\\/.]*",
    r"([./][^\u0000-\u0020\u007F-\u009F~\^:?\[\\/.]+)*$",
);

/// `secret_value` but for the length: six characters that count before the line ends at its end, and no NUL.
pub const SECRET_VALUE_PATTERN: &str = r"^[^\u0000]{5,}[^\u0000\r\n][\r\n]*$";
/// In characters, each of which has up to four bytes.
pub const SECRET_VALUE_CHARS_MAX: usize = 16_384;

/// The rule that a published pattern states, for whoever is to be told in words what is wrong.
pub fn rule_of(pattern: &str) -> Option<fn(&str) -> Verdict> {
    match pattern {
        NAME_PATTERN => Some(plain_name),
        BRANCH_PATTERN => Some(branch),
        REPOSITORY_PATTERN => Some(repository),
        SECRET_NAME_PATTERN => Some(secret_name),
        BRANCHES_PATTERN => Some(branch_pattern),
        SECRET_VALUE_PATTERN => Some(secret_value),
        AGE_PATTERN => Some(check_age),
        _ => None,
    }
}

/// Makes any bytes storable text: bytes that are not UTF-8 and NUL become U+FFFD. PostgreSQL refuses NUL.
pub fn storable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.into_owned() }
}

/// A pipeline's name: it stands in addresses, tables and commands.
pub fn pipeline_name(name: &str) -> Verdict {
    plain_name(name)
}

/// A token's name: it stands in tables and as the author of runs.
pub fn token_name(name: &str) -> Verdict {
    plain_name(name)
}

pub fn step_name(name: &str) -> Verdict {
    plain_name(name)
}

/// Letters of every script, emoji, digits, spaces, `.`, `_`, `-`, `/`: nothing that a shell, an address or a log
/// line could take for something else.
fn plain_name(name: &str) -> Verdict {
    length(name.chars().count(), NAME_CHARS_MAX, "characters")?;
    if !name.starts_with(is_letter) {
        return Err("must begin with a letter or a digit".to_owned());
    }
    if name.ends_with(' ') {
        return Err("must not end with a space".to_owned());
    }
    match name.chars().find(|character| !is_letter(*character) && !" ._-/".contains(*character)) {
        None => Ok(()),
        Some(character) => Err(format!(
            "has the character {}; letters, digits, spaces and . _ - / are allowed",
            character.escape_debug()
        )),
    }
}

/// An ASCII letter or digit, or a character of any script, emoji too. Controls, spaces, separators, marks of direction,
/// tags, private use and what is no character are none.
fn is_letter(character: char) -> bool {
    match character {
        'A'..='Z' | 'a'..='z' | '0'..='9' => true,
        '\0'..='\u{bf}' | '\u{61c}' | '\u{1680}' | '\u{180e}' | '\u{2000}'..='\u{206f}' | '\u{3000}' => false,
        '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' => false,
        '\u{e0000}'..='\u{e0fff}' => false,
        _ => true,
    }
}

/// Git's rules for the name of a branch or tag, as far as a pattern states them, and a bound. A name that git takes
/// for no branch all the same (`x.lock`, `x@{1}`) is told of by the checkout.
pub fn branch(branch: &str) -> Verdict {
    length(branch.chars().count(), BRANCH_CHARS_MAX, "characters")?;
    let reason = if branch.starts_with('-') {
        "must not begin with -"
    } else if branch.chars().any(|character| character.is_control() || " ~^:?*[\\".contains(character)) {
        "must have no space, no control character and none of ~ ^ : ? * [ \\"
    } else if branch.contains("..") {
        "has two dots in a row"
    } else if branch.starts_with('/') || branch.ends_with('/') || branch.contains("//") {
        "must have slashes only between its parts"
    } else if branch.split('/').any(|part| part.starts_with('.') || part.ends_with('.')) {
        "must have no part that begins or ends with a dot"
    } else {
        return Ok(());
    };
    Err(reason.to_owned())
}

/// The address of a git repository, of the forms that reach a repository and nothing else: git also knows
/// addresses that run a command (`ext::`).
pub fn repository(repository: &str) -> Verdict {
    length(repository.chars().count(), REPOSITORY_CHARS_MAX, "characters")?;
    if repository.chars().any(|character| character.is_control() || character == ' ') {
        return Err("must have no space and no control character".to_owned());
    }
    if repository.starts_with('/') || is_scp_like(repository) {
        return Ok(());
    }
    let forms = "must be an https://, http://, ssh://, git:// or file:// address, user@host:path or an \
                 absolute path";
    let Some((scheme, rest)) = repository.split_once("://") else {
        return Err(forms.to_owned());
    };
    if scheme == "file" {
        return if rest.starts_with('/') && 1 < rest.len() {
            Ok(())
        } else {
            Err("must have an absolute path after file://".to_owned())
        };
    }
    if !["https", "http", "ssh", "git"].contains(&scheme) {
        return Err(forms.to_owned());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, host) =
        authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    if user.is_some_and(|user| user.contains(':')) {
        return Err("must not hold a password: it would stand in logs and pages. Give it to one of git's \
                    credential helpers on the machine that runs the steps"
            .to_owned());
    }
    if user.is_some_and(|user| user.is_empty() || user.contains('@')) {
        return Err("must have one @ at most before the host, with a user before it".to_owned());
    }
    // A host that begins with a dash reaches ssh as an option.
    if host.is_empty() || host.starts_with('-') || user.is_some_and(|user| user.starts_with('-')) {
        return Err("must name a host".to_owned());
    }
    Ok(())
}

/// `user@host:path`.
fn is_scp_like(text: &str) -> bool {
    let Some((user, rest)) = text.split_once('@') else { return false };
    let Some((host, path)) = rest.split_once(':') else { return false };
    let is_word = |word: &str| {
        !word.is_empty()
            && !word.starts_with('-')
            && word.chars().all(|character| character.is_ascii_alphanumeric() || "._-".contains(character))
    };
    // `host::path` is how git names a remote helper.
    is_word(user) && is_word(host) && !path.is_empty() && !path.starts_with([':', '-'])
}

/// A variable that a definition may set for its steps.
pub fn env_name(name: &str) -> Verdict {
    identifier(name)?;
    if name.to_ascii_uppercase().starts_with(ENV_RESERVED_PREFIX) {
        return Err(format!("begins with {ENV_RESERVED_PREFIX}, which Slipway keeps for itself"));
    }
    Ok(())
}

/// The name of a secret: what a variable can be called, in capitals.
pub fn secret_name(name: &str) -> Verdict {
    env_name(name)?;
    if name.chars().any(|character| character.is_ascii_lowercase()) {
        return Err("must be capital letters, digits and _, not beginning with a digit".to_owned());
    }
    Ok(())
}

/// A secret's value. What is wrong is said without it.
pub fn secret_value(value: &str) -> Verdict {
    let counted = value.trim_end_matches(['\n', '\r']).chars().count();
    match value {
        _ if value.contains('\0') => Err("must not contain NUL".to_owned()),
        _ if counted < SECRET_CHARS_MIN => Err(format!("must have {SECRET_CHARS_MIN} characters or more")),
        _ if SECRET_VALUE_CHARS_MAX < value.chars().count() => {
            Err(format!("must have at most {SECRET_VALUE_CHARS_MAX} characters"))
        }
        _ => Ok(()),
    }
}

/// A pattern of branches, as `domain::branches` reads it.
pub fn branch_pattern(pattern: &str) -> Verdict {
    length(pattern.chars().count(), BRANCH_CHARS_MAX, "characters")?;
    branch(&pattern.replace('*', "x"))
}

/// An input's name: steps see it as `SLIPWAY_INPUT_` and the name in upper case.
pub fn input_name(name: &str) -> Verdict {
    identifier(name)
}

fn identifier(name: &str) -> Verdict {
    length(name.len(), NAME_CHARS_MAX, "characters")?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.starts_with(|first: char| first.is_ascii_digit()) || !name.bytes().all(is_allowed) {
        return Err("must be letters, digits and _, not beginning with a digit".to_owned());
    }
    Ok(())
}

/// A run's inputs: names, values and their number.
///
/// # Errors
///
/// The name of the input that breaks a rule, empty where all together do, and the reason.
pub fn inputs(inputs: &BTreeMap<String, String>) -> Result<(), (String, String)> {
    let whole = |reason: String| (String::new(), reason);
    if INPUTS_MAX < inputs.len() {
        return Err(whole(format!("has {} inputs; at most {INPUTS_MAX} are allowed", inputs.len())));
    }
    let mut bytes = 0;
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for (name, value) in inputs {
        let at_name = |reason: String| (name.clone(), reason);
        input_name(name).map_err(at_name)?;
        if let Some(other) = names.insert(name.to_ascii_uppercase(), name) {
            return Err(at_name(format!(
                "differs from {other} in case alone, and steps see both in upper case"
            )));
        }
        let chars = value.chars().count();
        if INPUT_CHARS_MAX < chars {
            return Err(at_name(format!("has {chars} characters; at most {INPUT_CHARS_MAX} are allowed")));
        }
        if value.contains('\0') {
            return Err(at_name("has a NUL character".to_owned()));
        }
        bytes += name.len() + value.len();
    }
    if INPUTS_BYTES_MAX < bytes {
        return Err(whole(format!("has {bytes} bytes in all; at most {INPUTS_BYTES_MAX} are allowed")));
    }
    Ok(())
}

/// Visible ASCII, so that a header can carry it.
pub fn idempotency_key(key: &str) -> Verdict {
    length(key.chars().count(), IDEMPOTENCY_KEY_CHARS_MAX, "characters")?;
    if key.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err("must be visible ASCII characters without spaces".to_owned())
    }
}

/// Any text, over several lines; empty too.
pub fn description(description: &str) -> Verdict {
    let chars = description.chars().count();
    if DESCRIPTION_CHARS_MAX < chars {
        return Err(format!("has {chars} characters; at most {DESCRIPTION_CHARS_MAX} are allowed"));
    }
    if description.chars().any(|character| character.is_control() && !"\n\r\t".contains(character)) {
        return Err("must have no control characters but line breaks and tabs".to_owned());
    }
    Ok(())
}

fn length(count: usize, max: usize, unit: &str) -> Verdict {
    match count {
        0 => Err("must not be empty".to_owned()),
        _ if max < count => Err(format!("has {count} {unit}; at most {max} are allowed")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: fn(&str) -> Verdict, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(rule(text), Ok(()), "{text:?}");
        }
        for text in bad {
            assert!(rule(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_are_what_every_place_can_show() {
        let good = ["a", "1", "build main", "Über/été.v2_x-y", "日本語", "🚀 go", &"é".repeat(100)];
        let bad =
            ["", " a", "a ", "-a", "/a", ".a", "a\nb", "a\0", "a:b", "a<b", "a\u{202e}b", &"a".repeat(101)];
        check(pipeline_name, &good, &bad);
        check(step_name, &good, &bad);
        check(token_name, &good, &bad);
    }

    #[test]
    fn branches_are_what_git_takes() {
        let good = ["main", "feature/x", "v1.2", "a@b", "@/a", "a-", "été", "a.lock.b", &"é".repeat(250)];
        let bad = [
            "",
            "-a",
            "--upload-pack=x",
            "a..b",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "*",
            "a[",
            "a\\b",
            "a\tb",
            "a\0",
            "/a",
            "a/",
            "a//b",
            "a.",
            "a./b",
            ".a",
            "a/.b",
            &"a".repeat(251),
        ];
        check(branch, &good, &bad);
    }

    #[test]
    fn repositories_are_addresses_that_only_reach_a_repository() {
        let good = [
            "https://example.com/a.git",
            "https://me@example.com/a",
            "http://[::1]:8080/a?b@c:d",
            "ssh://git@example.com:22/a",
            "git://example.com/a",
            "file:///srv/a.git",
            "git@example.com:group/a.git",
            "/srv/a.git",
        ];
        let bad = [
            "",
            "a",
            "./a",
            "../a",
            "-a",
            "--upload-pack=x",
            "ext::sh -c x",
            "ext::sh",
            "fd::7",
            "file://a",
            "file://",
            "ftp://example.com/a",
            "HTTPS://example.com/a",
            "https://",
            "https:///a",
            "ssh://-oProxyCommand=x/a",
            "ssh://-ox@example.com/a",
            "git@-oProxyCommand=x:a",
            "git@host:",
            "git@host::a",
            "-x@host:a",
            "host:a",
            "https://me:secret@example.com/a",
            "https://exa mple.com/a",
            "https://a\nb",
            "/a\0",
        ];
        check(repository, &good, &bad);
        let reason = repository("https://me:secret@example.com/a").unwrap_err();
        assert!(reason.contains("credential helpers") && !reason.contains("secret"), "{reason}");
    }

    #[test]
    fn keys_and_descriptions_have_their_rules() {
        check(
            idempotency_key,
            &["a", "2026-01-01/deploy#1", &"k".repeat(200)],
            &["", "a b", "é", "a\n", &"k".repeat(201)],
        );
        check(
            description,
            &["", "two\nlines\t", &"é".repeat(2_000)],
            &["\u{1b}[31m", "\0", &"a".repeat(2_001)],
        );
        check(env_name, &["A", "_a1"], &["", "1A", "A-B", "SLIPWAY_X", "slipway_x", "Ä"]);
        check(input_name, &["target", "SLIPWAY_X"], &["", "1a", "a b"]);
    }

    #[test]
    fn inputs_are_bounded_and_cannot_hide_each_other() {
        let of = |entries: &[(&str, &str)]| {
            inputs(&entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(of(&[("target", "prod"), ("note", "")]), Ok(()));
        assert_eq!(of(&[("a b", "")]).unwrap_err().0, "a b");
        assert_eq!(of(&[("a", "x\0")]).unwrap_err().0, "a");
        assert_eq!(of(&[("A", ""), ("a", "")]).unwrap_err().0, "a");
        assert_eq!(of(&[("a", &"x".repeat(INPUT_CHARS_MAX + 1))]).unwrap_err().0, "a");

        let value = "x".repeat(INPUT_CHARS_MAX);
        let names: Vec<String> = (0..9).map(|index| format!("v{index}")).collect();
        let large: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
        assert_eq!(of(&large).unwrap_err().0, "");
        let many: BTreeMap<String, String> =
            (0..=INPUTS_MAX).map(|index| (format!("v{index}"), String::new())).collect();
        assert_eq!(inputs(&many).unwrap_err().0, "");
    }
}
