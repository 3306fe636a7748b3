//! Answers held against files in `testdata/`. `UPDATE_GOLDEN=1` writes them anew.

use std::path::Path;

use serde::Serialize;

/// Compares as JSON, so that the order of keys does not count.
#[track_caller]
pub(crate) fn check(name: &str, answer: &impl Serialize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name);
    let got = serde_json::to_value(answer).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let text = serde_json::to_string_pretty(&got).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let expected: serde_json::Value = match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).unwrap(),
        Err(e) => panic!("{}: {e} (UPDATE_GOLDEN=1 makes it)", path.display()),
    };
    assert_eq!(got, expected, "{name}");
}
