//! `hull run`: makes a container, starts it, and ties our streams to its.
//!
//! ```text
//! create ► attach ► wait ► start ► streams … ► the exit that wait was told
//! ```
//!
//! Attach and wait come before start, so that neither the first byte nor a quick exit can be
//! missed. The status is the container's; 125 where Hull failed, 126 and 127 where its command
//! could not be started.

use std::io::Write;

use bollard::query_parameters::StartContainerOptions;

use super::create::Plan;
use crate::api::{Client, Error, Exit, WaitFor};
use crate::connect::Host;
use crate::failure::{Failure, REFUSED};
use crate::session::resize::{self, Target};
use crate::session::signals::Caught;
use crate::session::{Ended, Output, Session, Streams};
use crate::spec::flags::{Flags, StdStream};
use crate::terminal::detach::DetachKeys;
use crate::terminal::{check_input, stdout_is_terminal};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run container in background and print container ID
    #[arg(short = 'd', long)]
    detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string")]
    detach_keys: Option<DetachKeys>,
    /// Proxy received signals to the process
    #[arg(
        long,
        value_name = "bool",
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value = "true",
        default_missing_value = "true",
        value_parser = crate::spec::units::switch
    )]
    sig_proxy: bool,
    #[command(flatten)]
    flags: Flags,
}

pub(crate) async fn run(args: &Args, host: Host) -> Result<u8, Failure> {
    let refuse = |text: String| Failure::new(text).of_verb("run", REFUSED);
    let mut plan = Plan::resolve(&args.flags).map_err(|error| refuse(error.to_string()))?;
    let body = &mut plan.body;
    let attach_stdin = body.attach_stdin == Some(true);
    if args.detach {
        if !args.flags.attach.is_empty() {
            let text = "conflicting options: cannot specify both --attach and --detach";
            return Err(Failure::new(text));
        }
        body.attach_stdin = Some(false);
        body.attach_stdout = Some(false);
        body.attach_stderr = Some(false);
        body.stdin_once = Some(false);
    } else {
        check_input(attach_stdin, args.flags.tty)?;
    }
    let client = host
        .connect()
        .await
        .map_err(|error| error.of_verb("run", REFUSED))?;
    let id = plan.make(&client).await.map_err(status_of)?;
    if args.detach {
        // The id is told before the start is tried: the container is there either way.
        writeln!(std::io::stdout(), "{id}")?;
        client
            .docker()
            .start_container(&id, None::<StartContainerOptions>)
            .await
            .map_err(|error| status_of(Error::from(error).into()))?;
        return Ok(0);
    }
    let container = Attached {
        args,
        client: &client,
        id: &id,
    };
    if !args.sig_proxy {
        return container.drive().await;
    }
    tokio::select! {
        status = container.drive() => status,
        insisted = Caught::proxied().forward(&client, &id) => Err(insisted),
    }
}

struct Attached<'a> {
    args: &'a Args,
    client: &'a Client,
    id: &'a str,
}

impl Attached<'_> {
    async fn drive(&self) -> Result<u8, Failure> {
        let Attached { args, client, id } = self;
        let flags = &args.flags;
        let session = self.attach().await?;
        let until = if flags.rm {
            WaitFor::Removed
        } else {
            WaitFor::NextExit
        };
        let waiting = client
            .wait(id, until)
            .await
            .map_err(|error| status_of(error.into()))?;
        let options = None::<StartContainerOptions>;
        if let Err(error) = client.docker().start_container(id, options).await {
            drop(session);
            if flags.rm {
                // It is gone when this command is; how it ended does not matter.
                drop(waiting.exit().await);
            }
            return Err(status_of(Error::from(error).into()));
        }
        let ended = if flags.tty && stdout_is_terminal() {
            tokio::select! {
                ended = self.stream(session) => ended?,
                never = resize::follow(client, Target::Container(id)) => match never {},
            }
        } else {
            self.stream(session).await?
        };
        match ended {
            Ended::Detached => Ok(0),
            Ended::Closed => match waiting.exit().await {
                Ok(exit) => Ok(status(&exit)),
                Err(error) => Err(
                    Failure::new(format!("Error waiting for container: {error}"))
                        .with_status(REFUSED),
                ),
            },
        }
    }

    async fn attach(&self) -> Result<Session, Failure> {
        let Attached { args, client, id } = self;
        let flags = &args.flags;
        let streams = streams(args);
        let keys = args.detach_keys.as_ref().map(ToString::to_string);
        let mut query = vec![("stream", "1")];
        query.extend(keys.as_deref().map(|keys| ("detachKeys", keys)));
        query.extend(streams.stdin.then_some(("stdin", "1")));
        query.extend(streams.output.stdout.then_some(("stdout", "1")));
        query.extend(streams.output.stderr.then_some(("stderr", "1")));
        let path = format!("/containers/{id}/attach");
        let hijacked = client
            .hijack(&path, &query, None, flags.tty)
            .await
            .map_err(|error| status_of(error.into()))?;
        Session::open(hijacked, streams)
    }

    async fn stream(&self, session: Session) -> Result<Ended, Failure> {
        if self.args.sig_proxy {
            return session.run().await;
        }
        session.run_until_signal().await
    }
}

fn streams(args: &Args) -> Streams {
    let flags = &args.flags;
    let named = |stream| flags.attach.contains(&stream);
    let all = flags.attach.is_empty();
    Streams {
        stdin: flags.interactive || named(StdStream::In),
        output: Output {
            stdout: all || named(StdStream::Out),
            stderr: all || named(StdStream::Err),
        },
        tty: flags.tty,
        detach: args.detach_keys.clone().unwrap_or_default(),
    }
}

/// What the process exits with for a container that did.
pub(super) fn status(exit: &Exit) -> u8 {
    // A status beyond a byte cannot come from a process; the shell would cut it the same way.
    (exit.status & 0xff) as u8
}

/// A failure to make or start a container, with the status that Docker reads out of its text.
fn status_of(failure: Failure) -> Failure {
    let says = |text: &str| failure.text.contains(text);
    let status = if says("executable file not found") || says("no such file or directory") {
        127
    } else if says("permission denied") || says("is a directory") {
        126
    } else {
        REFUSED
    };
    failure.of_verb("run", status)
}
