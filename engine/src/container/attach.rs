//! Attaching a client to a container's first process.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Container;
use crate::api::{AttachOptions, Attachment, Replay, StdStream};
use crate::console::{AtEnd, DetachScan, Prelude, client_pair, relay};
use crate::context::Context;

/// How many pieces of a client's input wait.
const INPUT_QUEUE: usize = 16;

/// Attaches; also before the start. After this returns no output is missed.
pub(crate) async fn attach(
    context: &Context,
    container: &Arc<Container>,
    options: AttachOptions,
) -> Attachment {
    let blueprint = container.blueprint();
    let config = &blueprint.config;
    let gone = CancellationToken::new();
    let output = {
        let mut stage = container.console.stage.lock().await;
        let (length, held) = match &stage.writer {
            Some(writer) => (writer.length(), writer.held().map(|(s, b)| (s, b.to_vec()))),
            None => (
                container.console.length(),
                [StdStream::Stdout, StdStream::Stderr].map(|s| (s, Vec::new())),
            ),
        };
        let past: Option<Prelude> = (options.replay == Replay::Yes).then(|| {
            let container = container.clone();
            let wanted = move |stream| match stream {
                StdStream::Stdout => options.stdout,
                StdStream::Stderr => options.stderr,
            };
            let show: Prelude = Box::new(move |to| {
                Box::pin(async move {
                    let held = held.into_iter().map(|(stream, bytes)| (stream, bytes.into()));
                    if let Err(error) = container.console.replay(length, held, wanted, &to).await {
                        tracing::warn!(container = %container.id(), %error, "a log cannot be replayed");
                    }
                })
            });
            show
        });
        let (client, output) = client_pair(options.stdout, options.stderr, &gone, past);
        if options.stream {
            stage.audience.join(client);
        }
        output
    };
    let stdin = (options.stdin && config.open_stdin).then(|| {
        let (sender, typed) = mpsc::channel(INPUT_QUEUE);
        let detach = config
            .tty
            .then(|| DetachScan::new(options.detach_keys.0.clone()));
        let at_end = AtEnd::of(config.tty, config.stdin_once);
        context.spawn(relay(
            typed,
            container.console.input(),
            detach,
            at_end,
            gone.clone(),
        ));
        sender
    });
    Attachment {
        tty: config.tty,
        stdin,
        output,
    }
}
