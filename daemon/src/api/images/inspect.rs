//! `GET /images/{name}/json`

use std::collections::BTreeMap;

use hull_engine::{ImageInspect, Platform};
use serde::Serialize;
use serde_json::{Map, Value};

use super::save::platform;
use crate::api::App;
use crate::http::{ApiError, Reply, Request};

/// `?platform=` refuses what is for another one.
pub(super) async fn inspect(app: App, request: Request) -> Result<Reply, ApiError> {
    let platform = platform(request.query.text("platform"))?;
    let image = app.engine.images().inspect(request.name()).await?;
    check(&image, platform.as_ref(), request.name())?;
    Reply::json(&View::new(image))
}

/// Whether an image is for the platform that was asked for, if one was.
pub(super) fn check(
    image: &ImageInspect,
    platform: Option<&Platform>,
    name: &str,
) -> Result<(), ApiError> {
    let own = Platform {
        architecture: image.architecture.clone(),
        os: image.os.clone(),
        variant: image.variant.clone(),
    };
    match platform {
        Some(platform) if !own.provides(platform) => Err(ApiError::not_found(format!(
            "image with reference {name} was found but does not provide the specified platform ({platform})"
        ))),
        _ => Ok(()),
    }
}

/// In the order of Docker's keys. The image's own configuration is shown as it is, also what no
/// model of it knows.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct View {
    id: String,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    parent: String,
    comment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    docker_version: String,
    author: String,
    architecture: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    variant: String,
    os: String,
    size: u64,
    graph_driver: GraphDriver,
    #[serde(rename = "RootFS")]
    root_fs: RootFs,
    metadata: Metadata,
    config: Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GraphDriver {
    data: BTreeMap<&'static str, String>,
    name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RootFs {
    r#type: &'static str,
    layers: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    last_tag_time: String,
}

impl View {
    fn new(image: ImageInspect) -> Self {
        let graph_driver = layers(&image);
        let summary = image.summary;
        Self {
            id: summary.id,
            repo_tags: summary.repo_tags,
            repo_digests: summary.repo_digests,
            parent: summary.parent,
            comment: image.comment,
            created: summary.created.map(|t| t.to_string()),
            docker_version: image.docker_version,
            author: image.author,
            architecture: image.architecture,
            variant: image.variant,
            os: image.os,
            size: summary.size,
            graph_driver,
            root_fs: RootFs {
                r#type: "layers",
                layers: image.diff_ids,
            },
            metadata: Metadata {
                last_tag_time: image.last_tagged.map_or_else(never, |t| t.to_string()),
            },
            config: config(&image.configuration),
        }
    }
}

/// Go's zero time.
fn never() -> String {
    "0001-01-01T00:00:00Z".to_owned()
}

/// The packed layers, under the names that Docker has for an overlay's folders. There is no merged
/// one: only guests mount layers.
fn layers(image: &ImageInspect) -> GraphDriver {
    let mut files = image.layer_files.iter().rev();
    let mut path = || files.next().map(|file| file.display().to_string());
    let upper = path();
    let lower: Vec<String> = std::iter::from_fn(path).collect();
    let mut data = BTreeMap::from([
        ("MergedDir", String::new()),
        ("UpperDir", upper.unwrap_or_default()),
        ("WorkDir", String::new()),
    ]);
    if !lower.is_empty() {
        data.insert("LowerDir", lower.join(":"));
    }
    GraphDriver { data, name: "hull" }
}

/// Docker always shows these, and templates read them.
const ALWAYS: [&str; 8] = [
    "Cmd",
    "Entrypoint",
    "Env",
    "Labels",
    "OnBuild",
    "User",
    "Volumes",
    "WorkingDir",
];

fn config(configuration: &Value) -> Map<String, Value> {
    let own = configuration
        .get("config")
        .and_then(Value::as_object)
        .cloned();
    let mut config = own.unwrap_or_default();
    for key in ALWAYS {
        let empty = match key {
            "User" | "WorkingDir" => Value::from(""),
            _ => Value::Null,
        };
        config.entry(key).or_insert(empty);
    }
    config
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_for_another_platform_is_not_the_one() {
        let image = ImageInspect {
            architecture: "arm64".into(),
            os: "linux".into(),
            ..ImageInspect::default()
        };
        let asked = |text: &str| check(&image, text.parse().ok().as_ref(), "x");
        assert_eq!(asked("linux/arm64"), Ok(()));
        assert_eq!(check(&image, None, "x"), Ok(()));
        let message = "image with reference x was found but does not provide the specified platform (linux/amd64)";
        assert_eq!(asked("linux/amd64").unwrap_err().message, message);
    }

    #[test]
    fn keys_come_in_docker_s_order() {
        let text = serde_json::to_string(&View::new(ImageInspect::default())).unwrap();
        let mut at = 0;
        for key in [
            "Id",
            "RepoTags",
            "RepoDigests",
            "Parent",
            "Comment",
            "DockerVersion",
            "Author",
            "Architecture",
            "Os",
            "Size",
            "GraphDriver",
            "Data",
            "Name",
            "RootFS",
            "Type",
            "Layers",
            "Metadata",
            "LastTagTime",
            "Config",
            "Cmd",
            "Entrypoint",
            "Env",
            "Labels",
        ] {
            let found = text[at..].find(&format!("\"{key}\":"));
            at += found.unwrap_or_else(|| panic!("{key} in {text}"));
        }
        assert!(
            text.contains("\"LastTagTime\":\"0001-01-01T00:00:00Z\""),
            "{text}"
        );
    }

    #[test]
    fn layers_stand_where_docker_s_folders_do() {
        let image = |files: &[&str]| ImageInspect {
            layer_files: files.iter().map(Into::into).collect(),
            ..ImageInspect::default()
        };
        let data = layers(&image(&["/l/a", "/l/b", "/l/c"])).data;
        assert_eq!(
            (&data["UpperDir"][..], &data["LowerDir"][..]),
            ("/l/c", "/l/b:/l/a")
        );
        let one = layers(&image(&["/l/a"])).data;
        assert_eq!((&one["UpperDir"][..], one.get("LowerDir")), ("/l/a", None));
    }

    #[test]
    fn the_configuration_keeps_what_it_has() {
        let shown = config(&json!({"config": {"Cmd": ["sh"], "X": 1}, "os": "linux"}));
        assert_eq!(shown["Cmd"], json!(["sh"]));
        assert_eq!(shown["X"], 1);
        assert_eq!(shown["User"], "");
        assert_eq!(shown["Labels"], Value::Null);
        assert_eq!(config(&Value::Null).len(), ALWAYS.len());
    }
}
