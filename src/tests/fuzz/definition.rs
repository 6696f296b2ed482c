//! Definitions: whatever the text, an answer within bounds, and every problem inside it.

use proptest::prelude::*;
use slipway::domain::pipeline::{PROBLEMS_MAX, Problem, parse};

use super::mutate::{holds, mutated_text};

const SAMPLES: [&str; 5] = [
    "retry: { attempts: 5, delay: 500ms }\ntimeout: 1h30m\nenv: { LEVEL: 3, RATIO: 1.10, DEBUG: true }\nsteps:\n  - name: test\n    run: |\n      cargo test\n      echo done\n  - name: report / all\n    needs: [test]\n    when: always\n    timeout: 5m\n    env: { A: \"\" }\n    retry: { attempts: 2 }\n    tty: true\n    run: ./report.sh\n",
    "steps:\n- name: a\n  run: 'x'\n- name: b\n  needs:\n  - a\n  run: >-\n    folded\n    text\n",
    "{\"steps\": [{\"name\": \"a\", \"run\": \"tr\\u00fce \\ud83d\\ude00\", \"needs\": []}], \"env\": {\"A\": \"\\u0001\"}}",
    "\u{feff}# comment\r\n---\r\nsteps:\r\n- name: é\r\n  run: 'true'\r\n",
    "steps: [{ name: a, run: x, needs: [b] }, { name: b, run: y, needs: [a] }]\n? key\n: value\n",
];

/// As YAML counts them: CR alone ends a line too.
fn lies_inside(text: &str, problem: &Problem) -> bool {
    let text = text.replace("\r\n", "\n");
    let line = (problem.line as usize).checked_sub(1).and_then(|above| text.split(['\n', '\r']).nth(above));
    // What is missing at the end is missing behind the last character.
    line.is_some_and(|line| (1..=line.chars().count() + 1).contains(&(problem.column as usize)))
}

#[test]
fn every_problem_of_a_definition_lies_inside_its_text() {
    holds(1_500, mutated_text(&SAMPLES), |text| {
        let Err(problems) = parse(&text) else { return Ok(()) };
        prop_assert!(!problems.is_empty() && problems.len() <= PROBLEMS_MAX, "{}", problems.len());
        for problem in &problems {
            prop_assert!(lies_inside(&text, problem), "{problem:?}");
            let one_line = [&problem.message, &problem.path, &problem.expected];
            prop_assert!(one_line.iter().all(|words| !words.contains(char::is_control)), "{problem:?}");
            prop_assert!(problem.message.len() < 10_000 && !problem.message.is_empty(), "{problem:?}");
        }
        let places: Vec<_> = problems.iter().map(|problem| (problem.line, problem.column)).collect();
        prop_assert!(places.is_sorted(), "{places:?}");
        Ok(())
    });
}

#[test]
fn what_a_definition_means_survives_being_written_and_read_again() {
    holds(1_500, mutated_text(&SAMPLES), |text| {
        if let Ok(definition) = parse(&text) {
            let written = crate::definition::print(&definition);
            prop_assert_eq!(parse(&written), Ok(definition), "{}", written);
        }
        Ok(())
    });
}
