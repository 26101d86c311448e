//! The example `router`: its handlers, its schema and its mistakes.

use std::process::{Command, Output};

use serde_json::Value;

use super::{example, run};

fn schema_of(name: &str) -> Output {
    Command::new(example(name))
        .arg("--schema")
        .env_clear()
        .output()
        .unwrap()
}

#[test]
fn each_task_has_its_handler() {
    insta::assert_snapshot!(
        "router_paints",
        run("router", r#"{"input": {"task": "paint", "prompt": "a cat"}}"#)
    );
    insta::assert_snapshot!(
        "router_spells",
        run("router", r#"{"input": {"task": "spell", "text": "hi"}}"#)
    );
}

#[test]
fn all_mistakes_of_an_input_are_told_at_once() {
    let input = r#"{"input": {"task": "paint", "promt": "a cat", "strokes": "many"}}"#;
    insta::assert_snapshot!(run("router", input));
}

#[test]
fn the_schema_stands_on_stdout_alone() {
    let output = schema_of("router");
    assert!(output.status.success());
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    insta::assert_json_snapshot!(schema);
}

#[test]
fn a_worker_without_a_schema_says_so_and_exits_with_2() {
    let output = schema_of("hello");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stderr));
}
