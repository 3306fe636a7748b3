//! `GET /images/{name}/json`

use bollard_stubs::models::{DriverData, ImageInspect as Model, ImageInspectRootFs};
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
        let summary = image.summary;
        let fields = Model {
            id: Some(summary.id),
            repo_tags: Some(summary.repo_tags),
            repo_digests: Some(summary.repo_digests),
            parent: Some(String::new()),
            comment: Some(image.comment),
            created: summary.created.map(|t| t.to_string()),
            docker_version: Some(String::new()),
            author: Some(image.author),
            architecture: Some(image.architecture),
            os: Some(image.os),
            size: i64::try_from(summary.size).ok(),
            graph_driver: Some(DriverData {
                name: "hull".to_owned(),
                ..DriverData::default()
            }),
            root_fs: Some(ImageInspectRootFs {
                typ: "layers".to_owned(),
                layers: Some(image.diff_ids),
            }),
            ..Model::default()
        };
        Self {
            fields,
            config: config(&image.configuration),
        }
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
    fn the_configuration_keeps_what_it_has() {
        let shown = config(&json!({"config": {"Cmd": ["sh"], "X": 1}, "os": "linux"}));
        assert_eq!(shown["Cmd"], json!(["sh"]));
        assert_eq!(shown["X"], 1);
        assert_eq!(shown["User"], "");
        assert_eq!(shown["Labels"], Value::Null);
        assert_eq!(config(&Value::Null).len(), ALWAYS.len());
    }
}
