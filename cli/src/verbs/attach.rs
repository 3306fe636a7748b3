//! `hull attach`: ties our streams to a container that runs.

use std::future::pending;

use bollard::models::ContainerInspectResponse;

use super::{named, run};
use crate::api::{Client, WaitFor};
use crate::failure::Failure;
use crate::session::resize::{self, Target};
use crate::session::signals::Caught;
use crate::session::{Ended, Output, Session, Streams};
use crate::spec::units::switch;
use crate::terminal::detach::DetachKeys;
use crate::terminal::{check_input, stdout_is_terminal};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string")]
    detach_keys: Option<DetachKeys>,
    /// Do not attach STDIN
    #[arg(long)]
    no_stdin: bool,
    /// Proxy all received signals to the process
    #[arg(
        long,
        value_name = "bool",
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value = "true",
        default_missing_value = "true",
        value_parser = switch
    )]
    sig_proxy: bool,
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// A container, as far as tying streams to it goes.
pub(super) struct Subject {
    pub(super) id: String,
    pub(super) tty: bool,
    pub(super) open_stdin: bool,
    pub(super) auto_remove: bool,
    details: ContainerInspectResponse,
}

impl Subject {
    pub(super) async fn find(client: &Client, name: &str) -> Result<Subject, Failure> {
        let path = format!("/containers/{}/json", named::container(name)?);
        let details: ContainerInspectResponse = client.get_as(&path, &[]).await?;
        let config = details.config.as_ref();
        let host = details.host_config.as_ref();
        Ok(Subject {
            id: details.id.clone().unwrap_or_default(),
            tty: config.and_then(|config| config.tty).unwrap_or(false),
            open_stdin: config.and_then(|config| config.open_stdin).unwrap_or(false),
            auto_remove: host.and_then(|host| host.auto_remove).unwrap_or(false),
            details,
        })
    }

    fn check_runs(&self) -> Result<(), Failure> {
        let state = self.details.state.as_ref();
        let is = |flag: Option<bool>| flag.unwrap_or(false);
        if !state.is_some_and(|state| is(state.running)) {
            return Err(Failure::new(
                "You cannot attach to a stopped container, start it first",
            ));
        }
        if state.is_some_and(|state| is(state.paused)) {
            return Err(Failure::new(
                "You cannot attach to a paused container, unpause it first",
            ));
        }
        if state.is_some_and(|state| is(state.restarting)) {
            let text = "You cannot attach to a restarting container, wait until it is running";
            return Err(Failure::new(text));
        }
        Ok(())
    }

    /// Opens the streams; the terminal is raw from then on if the container has one.
    pub(super) async fn open(
        &self,
        client: &Client,
        stdin: bool,
        keys: Option<&DetachKeys>,
    ) -> Result<Session, Failure> {
        let stdin = stdin && self.open_stdin;
        let shown = keys.map(ToString::to_string);
        let mut query = vec![("stream", "1"), ("stdout", "1"), ("stderr", "1")];
        query.extend(stdin.then_some(("stdin", "1")));
        query.extend(shown.as_deref().map(|keys| ("detachKeys", keys)));
        let path = format!("/containers/{}/attach", self.id);
        let hijacked = client.hijack(&path, &query, None, self.tty).await?;
        let detach = keys.cloned().unwrap_or_default();
        Session::open(
            hijacked,
            Streams {
                stdin,
                output: Output::BOTH,
                tty: self.tty,
                detach,
            },
        )
    }
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    // Before the look at its state, so that an exit in between is not missed.
    let waiting = client
        .wait(&named::container(&args.container)?, WaitFor::NotRunning)
        .await?;
    let subject = Subject::find(client, &args.container).await?;
    subject.check_runs()?;
    check_input(!args.no_stdin, subject.tty)?;
    let session = subject
        .open(client, !args.no_stdin, args.detach_keys.as_ref())
        .await?;
    let proxy = args.sig_proxy && !subject.tty;
    let caught = proxy.then(Caught::proxied);
    let proxied = async {
        match caught {
            Some(caught) => caught.forward(client, &subject.id).await,
            None => pending().await,
        }
    };
    let ended = tokio::select! {
        ended = session.run_until_signal() => ended?,
        never = resize::redraw(client, Target::Container(&subject.id)),
            if subject.tty && stdout_is_terminal() => match never {},
        insisted = proxied => return Err(insisted),
    };
    match ended {
        Ended::Detached => Err(Failure::new("read escape sequence")),
        Ended::Closed => Ok(run::status(&waiting.exit().await?)),
    }
}
