//! The container's terminal follows the size of ours.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use bollard::exec::ResizeExecOptions;
use bollard::query_parameters::ResizeContainerTTYOptions;
use tokio::signal::unix::{SignalKind, signal};

use crate::api::{Client, Error};
use crate::terminal::size::Size;

/// Whose terminal it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a> {
    Container(&'a str),
    Exec(&'a str),
}

/// An exec answers "not yet" until it has started; this is how often it is asked again.
const TRIES: u32 = 10;

/// As [`follow`], for a container that has long drawn its screen: a size that differs for a
/// moment makes it draw again, so that there is a prompt to see.
pub(crate) async fn redraw(client: &Client, target: Target<'_>) -> Infallible {
    if let Some(Size { rows, columns }) = Size::of_stdout() {
        let taller = Size {
            rows: rows.saturating_add(1),
            columns,
        };
        drop(send(client, target, taller).await);
    }
    follow(client, target).await
}

/// Sets the size now and whenever it changes; never returns.
pub(crate) async fn follow(client: &Client, target: Target<'_>) -> Infallible {
    let Ok(mut changes) = signal(SignalKind::window_change()) else {
        return pending().await;
    };
    for attempt in 1..=TRIES {
        if set(client, target).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10) * attempt).await;
    }
    loop {
        match changes.recv().await {
            // A size that could not be set is set again with the next change.
            Some(()) => drop(set(client, target).await),
            None => return pending().await,
        }
    }
}

async fn set(client: &Client, target: Target<'_>) -> Result<(), Error> {
    match Size::of_stdout() {
        Some(size) => send(client, target, size).await,
        None => Ok(()),
    }
}

async fn send(client: &Client, target: Target<'_>, size: Size) -> Result<(), Error> {
    let Size { rows, columns } = size;
    match target {
        Target::Container(id) => {
            let options = ResizeContainerTTYOptions {
                h: i32::from(rows),
                w: i32::from(columns),
            };
            client.docker().resize_container_tty(id, options).await?;
        }
        Target::Exec(id) => {
            let options = ResizeExecOptions {
                height: rows,
                width: columns,
            };
            client.docker().resize_exec(id, options).await?;
        }
    }
    Ok(())
}
