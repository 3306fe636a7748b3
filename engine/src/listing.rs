//! What `inspect`, `list` and `prune` show, read without asking any container's task.

mod filter;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use filter::Filter;

use crate::api::{
    ContainerInspect, ContainerSizes, ContainerState, ContainerSummary, Filters, HealthStatus,
    ListOptions, Status,
};
use crate::container::Container;
use crate::context::Context;
use crate::error::EngineError;
use crate::id::ContainerId;
use crate::time::Timestamp;

/// Everything about one.
pub(crate) async fn inspect(context: &Context, container: &Container) -> ContainerInspect {
    let blueprint = &container.blueprint();
    let mut command = blueprint.command().into_iter();
    let image = context.images.find(&blueprint.image_id).await;
    let state = container.snapshot().shown();
    let has_log = blueprint.shows_log() && state.started_at.is_some();
    ContainerInspect {
        id: container.id().clone(),
        name: container.name(),
        created: blueprint.created,
        path: command.next().unwrap_or_default(),
        args: command.collect(),
        state,
        image: blueprint.image_id.clone(),
        config: blueprint.config.clone(),
        host_config: blueprint.host_config.clone(),
        restart_count: container.snapshot().restarts.count,
        log_path: has_log.then(|| context.layout.log(&blueprint.id)),
        layers: image.map(|image| image.layers).unwrap_or_default(),
        disk: context.layout.scratch(&blueprint.id),
        exec_ids: container.running_execs(),
        platform: "linux",
    }
}

/// Rows, newest first.
pub(crate) async fn list(
    context: &Context,
    options: &ListOptions,
) -> Result<Vec<ContainerSummary>, EngineError> {
    let filter = Filter::new(context, &options.filters, &filter::OF_LISTS).await?;
    let mut all = context.registry.all();
    all.sort_by_key(|c| std::cmp::Reverse(c.blueprint().created));
    let everything = options.all || options.limit.is_some() || filter.is_about_status();
    let mut rows = Vec::new();
    for container in all {
        let state = container.snapshot().shown();
        if !(everything || state.is_running()) || !filter.passes(&container, &state) {
            continue;
        }
        if !filter.descends(context, &container).await {
            continue;
        }
        rows.push(summary(context, &container, state, options.size).await);
        if options.limit.is_some_and(|limit| rows.len() == limit) {
            break;
        }
    }
    Ok(rows)
}

/// Those that do not run, by the filters that `prune` takes.
pub(crate) async fn select_for_prune(
    context: &Context,
    filters: &Filters,
) -> Result<Vec<Arc<Container>>, EngineError> {
    let filter = Filter::new(context, filters, &filter::OF_PRUNES).await?;
    let idle = |c: &Arc<Container>| {
        let state = c.snapshot().shown();
        matches!(
            state.status,
            Status::Created | Status::Exited | Status::Dead
        ) && !c.snapshot().phase.is_active()
            && filter.passes(c, &state)
    };
    Ok(context.registry.all().into_iter().filter(idle).collect())
}

/// What a container's disk takes of the host's.
pub(crate) fn scratch_bytes(context: &Context, id: &ContainerId) -> u64 {
    on_disk(&context.layout.scratch(id))
}

/// What a container wrote, and that with its image; of an image that cannot be read, nothing.
pub(crate) async fn sizes(context: &Context, container: &Container) -> ContainerSizes {
    // An empty disk has its own bookkeeping, which the template has as well.
    let bytes = context.options.defaults.scratch_bytes;
    let empty = on_disk(&context.layout.scratch_template(bytes));
    let written = scratch_bytes(context, container.id()).saturating_sub(empty);
    let image = context.images.find(&container.blueprint().image_id).await;
    ContainerSizes {
        written,
        root: written.saturating_add(image.map_or(0, |image| image.size)),
    }
}

fn on_disk(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |m| m.blocks() * 512)
}

async fn summary(
    context: &Context,
    container: &Container,
    state: ContainerState,
    size: bool,
) -> ContainerSummary {
    let blueprint = &container.blueprint();
    let named = &blueprint.config.image;
    // A name that has moved to another image is not this container's any more.
    let image = match context.images.resolve(named).await {
        Some(id) if id == blueprint.image_id => named.clone(),
        _ => blueprint.image_id.clone(),
    };
    let sizes = match size {
        true => Some(sizes(context, container).await),
        false => None,
    };
    ContainerSummary {
        id: container.id().clone(),
        name: container.name(),
        image,
        image_id: blueprint.image_id.clone(),
        command: command_line(&blueprint.command()),
        created: blueprint.created,
        status: status_text(&state, Timestamp::now()),
        state,
        labels: blueprint.config.labels.clone(),
        network_mode: blueprint.host_config.network_mode.clone(),
        exposed: blueprint
            .config
            .exposed_ports()
            .map(str::to_owned)
            .collect(),
        sizes,
    }
}

/// Joined with blanks; what has blanks is quoted.
fn command_line(command: &[String]) -> String {
    let quoted = command.iter().map(|word| match word.contains(' ') {
        true => format!("'{word}'"),
        false => word.clone(),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Docker's `Status`.
fn status_text(state: &ContainerState, now: Timestamp) -> String {
    let since =
        |t: Option<Timestamp>| ago(now.seconds() - t.map_or(now.seconds(), Timestamp::seconds));
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => {
            let health = match state.health.as_ref().map(|h| h.status) {
                None => String::new(),
                Some(HealthStatus::Starting) => " (health: starting)".to_owned(),
                Some(status) => format!(" ({})", status.as_str()),
            };
            format!("Up {}{health}", since(state.started_at))
        }
        Status::Paused => format!("Up {} (Paused)", since(state.started_at)),
        Status::Restarting => format!(
            "Restarting ({}) {} ago",
            state.exit_code,
            since(state.finished_at)
        ),
        Status::Exited => format!(
            "Exited ({}) {} ago",
            state.exit_code,
            since(state.finished_at)
        ),
        Status::Removing => "Removal In Progress".to_owned(),
        Status::Dead => "Dead".to_owned(),
    }
}

/// A length of time as people say it; the steps are Docker's.
fn ago(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Health;

    #[test]
    fn lengths_of_time_are_dockers() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (150, "2 minutes"),
            (3600, "About an hour"),
            (7200, "2 hours"),
            (3600 * 48, "2 days"),
            (3600 * 24 * 15, "2 weeks"),
            (3600 * 24 * 70, "2 months"),
            (3600 * 24 * 800, "2 years"),
        ] {
            assert_eq!(ago(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn the_status_is_dockers() {
        let state = ContainerState {
            status: Status::Exited,
            exit_code: 3,
            finished_at: Some(Timestamp(0)),
            ..ContainerState::created()
        };
        assert_eq!(
            status_text(&state, Timestamp(5_000_000_000)),
            "Exited (3) 5 seconds ago"
        );
        assert_eq!(
            status_text(&ContainerState::created(), Timestamp(0)),
            "Created"
        );
        let health = |status, shown: &str| {
            let health = Health {
                status,
                ..Health::default()
            };
            let state = ContainerState {
                status: Status::Running,
                started_at: Some(Timestamp(0)),
                health: Some(health.into()),
                ..ContainerState::created()
            };
            assert_eq!(
                status_text(&state, Timestamp(5_000_000_000)),
                format!("Up 5 seconds ({shown})")
            );
        };
        health(HealthStatus::Starting, "health: starting");
        health(HealthStatus::Healthy, "healthy");
        health(HealthStatus::Unhealthy, "unhealthy");
        assert_eq!(
            command_line(&["sh".into(), "-c".into(), "echo a".into()]),
            "sh -c 'echo a'"
        );
    }
}
