//! How an image was made: its configuration's history, with what the store knows of each step.

use hull_images::{Image, Reference, Store};

use super::failure::store_failed;
use super::{HistoryStep, Images, find};
use crate::error::EngineError;

impl Images {
    /// The steps that made an image, the newest first.
    ///
    /// # Errors
    /// There is no such image.
    pub async fn history(&self, reference: &str) -> Result<Vec<HistoryStep>, EngineError> {
        let reference = reference.to_owned();
        self.blocking(move |store| {
            let image = find(store, &reference)?;
            let mut steps = steps(&image);
            name(store, image, &mut steps)?;
            Ok(steps)
        })
        .await
    }
}

/// The newest first, each with its layer's size.
fn steps(image: &Image) -> Vec<HistoryStep> {
    let mut sizes = image.layers.iter().map(|layer| layer.size);
    let mut steps: Vec<HistoryStep> = image
        .config
        .history
        .iter()
        .map(|step| HistoryStep {
            created: step.created.and_then(|t| t.to_string().parse().ok()),
            created_by: step.created_by.clone(),
            comment: step.comment.clone(),
            size: match step.empty_layer {
                true => 0,
                false => sizes.next().unwrap_or_default(),
            },
            ..HistoryStep::default()
        })
        .collect();
    steps.reverse();
    steps
}

/// The topmost step made the image itself; the ones below made its parents, as far as those are
/// here.
fn name(store: &Store, image: Image, steps: &mut [HistoryStep]) -> Result<(), EngineError> {
    let mut image = Some(image);
    for step in steps {
        let Some(made) = image.take() else { break };
        step.id = Some(made.id.to_string());
        step.tags = made.tags.iter().map(Reference::familiar).collect();
        image = match made.parent {
            Some(parent) => store
                .image(&parent)
                .map(Some)
                .or_else(|error| match error {
                    hull_images::StoreError::Gone(_) => Ok(None),
                    error => Err(store_failed(&error)),
                })?,
            None => None,
        };
    }
    Ok(())
}
