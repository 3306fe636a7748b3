//! `--platform os[/arch[/variant]]`, as the API takes it since 1.48: OCI's JSON.

use hull_images::Platform;

use crate::failure::Failure;

/// The JSON of a platform as users write it.
pub(crate) fn json(text: &str) -> Result<String, Failure> {
    let platform: Platform = text
        .parse()
        .map_err(|error: hull_images::PlatformError| Failure::new(error.to_string()))?;
    serde_json::to_string(&platform).map_err(|error| Failure::new(error.to_string()))
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
        let own = Platform::host().architecture;
        assert_eq!(
            json("linux").unwrap(),
            format!(r#"{{"architecture":"{own}","os":"linux"}}"#)
        );
        for text in ["", "linux/", "a/b/c/d", "linux/a b"] {
            assert!(json(text).is_err(), "{text:?}");
        }
    }
}
