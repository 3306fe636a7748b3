//! `GET /images/{name}/json`

use std::collections::HashMap;

use bollard_stubs::models::{
    DriverData, ImageInspect as Model, ImageInspectMetadata, ImageInspectRootFs,
};
use hull_engine::ImageInspect;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::api::App;
use crate::http::{ApiError, Reply, Request};

pub(super) async fn inspect(app: App, request: Request) -> Result<Reply, ApiError> {
    Reply::json(&View::new(
        app.engine.images().inspect(request.name()).await?,
    ))
}

/// The image's own configuration is shown as it is, also what the models do not know.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct View {
    #[serde(flatten)]
    fields: Model,
    config: Map<String, Value>,
}

impl View {
    fn new(image: ImageInspect) -> Self {
        let graph_driver = layers(&image);
        let summary = image.summary;
        let fields = Model {
            id: Some(summary.id),
            repo_tags: Some(summary.repo_tags),
            repo_digests: Some(summary.repo_digests),
            parent: Some(summary.parent),
            comment: Some(image.comment),
            created: summary.created.map(|t| t.to_string()),
            docker_version: Some(image.docker_version),
            author: Some(image.author),
            architecture: Some(image.architecture),
            variant: Some(image.variant).filter(|variant| !variant.is_empty()),
            os: Some(image.os),
            size: i64::try_from(summary.size).ok(),
            graph_driver: Some(graph_driver),
            root_fs: Some(ImageInspectRootFs {
                typ: "layers".to_owned(),
                layers: Some(image.diff_ids),
            }),
            metadata: Some(ImageInspectMetadata {
                last_tag_time: Some(image.last_tagged.map_or_else(never, |t| t.to_string())),
            }),
            ..Model::default()
        };
        Self {
            fields,
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
fn layers(image: &ImageInspect) -> DriverData {
    let mut files = image.layer_files.iter().rev();
    let mut path = || files.next().map(|file| file.display().to_string());
    let upper = path();
    let lower: Vec<String> = std::iter::from_fn(path).collect();
    let mut data = HashMap::from([
        ("MergedDir".to_owned(), String::new()),
        ("UpperDir".to_owned(), upper.unwrap_or_default()),
        ("WorkDir".to_owned(), String::new()),
    ]);
    if !lower.is_empty() {
        data.insert("LowerDir".to_owned(), lower.join(":"));
    }
    DriverData {
        name: "hull".to_owned(),
        data,
    }
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
