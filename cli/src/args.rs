//! The command line: which verbs there are, under which spellings.
//!
//! A container's verb is `hull VERB` and `hull container VERB`, an image's `hull image VERB`
//! and sometimes a short word of its own (`images`, `rmi`).

use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

use crate::spec::units;
use crate::verbs::{
    attach, commit, completion, cp, create, df, diff, doctor, events, exec, export, history,
    images, import, info, inspect, kill, load, login, logout, logs, machine, man, pause, port,
    prune, ps, pull, push, registry, rename, rm, rmi, run, save, search, start, stats, stop, tag,
    top, update, version, wait,
};

/// Containers, each in a virtual machine of its own
#[derive(Debug, Parser)]
#[command(
    name = "hull",
    version,
    disable_help_subcommand = true,
    disable_version_flag = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Default, Args)]
pub(crate) struct Global {
    /// Daemon socket to connect to
    #[arg(short = 'H', long, value_name = "list")]
    pub(crate) host: Vec<String>,
    /// Trust certs signed only by this CA (default "~/.docker/ca.pem")
    #[arg(long, value_name = "string")]
    pub(crate) tlscacert: Option<PathBuf>,
    /// Path to TLS certificate file (default "~/.docker/cert.pem")
    #[arg(long, value_name = "string")]
    pub(crate) tlscert: Option<PathBuf>,
    /// Path to TLS key file (default "~/.docker/key.pem")
    #[arg(long, value_name = "string")]
    pub(crate) tlskey: Option<PathBuf>,
    /// Use TLS and verify the remote
    #[arg(long)]
    pub(crate) tlsverify: bool,
    /// Print version information and quit
    #[arg(short = 'v', long, action = ArgAction::Version)]
    pub(crate) version: Option<bool>,
}

#[allow(clippy::large_enum_variant)]
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    #[command(flatten)]
    OfContainer(OfContainer),
    #[command(flatten)]
    OfImage(OfImage),
    /// List containers
    Ps(ps::Args),
    /// List images
    Images(images::Args),
    /// Remove one or more images
    Rmi(rmi::Args),
    /// Authenticate to a registry
    Login(login::Args),
    /// Log out from a registry
    Logout(logout::Args),
    /// Search Docker Hub for images
    Search(search::Args),
    /// Return low-level information on Hull objects
    Inspect(inspect::Args),
    /// Show the Hull version information
    Version(version::Args),
    /// Get real time events from the server
    Events(events::Args),
    /// Display system-wide information
    Info(info::Args),
    /// Manage containers
    #[command(subcommand)]
    Container(Container),
    /// Manage images
    #[command(subcommand)]
    Image(Image),
    /// Manage Hull
    #[command(subcommand)]
    System(System),
    /// Generate the autocompletion script for the specified shell
    Completion(completion::Args),
    /// List what could stand where a command line ends
    #[command(hide = true, name = "complete-names")]
    CompleteNames(completion::names::Args),
    /// Write the manual, a page for each verb
    #[command(hide = true)]
    Man(man::Args),
    /// Say whether this host can run Hull, and what it lacks
    Doctor(doctor::Args),
    /// Manage the registry of this machine
    Registry(registry::Args),
    /// Manage the emulated host, for where this one cannot run a virtual machine
    Machine(machine::Args),
}

/// Verbs with the same word in both spellings.
// One command line is parsed once: the size of `run`'s arguments does not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Subcommand)]
pub(crate) enum OfContainer {
    /// Create and run a new container from an image
    Run(run::Args),
    /// Execute a command in a running container
    Exec(exec::Args),
    /// Attach local standard input, output, and error streams to a running container
    Attach(attach::Args),
    /// Create a new image from a container's changes
    Commit(commit::Args),
    /// Copy files/folders between a container and the local filesystem
    Cp(cp::Args),
    /// Create a new container
    Create(create::Args),
    /// Inspect changes to files or directories on a container's filesystem
    Diff(diff::Args),
    /// Export a container's filesystem as a tar archive
    Export(export::Args),
    /// Kill one or more running containers
    Kill(kill::Args),
    /// Fetch the logs of a container
    Logs(logs::Args),
    /// Pause all processes within one or more containers
    Pause(pause::Args),
    /// List port mappings or a specific mapping for the container
    Port(port::Args),
    /// Rename a container
    Rename(rename::Args),
    /// Restart one or more containers
    Restart(stop::Args),
    /// Remove one or more containers
    #[command(alias = "remove")]
    Rm(rm::Args),
    /// Start one or more stopped containers
    Start(start::Args),
    /// Display a live stream of container(s) resource usage statistics
    Stats(stats::Args),
    /// Stop one or more running containers
    Stop(stop::Args),
    /// Display the running processes of a container
    Top(top::Args),
    /// Unpause all processes within one or more containers
    Unpause(pause::Args),
    /// Update configuration of one or more containers
    Update(update::Args),
    /// Block until one or more containers stop, then print their exit codes
    Wait(wait::Args),
}

#[derive(Debug, Subcommand)]
pub(crate) enum OfImage {
    /// Show the history of an image
    History(history::Args),
    /// Import the contents from a tarball to create a filesystem image
    Import(import::Args),
    /// Load an image from a tar archive or STDIN
    Load(load::Args),
    /// Download an image from a registry
    Pull(pull::Args),
    /// Upload an image to a registry
    Push(push::Args),
    /// Save one or more images to a tar archive (streamed to STDOUT by default)
    Save(save::Args),
    /// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
    Tag(tag::Args),
}

#[allow(clippy::large_enum_variant)]
#[derive(Debug, Subcommand)]
pub(crate) enum Container {
    #[command(flatten)]
    Same(OfContainer),
    /// Remove all stopped containers
    Prune(prune::containers::Args),
    /// List containers
    #[command(alias = "ps", alias = "list")]
    Ls(ps::Args),
    /// Display detailed information on one or more containers
    Inspect(inspect::OfContainer),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    #[command(flatten)]
    Same(OfImage),
    /// List images
    #[command(alias = "list")]
    Ls(images::Args),
    /// Remove one or more images
    #[command(alias = "remove")]
    Rm(rmi::Args),
    /// Display detailed information on one or more images
    Inspect(inspect::OfImage),
    /// Remove unused images
    Prune(prune::images::Args),
}

#[derive(Debug, Subcommand)]
pub(crate) enum System {
    /// Show disk usage
    Df(df::Args),
    /// Get real time events from the server
    Events(events::Args),
    /// Display system-wide information
    Info(info::Args),
    /// Remove unused data
    Prune(prune::system::Args),
}

/// The clap definitions, with the habits of Docker's flags: `--flag=false`, values that may
/// begin with a dash, the last of a repeated flag wins, `--help` without a short form.
pub(crate) fn command() -> clap::Command {
    crate::refused::extend(habits(Cli::command()))
}

fn habits(command: clap::Command) -> clap::Command {
    let command = command
        .disable_help_flag(true)
        .args_override_self(true)
        .arg(
            clap::Arg::new("help")
                .long("help")
                .action(ArgAction::Help)
                .help("Print usage"),
        )
        .mut_args(|arg| match arg.get_action() {
            ArgAction::SetTrue => arg
                .action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .default_value("false")
                .default_missing_value("true")
                .value_parser(units::switch),
            ArgAction::Set | ArgAction::Append
                if !arg.is_positional() && !arg.is_require_equals_set() =>
            {
                arg.allow_hyphen_values(true)
            }
            _ => arg,
        });
    let names: Vec<String> = command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, habits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_do_not_contradict_each_other() {
        command().debug_assert();
    }
}
