//! `hull stats`: what containers use, once or as a table that is drawn anew.
//!
//! ```text
//!  one task for each container ──figures──┐
//!  events: starts and ends ───────────────┼──► board ──every half second──► screen
//! ```

mod board;
mod row;

use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

use bollard::models::EventMessage;
use bollard::query_parameters::{EventsOptionsBuilder, ListContainersOptions, StatsOptionsBuilder};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use self::board::{Board, Figures};
use super::named;
use crate::api::{Client, Error};
use crate::failure::Failure;
use crate::output::listing::Listing;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show all containers (default shows just running)
    #[arg(short = 'a', long)]
    all: bool,
    /// Format output: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Disable streaming stats and only pull the first result
    #[arg(long)]
    no_stream: bool,
    /// Do not truncate output
    #[arg(long)]
    no_trunc: bool,
    #[arg(value_name = "CONTAINER", num_args = 0..)]
    containers: Vec<String>,
}

const TABLE: &str = "{{.ID}}\\t{{.Name}}\\t{{.CPUPerc}}\\t{{.MemUsage}}\\t{{.MemPerc}}\\t{{.NetIO}}\\t{{.BlockIO}}\\t{{.PIDs}}";
/// How often the screen is drawn.
const REDRAW: Duration = Duration::from_millis(500);
/// Updates that wait to be taken up.
const BACKLOG: usize = 64;

const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let listing = Listing::new(args.format.as_deref(), TABLE, "container.statsContext");
    match args.no_stream {
        true => once(args, client, &listing).await,
        false => live(args, client, &listing).await,
    }
}

/// One reading of each, all at once.
async fn once(args: &Args, client: &Client, listing: &Listing) -> Result<u8, Failure> {
    let names = match args.containers.is_empty() {
        true => found(args, client).await?,
        false => args.containers.clone(),
    };
    let readings = names.iter().map(async |name| {
        let container = named::container(name)?;
        let options = StatsOptionsBuilder::new().stream(false).build();
        let mut answer = Box::pin(client.docker().stats(&container, Some(options)));
        Ok::<_, Error>(answer.next().await.transpose()?)
    });
    let mut board = Board::default();
    let mut failures = Vec::new();
    for (name, reading) in names
        .iter()
        .zip(futures_util::future::join_all(readings).await)
    {
        match reading {
            Ok(reading) => board.set(name, reading.map(Box::new)),
            Err(error) if error.is_unreachable() => return Err(error.into()),
            Err(error) if args.containers.is_empty() && error.is_not_found() => {}
            Err(error) => failures.push(error.to_string()),
        }
    }
    if !failures.is_empty() {
        return Err(Failure::new(failures.join("\n")));
    }
    let text = listing.render(&row::HEADERS, &board.rows(!args.no_trunc))?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

/// A table that is drawn anew until it is left, or until all that were named are gone.
async fn live(args: &Args, client: &Client, listing: &Listing) -> Result<u8, Failure> {
    let (sender, mut updates) = mpsc::channel(BACKLOG);
    let mut board = Board::default();
    let watch = |name: &str| {
        let options = StatsOptionsBuilder::new().stream(true).build();
        let container = named::container(name)?;
        let docker = client.docker().clone();
        let (name, sender) = (name.to_owned(), sender.clone());
        tokio::spawn(async move {
            let mut lines = Box::pin(docker.stats(&container, Some(options)));
            while let Some(line) = lines.next().await {
                let (figures, last) = match line {
                    Ok(line) => (Update::Figures(Box::new(line)), false),
                    Err(error) => (Update::Failed(error.into()), true),
                };
                if sender.send((name.clone(), figures)).await.is_err() || last {
                    return;
                }
            }
            // Whoever does not listen any more has gone.
            let _ = sender.send((name, Update::Gone)).await;
        });
        Ok::<_, Error>(())
    };
    // Before the list: nothing that starts in between is missed.
    let everything = args.containers.is_empty();
    let filters = HashMap::from([("type", vec!["container"])]);
    let options = EventsOptionsBuilder::new().filters(&filters).build();
    let mut events = Box::pin(client.docker().events(Some(options)));
    let names = match everything {
        true => found(args, client).await?,
        false => args.containers.clone(),
    };
    for name in &names {
        board.set(name, None);
        watch(name)?;
    }
    let mut ticks = tokio::time::interval(REDRAW);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some((name, update)) = updates.recv() => match update {
                Update::Figures(figures) => board.update(&name, figures),
                Update::Gone => board.remove(&name),
                Update::Failed(error) if everything => {
                    board.remove(&name);
                    if error.is_unreachable() {
                        return Err(error.into());
                    }
                }
                Update::Failed(error) => return Err(error.into()),
            },
            event = events.next(), if everything => match event {
                Some(Ok(event)) => match (happened(&event, args.all), event_id(&event)) {
                    (Some(Change::Shown), Some(id)) if !board.has(&id) => {
                        board.set(&id, None);
                        watch(&id)?;
                    }
                    (Some(Change::Hidden), Some(id)) => board.remove(&id),
                    _ => {}
                },
                Some(Err(error)) => return Err(Error::from(error).into()),
                // The daemon ends.
                None => return Ok(0),
            },
            _ = ticks.tick() => {
                draw(&listing.render(&row::HEADERS, &board.rows(!args.no_trunc))?)?;
                if board.is_empty() && !everything {
                    return Ok(0);
                }
            }
        }
    }
}

/// What a container's task tells.
enum Update {
    Figures(Figures),
    Gone,
    Failed(Error),
}

/// What an event means for the table.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Shown,
    Hidden,
}

fn happened(event: &EventMessage, all: bool) -> Option<Change> {
    match (event.action.as_deref()?, all) {
        ("start", _) | ("create", true) => Some(Change::Shown),
        ("die", false) | ("destroy", true) => Some(Change::Hidden),
        _ => None,
    }
}

fn event_id(event: &EventMessage) -> Option<String> {
    event.actor.as_ref()?.id.clone()
}

/// The ids of all that run, or of all.
async fn found(args: &Args, client: &Client) -> Result<Vec<String>, Failure> {
    let options = ListContainersOptions {
        all: args.all,
        ..ListContainersOptions::default()
    };
    let found = client
        .docker()
        .list_containers(Some(options))
        .await
        .map_err(Error::from)?;
    Ok(found.into_iter().filter_map(|one| one.id).collect())
}

/// Over what was there: each line is cleared to its end, and what is below the last.
fn draw(text: &str) -> Result<(), Failure> {
    let mut screen = HOME.to_owned();
    for line in text.lines() {
        screen.push_str(line);
        screen.push_str(CLEAR_LINE);
        screen.push('\n');
    }
    screen.push_str(CLEAR_BELOW);
    let mut stdout = std::io::stdout();
    stdout.write_all(screen.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: &str) -> EventMessage {
        EventMessage {
            action: Some(action.into()),
            ..EventMessage::default()
        }
    }

    #[test]
    fn containers_come_and_go_with_their_runs_or_with_themselves() {
        let shown = |action, all| happened(&event(action), all);
        assert_eq!(shown("start", false), Some(Change::Shown));
        assert_eq!(shown("die", false), Some(Change::Hidden));
        assert_eq!(shown("create", false), None);
        assert_eq!(shown("create", true), Some(Change::Shown));
        assert_eq!(shown("die", true), None);
        assert_eq!(shown("destroy", true), Some(Change::Hidden));
        assert_eq!(shown("exec_start: sh", true), None);
    }
}
