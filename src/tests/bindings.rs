//! What is generated: the TypeScript package's file, and the OpenAPI document.

use std::path::Path;

use slipway::rpc::{bindings, openapi};

fn generated_file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(bindings::PATH)
}

#[test]
fn the_generated_file_says_what_the_procedures_say() {
    bindings::check(&generated_file()).unwrap();
    openapi::check(&Path::new(env!("CARGO_MANIFEST_DIR")).join(openapi::PATH)).unwrap();
}

#[test]
fn two_exports_are_the_same_text() {
    assert_eq!(bindings::export().unwrap(), bindings::export().unwrap());
    assert_eq!(openapi::text(), openapi::text());
}

/// Not a check: writes the file where the program cannot be run.
#[test]
#[ignore = "writes the generated file"]
fn write_the_generated_file() {
    bindings::write(&generated_file()).unwrap();
}
