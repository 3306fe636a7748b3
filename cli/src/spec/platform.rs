//! `--platform os/arch[/variant]`, as the API takes it: OCI's JSON.

use serde_json::json;

use crate::failure::Failure;

/// The JSON of a platform as users write it.
pub(crate) fn json(text: &str) -> Result<String, Failure> {
    let bad = |word: &str| {
        word.is_empty()
            || !word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    };
    let words: Vec<&str> = text.split('/').collect();
    let refused = || {
        Failure::new(format!(
            "invalid platform: {text:?} is not OS/ARCH[/VARIANT]"
        ))
    };
    if words.iter().any(|word| bad(word)) {
        return Err(refused());
    }
    let machine = |word: &str| match word.to_lowercase().as_str() {
        "x86_64" | "x86-64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        other => other.to_owned(),
    };
    let platform = match words.as_slice() {
        [os, arch] => json!({"architecture": machine(arch), "os": os.to_lowercase()}),
        [os, arch, variant] => json!({
            "architecture": machine(arch), "os": os.to_lowercase(), "variant": variant,
        }),
        _ => return Err(refused()),
    };
    Ok(platform.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_sent_as_json() {
        assert_eq!(
            json("linux/x86_64").unwrap(),
            r#"{"architecture":"amd64","os":"linux"}"#
        );
        assert_eq!(
            json("linux/arm/v7").unwrap(),
            r#"{"architecture":"arm","os":"linux","variant":"v7"}"#
        );
        for text in ["", "linux", "linux/", "a/b/c/d", "linux/a b"] {
            assert!(json(text).is_err(), "{text:?}");
        }
    }
}
