//! Which images a list is asked for.

use hull_engine::{EngineError, ImageSummary, Timestamp};

use super::pattern;
use crate::api::{label, time};
use crate::http::ApiError;
use crate::http::filters::Filters;

/// Conditions that all hold for every image listed.
#[derive(Debug, Default)]
pub(super) struct Filter {
    dangling: Option<bool>,
    labels: Vec<String>,
    references: Vec<String>,
    before: Option<String>,
    since: Option<String>,
    until: Option<Timestamp>,
}

impl Filter {
    pub(super) fn parse(filters: Filters) -> Result<Self, ApiError> {
        let mut filter = Self::default();
        for (key, values) in filters.into_map() {
            match key.as_str() {
                "dangling" => filter.dangling = Some(boolean(&key, &values)?),
                "label" => filter.labels = values,
                "reference" => {
                    if values.iter().any(|pattern| !pattern::is_valid(pattern)) {
                        return Err(ApiError::bad_request("syntax error in pattern"));
                    }
                    filter.references = values;
                }
                "before" => filter.before = values.into_iter().next(),
                "since" => filter.since = values.into_iter().next(),
                "until" => filter.until = Some(time::filter(&values)?),
                _ => return Err(ApiError::bad_request(format!("invalid filter '{key}'"))),
            }
        }
        Ok(filter)
    }

    pub(super) fn apply(&self, images: Vec<ImageSummary>) -> Result<Vec<ImageSummary>, ApiError> {
        let made = |name: &Option<String>| {
            name.as_deref()
                .map(|name| created(&images, name))
                .transpose()
        };
        let (before, since) = (made(&self.before)?, made(&self.since)?);
        let passing = images.into_iter().filter_map(|mut image| {
            let untagged = image.repo_tags.is_empty();
            let passes = self.dangling.is_none_or(|wanted| wanted == untagged)
                && label::all(&self.labels, |key| {
                    image.labels.get(key).map(String::as_str)
                })
                && before.is_none_or(|moment| image.created < moment)
                && since.is_none_or(|moment| image.created > moment)
                && self
                    .until
                    .is_none_or(|until| image.created.is_some_and(|made| made < until));
            // Names that were not asked for are not shown of an image that was.
            if !self.references.is_empty() {
                image.repo_tags.retain(|name| self.refers(name));
                image.repo_digests.retain(|name| self.refers(name));
            }
            let named = self.references.is_empty()
                || !(image.repo_tags.is_empty() && image.repo_digests.is_empty());
            (passes && named).then_some(image)
        });
        Ok(passing.collect())
    }

    /// Whether a pattern fits a name as users see it, with its tag or digest or without.
    fn refers(&self, name: &str) -> bool {
        let mut patterns = self.references.iter();
        patterns.any(|pattern| {
            pattern::matches(pattern, name) || pattern::matches(pattern, repository(name))
        })
    }
}

pub(super) fn boolean(key: &str, values: &[String]) -> Result<bool, ApiError> {
    match values {
        [value] if matches!(value.as_str(), "true" | "1" | "True" | "TRUE" | "t" | "T") => Ok(true),
        [value]
            if matches!(
                value.as_str(),
                "false" | "0" | "False" | "FALSE" | "f" | "F"
            ) =>
        {
            Ok(false)
        }
        _ => {
            let values = values.join(" ");
            Err(ApiError::bad_request(format!(
                "invalid filter '{key}=[{values}]'"
            )))
        }
    }
}

/// When the image that a filter names was made.
fn created(images: &[ImageSummary], name: &str) -> Result<Option<Timestamp>, ApiError> {
    let id = name.strip_prefix("sha256:").unwrap_or(name);
    let is_id = !id.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit());
    let tagged = with_tag(name);
    let image = images.iter().find(|image| {
        let names = image.repo_tags.iter().chain(&image.repo_digests);
        names.into_iter().any(|n| *n == tagged || n == name)
            || (is_id
                && image
                    .id
                    .strip_prefix("sha256:")
                    .is_some_and(|i| i.starts_with(id)))
    });
    image
        .map(|i| i.created)
        .ok_or_else(|| EngineError::NoSuchImage(tagged).into())
}

fn with_tag(name: &str) -> String {
    match repository(name) == name {
        true => format!("{name}:latest"),
        false => name.to_owned(),
    }
}

/// A name without its tag or digest. A colon before the last slash is a port.
fn repository(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or(name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(created: i64, tags: &[&str], labels: &[(&str, &str)]) -> ImageSummary {
        ImageSummary {
            id: format!("sha256:{created:064x}"),
            repo_tags: tags.iter().map(|t| (*t).to_owned()).collect(),
            created: Some(Timestamp(created)),
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            ..ImageSummary::default()
        }
    }

    fn check(filters: &str, expected: Result<&[&str], &str>) {
        let images = vec![
            image(3, &["localhost:5000/a/web:1", "web:latest"], &[("k", "v")]),
            image(2, &["busybox:latest"], &[("k", "w")]),
            image(1, &[], &[]),
        ];
        let got = Filters::parse(Some(filters))
            .and_then(Filter::parse)
            .and_then(|f| f.apply(images))
            .map(|images| {
                let names = |i: ImageSummary| match i.repo_tags.is_empty() {
                    true => "<none>".to_owned(),
                    false => i.repo_tags.join(","),
                };
                images.into_iter().map(names).collect::<Vec<_>>()
            })
            .map_err(|e| e.message);
        let expected = expected.map(|e| e.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(got, expected.map_err(str::to_owned), "{filters}");
    }

    #[test]
    fn images_pass_as_in_docker() {
        let both = "localhost:5000/a/web:1,web:latest";
        check("", Ok(&[both, "busybox:latest", "<none>"]));
        check(r#"{"dangling":{"true":true}}"#, Ok(&["<none>"]));
        check(r#"{"dangling":["false"]}"#, Ok(&[both, "busybox:latest"]));
        check(
            r#"{"dangling":["bogus"]}"#,
            Err("invalid filter 'dangling=[bogus]'"),
        );
        check(r#"{"label":["k"]}"#, Ok(&[both, "busybox:latest"]));
        check(r#"{"label":["k=v"]}"#, Ok(&[both]));
        check(r#"{"reference":["web"]}"#, Ok(&["web:latest"]));
        check(
            r#"{"reference":["*:latest"]}"#,
            Ok(&["web:latest", "busybox:latest"]),
        );
        check(
            r#"{"reference":["localhost:5000/*/web"]}"#,
            Ok(&["localhost:5000/a/web:1"]),
        );
        check(
            r#"{"reference":["*"]}"#,
            Ok(&["web:latest", "busybox:latest"]),
        );
        check(r#"{"before":["web"]}"#, Ok(&["busybox:latest", "<none>"]));
        check(r#"{"since":["busybox:latest"]}"#, Ok(&[both]));
        check(
            r#"{"since":["nosuch"]}"#,
            Err("No such image: nosuch:latest"),
        );
        check(
            r#"{"until":["0.000000003"]}"#,
            Ok(&["busybox:latest", "<none>"]),
        );
        check(
            r#"{"until":["bogus"]}"#,
            Err("failed to parse value as time or duration: \"bogus\""),
        );
        check(r#"{"reference":["[v-x]eb"]}"#, Ok(&["web:latest"]));
        check(r#"{"reference":["[web"]}"#, Err("syntax error in pattern"));
        check(r#"{"label!":["k"]}"#, Err("invalid filter 'label!'"));
        check(r#"{"bogus":["x"]}"#, Err("invalid filter 'bogus'"));
    }
}
