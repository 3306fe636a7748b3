//! Images of another one and what a container has changed.

use std::io::Read;

use hull_images::{Commit, Reference};

use super::Images;
use super::failure::{find_failed, import_failed};
use crate::error::EngineError;

/// An image that is to be made of another one and a layer.
#[derive(Debug)]
pub(crate) struct NewImage {
    /// `sha256:…`.
    pub(crate) parent: String,
    pub(crate) created_by: String,
    pub(crate) config: serde_json::Value,
    pub(crate) name: Option<Reference>,
    pub(crate) author: String,
    pub(crate) comment: String,
    pub(crate) changes: Vec<String>,
}

impl Images {
    /// Makes an image of another one and what was changed.
    pub(crate) async fn commit(
        &self,
        layer: impl Read + Send + 'static,
        image: NewImage,
    ) -> Result<String, EngineError> {
        let config = serde_json::from_value(image.config)
            .map_err(|e| EngineError::Invalid(e.to_string()))?;
        let commit = Commit {
            name: image.name,
            author: image.author,
            comment: image.comment,
            created_by: image.created_by,
            config,
            changes: image.changes,
        };
        let made = self.blocking(move |store| {
            let parent = store.find(&image.parent).map_err(find_failed)?;
            store.commit(&parent, layer, &commit).map_err(import_failed)
        });
        Ok(made.await?.to_string())
    }
}
