//! `slipway exec` with real steps.

use super::{Told, slipway};

async fn exec(definition: &str, arguments: &[&str]) -> Told {
    slipway(&[&["exec", "-"], arguments].concat()).told_with_input(definition).await
}

#[tokio::test]
async fn a_pipeline_runs_in_order_with_its_inputs_and_exits_with_0() {
    let definition = r#"
steps:
  - name: build
    run: echo "for $SLIPWAY_INPUT_WHO on $SLIPWAY_RUN_BRANCH in $(pwd)"
  - name: test
    needs: [build]
    run: echo tested >&2
"#;
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    let told = exec(definition, &["--input", "who=me", "--branch", "main", "--workspace", place]).await;
    assert_eq!(told.code, 0, "{}", told.stderr);
    let log: Vec<_> = told.lines().into_iter().filter(|line| line.starts_with('[')).collect();
    assert_eq!(log, [format!("[build] for me on main in {place}").as_str(), "[test] tested"]);
    assert!(told.lines().last().unwrap().starts_with("stdin succeeded"));
}

#[tokio::test]
async fn a_failed_step_is_tried_again_and_then_fails_the_run_after_what_clears_up() {
    let definition = r"
retry: { attempts: 2, delay: 1ms }
steps:
  - name: build
    run: exit 7
  - name: ship
    needs: [build]
    run: echo shipped
  - name: clear
    when: always
    run: echo cleared
";
    let told = exec(definition, &["--json"]).await;
    assert_eq!(told.code, 1, "{}", told.stderr);
    let events = told.json();
    let steps = events.last().unwrap()["run"]["steps"].clone();
    let of = |index: usize, field: &str| steps[index][field].clone();
    assert_eq!((of(0, "status"), of(0, "exitCode"), of(0, "attempt")), ("failed".into(), 7.into(), 2.into()));
    assert_eq!((of(1, "status"), of(2, "status")), ("skipped".into(), "succeeded".into()));
    let printed = |text: &str| events.iter().filter(|event| event["log"]["message"] == text).count();
    assert_eq!((printed("shipped"), printed("cleared")), (0, 1));
}

#[tokio::test]
async fn a_run_whose_time_is_over_exits_with_4() {
    let told = exec("timeout: 1s\nsteps:\n  - name: sleep\n    run: sleep 600\n", &[]).await;
    assert_eq!(told.code, 4, "{}{}", told.stdout, told.stderr);
}

/// The step itself interrupts the program, so that it certainly runs by then.
#[tokio::test]
async fn an_interrupt_ends_the_steps_still_clears_up_and_exits_with_3() {
    let dir = tempfile::tempdir().unwrap();
    let definition = "steps:\n  - name: sleep\n    run: kill -INT $(cat pid); sleep 600\n  \
                      - name: clear\n    when: always\n    run: echo cleared\n";
    std::fs::write(dir.path().join("definition.yml"), definition).unwrap();
    let script = "cd \"$1\" && echo $$ > pid && exec \"$0\" exec definition.yml";
    let told: Told = tokio::process::Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_slipway"), dir.path().to_str().unwrap()])
        .output()
        .await
        .unwrap()
        .into();
    assert_eq!(told.code, 3, "{}{}", told.stdout, told.stderr);
    assert!(told.lines().contains(&"[clear] cleared"), "{}", told.stdout);
}

#[tokio::test]
async fn a_definition_with_problems_is_refused_with_their_places() {
    let told = exec("steps:\n  - nam: x\n", &[]).await;
    assert_eq!(told.code, 2);
    assert!(told.stderr.starts_with("slipway: stdin is no pipeline:\nstdin:2:"), "{}", told.stderr);
}
