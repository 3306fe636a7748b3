//! `commit`: an image of a container's image and what the container has changed.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use hull_images::Reference;
use tokio::sync::mpsc;

use crate::api::CommitOptions;
use crate::container::{Blueprint, Container};
use crate::context::Context;
use crate::error::EngineError;
use crate::files::{FileArchive, Files};
use crate::images::NewImage;

/// How far the guest may be ahead of the store.
const PIECES: usize = 16;
/// What of a container's configuration is its image's.
const INHERITED: [&str; 13] = [
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Healthcheck",
    "Volumes",
    "WorkingDir",
    "OnBuild",
    "Labels",
    "StopSignal",
    "StopTimeout",
    "Shell",
];

pub(crate) async fn commit(
    context: &Arc<Context>,
    container: &Container,
    files: Files,
    name: Option<Reference>,
    options: CommitOptions,
) -> Result<String, EngineError> {
    let blueprint = container.blueprint();
    let archive = files.layer(options.pause).await?;
    let (sender, pieces) = mpsc::channel(PIECES);
    let pumped = pump(archive, sender);
    let layer = Pieces {
        pieces,
        current: Bytes::new(),
    };
    let image = NewImage {
        parent: blueprint.image_id.clone(),
        created_by: blueprint
            .config
            .cmd
            .iter()
            .flatten()
            .cloned()
            .collect::<Vec<_>>()
            .join(" "),
        config: inherited(&blueprint)?,
        name,
        author: options.author,
        comment: options.comment.clone(),
        changes: options.changes,
    };
    let (id, ()) = tokio::join!(context.images.commit(layer, image), pumped);
    let id = id?;
    let more = [
        ("comment", options.comment),
        ("imageID", id.clone()),
        ("imageRef", options.reference),
    ];
    container.announce(context, "commit", &more);
    Ok(id)
}

/// The container's configuration as an image has it.
fn inherited(blueprint: &Blueprint) -> Result<serde_json::Value, EngineError> {
    let whole = serde_json::to_value(&blueprint.config);
    let mut config = whole.map_err(|e| EngineError::Invalid(e.to_string()))?;
    if let Some(fields) = config.as_object_mut() {
        fields.retain(|name, value| INHERITED.contains(&name.as_str()) && !value.is_null());
    }
    Ok(config)
}

async fn pump(mut archive: FileArchive, sender: mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let piece = match archive.next().await {
            Ok(Some(piece)) => Ok(piece),
            Ok(None) => return,
            Err(error) => Err(io::Error::other(error)),
        };
        let last = piece.is_err();
        // A store that has refused the layer reads no more of it.
        if sender.send(piece).await.is_err() || last {
            return;
        }
    }
}

/// What the pump sends, for a reader that blocks. An archive that broke off is an error, not an end.
struct Pieces {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
