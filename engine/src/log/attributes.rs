//! What is told with each line of a log: labels and variables of the container, and a tag.

use std::collections::BTreeMap;

use regex::Regex;

use super::LogConfigError;
use crate::container::Blueprint;

/// Names and values.
pub(crate) type Attributes = BTreeMap<String, String>;

/// How long a label or a variable may make every line of a log, in bytes.
const MOST: usize = 256 << 10;

/// What a container's log driver is told to add.
pub(crate) fn of(blueprint: &Blueprint, name: &str) -> Result<Attributes, LogConfigError> {
    let options = &blueprint.host_config.log_config.config;
    let variables: BTreeMap<String, String> = blueprint
        .config
        .env
        .iter()
        .flatten()
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut attributes = Attributes::new();
    for (all, names, pattern) in [
        (&blueprint.config.labels, "labels", "labels-regex"),
        (&variables, "env", "env-regex"),
    ] {
        let listed: Vec<&str> = match options.get(names) {
            Some(list) => list.split(',').collect(),
            None => Vec::new(),
        };
        let pattern = options
            .get(pattern)
            .filter(|pattern| !pattern.is_empty())
            .map(|pattern| Regex::new(pattern))
            .transpose()
            .map_err(|error| LogConfigError::Value(error.to_string()))?;
        let wanted = all.iter().filter(|(name, _)| {
            listed.contains(&name.as_str()) || pattern.as_ref().is_some_and(|p| p.is_match(name))
        });
        attributes.extend(wanted.map(|(name, value)| (name.clone(), value.clone())));
    }
    if let Some(template) = options.get("tag").filter(|template| !template.is_empty()) {
        attributes.insert("tag".to_owned(), tag(template, blueprint, name)?);
    }
    let length: usize = attributes.iter().map(|(k, v)| k.len() + v.len()).sum();
    if length > MOST {
        let why = format!("attributes of {length} bytes for each line, the most is {MOST}");
        return Err(LogConfigError::Value(why));
    }
    Ok(attributes)
}

/// Puts what is known about a container into `{{.Name}}` and the like. Docker takes a whole Go
/// template here; what is more than fields is refused rather than written as it stands.
fn tag(template: &str, blueprint: &Blueprint, name: &str) -> Result<String, LogConfigError> {
    let refused = |what: &str| {
        LogConfigError::Value(format!(
            "tag {template:?}: {what}: a tag is text with {{{{.ID}}}}, {{{{.FullID}}}}, \
             {{{{.Name}}}}, {{{{.ImageID}}}}, {{{{.ImageFullID}}}}, {{{{.ImageName}}}}, \
             {{{{.Command}}}} or {{{{.DaemonName}}}}"
        ))
    };
    let short = |id: &str| id.chars().take(12).collect::<String>();
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((field, after)) = after.split_once("}}") else {
            return Err(refused("unclosed action"));
        };
        out.push_str(before);
        out.push_str(&match field.trim() {
            ".ID" => blueprint.id.short().to_owned(),
            ".FullID" => blueprint.id.to_string(),
            ".Name" => name.to_owned(),
            ".ImageID" => short(&blueprint.image_id),
            ".ImageFullID" => blueprint.image_id.clone(),
            ".ImageName" => blueprint.config.image.clone(),
            ".Command" => blueprint.command().join(" "),
            ".DaemonName" => "hull".to_owned(),
            other => return Err(refused(other)),
        });
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::images::RunImage;

    fn attributes(options: &serde_json::Value) -> Result<Attributes, String> {
        let spec = serde_json::from_value(json!({
            "Image": "busybox:latest", "Cmd": ["echo", "hello"],
            "Labels": { "app": "web", "app.tier": "front", "x": "y" },
            "Env": ["A=1", "ABLE=2", "B", "C=x=y"],
            "HostConfig": { "LogConfig": { "Type": "json-file", "Config": options } },
        }))
        .unwrap();
        let id = "55afcfd24cbe727036744fabdb7e831c85fe2baff826279d5e941780dcd96dbf";
        let image = RunImage {
            id: format!("sha256:{id}"),
            ..RunImage::default()
        };
        let blueprint = Blueprint::new(id.parse().unwrap(), spec, &image).unwrap();
        of(&blueprint, "web1").map_err(|e| e.to_string())
    }

    fn pairs(list: &[(&str, &str)]) -> Attributes {
        list.iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn labels_and_variables_are_chosen_by_name_and_by_pattern() {
        for (options, expected) in [
            (json!({}), &[][..]),
            (json!({ "labels": "app,nosuch" }), &[("app", "web")]),
            (
                json!({ "labels-regex": "^app" }),
                &[("app", "web"), ("app.tier", "front")],
            ),
            (json!({ "env": "C,B" }), &[("C", "x=y")]),
            (
                json!({ "env-regex": "^A", "labels": "x" }),
                &[("A", "1"), ("ABLE", "2"), ("x", "y")],
            ),
        ] {
            assert_eq!(attributes(&options), Ok(pairs(expected)), "{options}");
        }
        let error = attributes(&json!({ "env-regex": "(" })).unwrap_err();
        assert!(
            error.starts_with("failed to initialize logging driver: "),
            "{error}"
        );
    }

    #[test]
    fn a_tag_names_the_container() {
        for (template, tag) in [
            ("plain", "plain"),
            ("{{.Name}}/{{ .ID }}", "web1/55afcfd24cbe"),
            ("{{.ImageName}}: {{.Command}}", "busybox:latest: echo hello"),
            ("{{.ImageID}}", "sha256:55afc"),
        ] {
            let expected = pairs(&[("tag", tag)]);
            assert_eq!(
                attributes(&json!({ "tag": template })),
                Ok(expected),
                "{template}"
            );
        }
        for bad in ["{{.Name", "{{.Nosuch}}", "{{printf \"%s\" .Name}}"] {
            let error = attributes(&json!({ "tag": bad })).unwrap_err();
            assert!(error.contains("a tag is text with {{.ID}}"), "{error}");
        }
    }
}
