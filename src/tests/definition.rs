//! The language of definitions: what it says, what it refuses and where, and that the published schema agrees.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use slipway::domain::definition::{BYTES_MAX, PROBLEMS_MAX};
use slipway::domain::pipeline::{Definition, PlannedStep, Problem, Retry, When, parse, plan};
use slipway::domain::step_limits::StepLimits;

const SCHEMA: &str = include_str!("../../docs/pipeline.schema.json");

const WHOLE: &str = r#"
retry: { attempts: 5, delay: 500ms }
timeout: 1h30m
env: { PROFILE: release, LEVEL: 3, RATIO: 1.10, DEBUG: true }
steps:
  - name: test
    run: |
      cargo test
      echo done
  - name: report / all
    needs: [test]
    when: always
    timeout: 5m
    env: { A: "" }
    retry: { attempts: 2 }
    tty: true
    run: ./report.sh
"#;

fn problems(text: &str) -> Vec<Problem> {
    parse(text).expect_err(text)
}

/// The only problem, as `line:column path: message`.
fn only_problem(text: &str) -> String {
    let problems = problems(text);
    assert_eq!(problems.len(), 1, "{text}: {problems:?}");
    let Problem { line, column, path, message, .. } = &problems[0];
    format!("{line}:{column} {path}: {message}")
}

fn step(keys: &str) -> String {
    format!("steps:\n  - name: a\n    run: echo\n    {keys}\n")
}

#[test]
fn a_definition_says_all_that_a_run_does() {
    let definition = parse(WHOLE).unwrap();
    assert_eq!(definition.retry, Retry { attempts: 5, delay: Duration::from_millis(500) });
    assert_eq!(definition.timeout, Duration::from_secs(5_400));
    let env = [("DEBUG", "true"), ("LEVEL", "3"), ("PROFILE", "release"), ("RATIO", "1.10")];
    assert_eq!(definition.env, env.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    let [test, report] = &definition.steps[..] else { panic!("two steps") };
    assert_eq!(test.run, "cargo test\necho done\n");
    assert_eq!((test.when, test.timeout, test.retry, test.tty), (When::Success, None, None, false));
    assert_eq!(report.name, "report / all");
    assert_eq!((report.when, report.timeout), (When::Always, Some(Duration::from_secs(300))));
    assert_eq!(report.needs, ["test"]);
    assert_eq!(report.retry, Some(Retry { attempts: 2, delay: Duration::from_secs(1) }));
    assert!(report.tty);
}

#[test]
fn a_plan_says_where_each_step_stands_and_what_it_needs() {
    let step = |name: &str, needs: &[&str], when, line| PlannedStep {
        name: name.to_owned(),
        needs: needs.iter().copied().map(String::from).collect(),
        when,
        line,
    };
    let whole = [step("test", &[], When::Success, 6), step("report / all", &["test"], When::Always, 10)];
    assert_eq!(plan(WHOLE).unwrap(), whole);
    assert_eq!(plan("steps: [{ name: a, run: '' }]").unwrap_err(), problems("steps: [{ name: a, run: '' }]"));
}

#[test]
fn one_step_is_enough() {
    let definition = parse(r#"steps: [{ name: a, run: "true" }]"#).unwrap();
    assert_eq!(definition.retry, Retry { attempts: 3, delay: Duration::from_secs(1) });
    assert_eq!(definition.timeout, Duration::from_secs(3_600));
    assert_eq!(definition.steps[0].run, "true");
    assert_eq!(definition, parse(r#"{"steps": [{"name": "a", "run": "true"}]}"#).unwrap());
    assert_eq!(
        definition,
        parse("\u{feff}# comment\r\n---\r\nsteps:\r\n- name: a\r\n  run: 'true'\r\n").unwrap()
    );
}

/// Each text has one problem, which stands where it says.
#[test]
fn a_problem_names_its_place_and_what_is_wrong() {
    for (text, expected) in [
        (step("nedds: [b]"), "4:5 steps[0].nedds: unknown key “nedds”; did you mean “needs”?"),
        (step("image: alpine"), "4:5 steps[0].image: unknown key “image”"),
        (step("timeout: 10"), "4:14 steps[0].timeout: “10” has no unit: write 10s for seconds"),
        (step("timeout: 8d"), "4:14 steps[0].timeout: “8d” is out of range"),
        (step("timeout: soon"), "4:14 steps[0].timeout: “soon” is not a span of time"),
        (step("retry: { attempts: 0 }"), "4:24 steps[0].retry.attempts: “0” is out of range"),
        (step("retry: 3"), "4:12 steps[0].retry: a number stands here"),
        (step("when: allways"), "4:11 steps[0].when: “allways” is no condition; did you mean “always”?"),
        (step("needs: [b]"), "4:13 steps[0].needs[0]: there is no step “b”"),
        (step("needs: b"), "4:12 steps[0].needs: a text stands here"),
        (step("needs: [a]"), "4:13 steps[0].needs: the step “a” needs itself"),
        (step("tty: yes"), "4:10 steps[0].tty: a text stands here"),
        (step("run: echo"), "4:5 steps[0].run: the key “run” stands at line 3 already"),
        (
            step("env: { 1A: b }"),
            "4:12 steps[0].env.1A: the name “1A” must be letters, digits and _, not beginning with a digit",
        ),
        (
            step("env: { SLIPWAY_X: b }"),
            "4:12 steps[0].env.SLIPWAY_X: the name “SLIPWAY_X” begins with SLIPWAY_, which Slipway keeps for itself",
        ),
        (step("env: { A: }"), "4:13 steps[0].env.A: nothing stands here"),
        (step("env: { A: [1] }"), "4:15 steps[0].env.A: a list stands here"),
        (
            "steps: [{ name: a, run: true }]".into(),
            "1:25 steps[0].run: a boolean stands here: as text it needs quotes, \"true\"",
        ),
        ("steps: [{ name: a, run: ' ' }]".into(), "1:25 steps[0].run: the script is empty"),
        (
            "steps: [{ name: -a, run: b }]".into(),
            "1:17 steps[0].name: the name “-a” must begin with a letter or a digit",
        ),
        ("steps: [{ run: b }]".into(), "1:9 steps[0].name: the key `name` is missing"),
        ("steps: []".into(), "1:8 steps: there are no steps"),
        ("timeout: 5m".into(), "1:1 steps: the key `steps` is missing"),
        ("just text".into(), "1:1 : a text stands here"),
        ("".into(), "1:1 : the definition is empty"),
        ("# only words".into(), "1:1 : the definition is empty"),
        ("steps: [{ name: a, run: b }]\n---\nsteps: []".into(), "2:1 : a second document starts here"),
        (
            "steps: [{ name: a, run: &x b }]".into(),
            "1:25 : anchors and aliases (`&` and `*`) have no meaning in a definition",
        ),
        ("steps: [{ name: a, run: !x b }]".into(), "1:25 : tags (`!`) have no meaning in a definition"),
        ("steps: [{ name: a, run: \"b\\0\" }]".into(), "1:25 : the text has a NUL character"),
        ("steps:\n  x\0".into(), "2:4 : the text has a NUL character"),
        ("a\rb\r\n \0".into(), "3:2 : the text has a NUL character"),
        ("steps: [{ name: a, run: b }]\n? ".into(), "2:3 : unknown key “”"),
        ("%00".into(), "1:4 : not valid YAML: did not find expected <document start>"),
        (step("\"\u{85}\": 1"), "4:5 steps[0]. : unknown key “ ”"),
    ] {
        assert_eq!(only_problem(&text), expected, "{text}");
    }
}

#[test]
fn steps_that_wait_for_each_other_are_named_in_their_order() {
    let text = "steps:\n\
        - { name: start, run: x }\n\
        - { name: a, run: x, needs: [start, c] }\n\
        - { name: b, run: x, needs: [a] }\n\
        - { name: c, run: x, needs: [b] }\n";
    let problem = only_problem(text);
    assert!(
        problem.ends_with("steps[1].needs: steps wait for each other: “a” needs “c” needs “b” needs “a”"),
        "{problem}"
    );
}

#[test]
fn two_steps_of_one_name_are_refused() {
    let text = "steps:\n- { name: a, run: x }\n- { name: a, run: y }\n";
    assert_eq!(only_problem(text), "3:11 steps[1].name: the step at line 2 is named “a” already");
}

#[test]
fn all_problems_are_reported_at_once_and_in_order() {
    let text = "tiemout: 5m\nsteps:\n  - name: a\n    run: x\n    timeout: 1\n  - name: b\n    needs: [c]\n";
    let found: Vec<(u32, String)> =
        problems(text).into_iter().map(|problem| (problem.line, problem.path)).collect();
    let expected = [(1, "tiemout"), (5, "steps[0].timeout"), (6, "steps[1].run"), (7, "steps[1].needs[0]")];
    assert_eq!(found, expected.map(|(line, path)| (line, path.to_owned())));

    let many: String = (0..500).map(|index| format!("key{index}: 1\n")).collect();
    assert_eq!(problems(&many).len(), PROBLEMS_MAX);
}

#[test]
fn bounds_hold() {
    let script = |bytes: usize| step("").replace("echo", &"x".repeat(bytes));
    parse(&script(64 * 1024)).unwrap();
    assert!(only_problem(&script(64 * 1024 + 1)).contains("has 65537 bytes"));

    let steps = |count: usize| -> String {
        let list: String = (0..count).map(|index| format!("- {{ name: s{index}, run: x }}\n")).collect();
        format!("steps:\n{list}")
    };
    assert_eq!(parse(&steps(200)).unwrap().steps.len(), 200);
    assert!(only_problem(&steps(201)).contains("there are 201 steps"));

    let env = |count: usize| -> String {
        let list: String = (0..count).map(|index| format!("  V{index}: x\n")).collect();
        format!("env:\n{list}steps: [{{ name: a, run: x }}]\n")
    };
    assert_eq!(parse(&env(200)).unwrap().env.len(), 200);
    assert!(only_problem(&env(201)).contains("there are 201 variables"));

    let value = |bytes: usize| step(&format!("env: {{ A: {} }}", "x".repeat(bytes)));
    parse(&value(32 * 1024)).unwrap();
    assert!(only_problem(&value(32 * 1024 + 1)).contains("has 32769 bytes"));

    assert!(only_problem(&"#".repeat(BYTES_MAX + 1)).contains("262145 bytes"));
}

/// Steps with long names that need as many others which do not exist.
fn strangers(steps: usize, needs: usize) -> String {
    let need = |number: usize| format!("{number:05}{}, ", "b".repeat(50));
    let step = |step: usize| {
        let needs: String = (0..needs).map(|number| need(step * needs + number)).collect();
        format!("- {{ name: {step:05}{}, run: x, needs: [{needs}] }}\n", "a".repeat(50))
    };
    format!("steps:\n{}", (0..steps).map(step).collect::<String>())
}

/// Texts that are small and would be large or deep once read.
#[test]
fn texts_made_to_be_expensive_are_refused_soon() {
    let fill = |part: &str| part.repeat(BYTES_MAX / part.len());
    for text in [
        fill("["),
        fill("{a: "),
        fill("- "),
        fill("? "),
        fill("a: &a [*a, *a]\n"),
        fill("\""),
        fill("a\n"),
        fill("\t"),
        fill("---\n"),
        fill("? a\n"),
        fill("!"),
        fill("%"),
        fill("'\n"),
        fill("#\n"),
        format!("steps: [{}]", fill("a, ").split_at(BYTES_MAX - 20).0),
        format!("env: {{{}}}", fill("a: , ").split_at(BYTES_MAX - 20).0),
        // Each need is compared with each name, to find the one that was meant.
        strangers(200, 18),
    ] {
        let problems = problems(&text);
        assert!(problems.len() <= PROBLEMS_MAX);
        assert!(problems.iter().all(|problem| problem.message.len() < 500), "{:.40}", text);
    }
}

/// YAML as JSON, so that the schema can be asked.
fn json(yaml: &Yaml<'_>) -> serde_json::Value {
    match yaml {
        Yaml::Value(Scalar::Boolean(value)) => (*value).into(),
        Yaml::Value(Scalar::Integer(value)) => (*value).into(),
        Yaml::Value(Scalar::FloatingPoint(value)) => value.into_inner().into(),
        Yaml::Value(Scalar::String(value)) => value.as_ref().into(),
        Yaml::Sequence(items) => items.iter().map(json).collect(),
        Yaml::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| (key.as_str().expect("the examples have text keys").to_owned(), json(value)))
            .collect(),
        _ => serde_json::Value::Null,
    }
}

#[test]
fn the_published_schema_and_the_parser_agree() {
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let long = "x".repeat(101);
    let keys = [
        "when: always",
        "when: never",
        "when: true",
        "needs: []",
        "needs: [1]",
        "needs: x",
        "needs: [' ']",
        "timeout: 1s",
        "timeout: 500ms",
        "timeout: 1h30m",
        "timeout: 30m1h",
        "timeout: 10",
        "timeout: ''",
        "timeout: 1m5ms",
        "timeout: 1 h",
        "timeout: 1.5h",
        "tty: true",
        "tty: 'true'",
        "tty: 1",
        "secrets: []",
        "secrets: [A_1, { name: B }, { name: C, env: c }, { name: A_1, file: A_FILE }]",
        "secrets: [{ name: A, env: X, file: Y }]",
        "secrets: [{ file: Y }]",
        "secrets: [{ name: A, file: SLIPWAY_X }]",
        "secrets: [{ name: A, file: /tmp/x }]",
        "secrets: [{ name: A, path: X }]",
        "secrets: [a]",
        "secrets: A",
        "limits: {}",
        "limits: { memory: 512MiB, processes: 10, files: 64, file_size: 1GiB, cpu_time: 10m }",
        "limits: { memory: 512 }",
        "limits: { memory: 1.5GiB }",
        "limits: { file_size: 1TiB }",
        "limits: { processes: 0 }",
        "limits: { files: 15 }",
        "limits: { cpu_time: 10 }",
        "limits: { disk: 1GiB }",
        "limits: 1",
        "retry: {}",
        "retry: { attempts: 1, delay: 0s }",
        "retry: { attempts: 20 }",
        "retry: { attempts: 21 }",
        "retry: { attempts: 0 }",
        "retry: { attempts: '3' }",
        "retry: { attempts: 1.5 }",
        "retry: []",
        "retry: { delay: 0 }",
        "retry: { tries: 1 }",
        "env: {}",
        "env: []",
        "env: { A: 1, b_2: x, _c: true }",
        "env: { A: null }",
        "env: { A: [] }",
        "env: { SLIPWAY_A: x }",
        "env: { slipway_a: x }",
        "env: { SLIPWAYS: x }",
        "env: { A-B: x }",
        "env: { 1A: x }",
        "image: alpine",
        "Needs: []",
        "tty:",
    ];
    let names = [
        "a",
        "1",
        "'1'",
        "Ä ö",
        "a/b.c_d-e",
        "'a '",
        "' a'",
        "-a",
        "a:b",
        "a\\b",
        "日本語",
        "\"a\\tb\"",
        "''",
        &long,
    ];
    let texts = keys
        .iter()
        .map(|key| step(key))
        .chain(names.iter().map(|name| format!("steps: [{{ name: {name}, run: x }}]")))
        .chain(
            [WHOLE, "steps: []", "steps: {}", "{}", "[]", "steps: [{ name: a, run: '' }]"].map(String::from),
        )
        .chain(
            ["steps: [{ name: a, run: 1 }]", "steps: [{ run: a }]", "steps: [a]", "x: 1"].map(String::from),
        );
    for text in texts {
        let yaml = Yaml::load_from_str(&text).unwrap();
        let is_valid = validator.is_valid(&json(&yaml[0]));
        // Some rules are beyond the schema: bounds of spans among them.
        let beyond_schema = text.contains("timeout: 500ms");
        assert_eq!(is_valid, parse(&text).is_ok() || beyond_schema, "{text}: {:?}", parse(&text));
    }
}

pub(crate) fn print(definition: &Definition) -> String {
    use slipway::domain::duration::display;
    let env = |env: &BTreeMap<String, String>| serde_json::json!(env);
    let retry =
        |retry: &Retry| serde_json::json!({ "attempts": retry.attempts, "delay": display(retry.delay) });
    let steps: Vec<serde_json::Value> = definition
        .steps
        .iter()
        .map(|step| {
            let when = match step.when {
                When::Success => "success",
                When::Failure => "failure",
                When::Always => "always",
            };
            let mut value = serde_json::json!({
                "name": step.name, "run": step.run, "needs": step.needs, "when": when, "env": env(&step.env),
                "tty": step.tty,
            });
            let limits = step.limits;
            let mut bounds = serde_json::Map::new();
            let mut put = |name: &str, bound: Option<serde_json::Value>| {
                bound.map(|bound| bounds.insert(name.to_owned(), bound))
            };
            put("memory", limits.memory.map(|bytes| format!("{}MiB", bytes >> 20).into()));
            put("processes", limits.processes.map(Into::into));
            put("files", limits.files.map(Into::into));
            put("file_size", limits.file_size.map(|bytes| format!("{}KiB", bytes >> 10).into()));
            put("cpu_time", limits.cpu_time.map(|time| display(time).into()));
            if !bounds.is_empty() {
                value["limits"] = bounds.into();
            }
            if let Some(timeout) = step.timeout {
                value["timeout"] = display(timeout).into();
            }
            if let Some(step_retry) = &step.retry {
                value["retry"] = retry(step_retry);
            }
            value
        })
        .collect();
    serde_json::json!({
        "retry": retry(&definition.retry), "timeout": display(definition.timeout),
        "env": env(&definition.env), "steps": steps,
    })
    .to_string()
}

fn any_definition() -> impl Strategy<Value = Definition> {
    use slipway::domain::pipeline::StepDefinition;
    let retry = || {
        (1..=20_u32, 0..=3_600_000_u64)
            .prop_map(|(attempts, delay)| Retry { attempts, delay: Duration::from_millis(delay) })
    };
    let env = || {
        prop::collection::btree_map("[A-RT-Z_][A-Z0-9_]{0,8}", "[^\\x00\\p{Cc}]{0,20}|[ -~\n\t]{0,20}", 0..4)
    };
    let timeout = || (1_000..=604_800_000_u64).prop_map(Duration::from_millis);
    let limits = || {
        use prop::option::of;
        (
            of(16..=1_u64 << 30),
            of(1..=4_000_000_u64),
            of(16..=1_000_000_u64),
            of(1..=1_u64 << 40),
            of(1..=604_800_u64),
        )
            .prop_map(|(memory, processes, files, file_size, cpu_time)| StepLimits {
                memory: memory.map(|mib| mib << 20),
                processes,
                files,
                file_size: file_size.map(|kib| kib << 10),
                cpu_time: cpu_time.map(Duration::from_secs),
                cpu: None,
            })
    };
    let when = prop_oneof![Just(When::Success), Just(When::Failure), Just(When::Always)];
    let step = (
        "[a-zA-Z0-9äé][a-z ._/-]{0,8}[a-z]",
        "[!-~][ -~\n\t]{0,60}",
        when,
        env(),
        prop::option::of(timeout()),
        prop::option::of(retry()),
        (limits(), any::<bool>()),
        prop::collection::btree_set(0..8_usize, 0..3),
    );
    (retry(), timeout(), env(), prop::collection::vec(step, 1..8)).prop_map(|(retry, timeout, env, steps)| {
        let mut done: Vec<StepDefinition> = Vec::new();
        for (index, (name, run, when, env, timeout, retry, (limits, tty), needs)) in
            steps.into_iter().enumerate()
        {
            let needs =
                needs.into_iter().filter(|need| *need < index).map(|need| done[need].name.clone()).collect();
            done.push(StepDefinition {
                name: format!("{name}{index}"),
                run,
                needs,
                when,
                env,
                secrets: Vec::new(),
                timeout,
                retry,
                limits,
                tty,
            });
        }
        Definition { retry, timeout, env, steps: done }
    })
}

proptest! {
    #[test]
    fn a_definition_that_is_written_is_read_again(definition in any_definition()) {
        let text = print(&definition);
        prop_assert_eq!(parse(&text), Ok(definition), "{}", text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }

    /// Pieces of the language in any order come nearer to the parser's corners than bytes do.
    #[test]
    fn no_mixture_of_pieces_makes_it_panic(pieces in prop::collection::vec(
        prop::sample::select(vec![
            "steps", ":", " ", "\n", "- ", "  ", "name", "run", "needs", "[", "]", "{", "}", ",", "|", ">", "\"",
            "'", "#", "&a", "*a", "!t", "---", "...", "? ", "%YAML", "\t", "\r", "a", "1", "~", "\\", "retry", "<<",
            "\u{feff}", "\u{85}", "é", "@", "`", "|-\n", ">+2\n", "!!str ", "%TAG ! x\n",
        ]), 0..60)
    ) {
        let _ = parse(&pieces.concat());
    }
}
