//! Which lines of a log read like an error: where somebody looks first when a step went wrong.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use crate::domain::terminal::harmless;

/// What compilers, test runners, shells and loggers begin an error with. Words alone are no error: `0 errors`, `error.rs`
/// and `thiserror v2` are printed where all goes well.
const COMPLAINTS: &[&str] = &[
    // `error: …`, `error[E0308]: …`, `error TS2322: …`, `Fatal: …`, `src/a.c:3:1: error: …`
    r"(?i:\b(?:error|fatal|fatal error|panic)(?:\[\w+\]| [a-z]+[0-9]+)?!?:(?:\s|$))",
    // `TypeError: …`, `java.lang.IllegalStateException`, `Exception in thread "main" …`
    r"\w(?:Error|Exception):(?:\s|$)|\.\w+(?:Error|Exception)$|^Exception in thread ",
    // `[error] …`, `##[error]…`, `::error …`
    r"(?i:\[(?:error|fatal)\]|^::error\b)",
    // The level, as loggers write it: `ERROR …`, `level=error …`, `npm ERR! …`
    r"\b(?:ERROR|FATAL|CRITICAL|PANIC)\b|\blevel=(?:error|fatal)\b|\bERR!",
    // `FAIL src/a.test.ts`, `--- FAIL: TestA`, `FAILED tests/a.py::b`, `test a ... FAILED`, `not ok 3 - a`, `✗ a`
    r"^\s*(?:--- )?FAIL(?:ED|URE)?\b|\bFAILED$|^\s*not ok\b|^\s*(?:✗|✘|✕|×) ",
    // `thread 'main' panicked at …`, `Traceback (most recent call last):`, `Segmentation fault`
    r"\bpanicked at\b|^\s*Traceback \(most recent call last\)|\bSegmentation fault\b",
    // `sh: 1: foo: not found`, `make: *** [all] Error 1`, `ls: x: No such file or directory`
    r": (?:command )?not found$|^g?make(?:\[[0-9]+\])?: \*\*\* |: No such file or directory$|: Permission denied$",
];

static COMPLAINT: LazyLock<Regex> = LazyLock::new(|| {
    // Words and spaces of ASCII alone: lines in any language are then looked at in one pass.
    let pattern = COMPLAINTS
        .join("|")
        .replace(r"\b", r"(?-u:\b)")
        .replace(r"\w", "[0-9A-Za-z_]")
        .replace(r"\s", "[ \t]");
    Regex::new(&pattern).expect("it is a regular expression: a test has it")
});

/// Whether a line reads like an error, as a terminal shows it.
pub fn is_complaint(line: &str) -> bool {
    let shown = if line.contains('\u{1b}') { Cow::Owned(harmless(line, false)) } else { Cow::Borrowed(line) };
    COMPLAINT.is_match(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_print_when_they_fail_is_a_complaint() {
        for line in [
            "error: could not compile `slipway`",
            "error[E0308]: mismatched types",
            "src/index.ts(3,5): error TS2322: Type 'string' is not assignable",
            "main.c:3:1: error: expected ';' before '}' token",
            "main.c:1:10: fatal error: x.h: No such file",
            "Error: Cannot find module './x'",
            "fatal: not a git repository",
            "panic: runtime error: index out of range",
            "TypeError: x is not a function",
            "Uncaught ReferenceError: x is not defined",
            "java.lang.IllegalStateException",
            "Exception in thread \"main\" java.lang.Error",
            "[ERROR] Failed to execute goal",
            "##[error]Process completed",
            "2026-11-26T07:00:00Z ERROR slipway: it broke",
            "time=2026 level=error msg=x",
            "npm ERR! code ELIFECYCLE",
            " FAIL  src/a.test.ts > b",
            "--- FAIL: TestA (0.00s)",
            "FAILED tests/a.py::test_b - assert 1 == 2",
            "test domain::tests::a ... FAILED",
            "not ok 3 - adds",
            "  ✗ adds",
            "thread 'main' panicked at src/main.rs:2:5:",
            "Traceback (most recent call last):",
            "sh: 1: foo: not found",
            "bash: line 1: foo: command not found",
            "make: *** [Makefile:2: all] Error 1",
            "cat: größe: No such file or directory",
            "\u{1b}[1;31merror\u{1b}[0m: expected 200, got 502",
        ] {
            assert!(is_complaint(line), "{line}");
        }
    }

    #[test]
    fn what_they_print_when_all_is_well_is_none() {
        for line in [
            "",
            "0 errors, 2 warnings",
            "   Compiling thiserror v2.0.1",
            "   Compiling error-chain v0.12.4",
            "test error_is_told ... ok",
            "ok: no error",
            "src/error.rs",
            "Errors: 0",
            "0 failed, 12 passed",
            "✓ shows an error",
            "warning: unused variable: `error`",
            "handles TypeError and ValueError",
            "ERRORS_MAX=3",
            "größe: alles gut",
        ] {
            assert!(!is_complaint(line), "{line}");
        }
    }
}
