//! `hull start`: starts containers again, and with `-a` or `-i` ties our streams to one.

use std::io::Write;

use bollard::query_parameters::StartContainerOptions;

use super::attach::Subject;
use super::{named, run};
use crate::api::{Client, Error, WaitFor};
use crate::failure::Failure;
use crate::session::resize::{self, Target};
use crate::session::signals::Caught;
use crate::session::{Ended, Session};
use crate::terminal::detach::DetachKeys;
use crate::terminal::{check_input, stdout_is_terminal};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Attach STDOUT/STDERR and forward signals
    #[arg(short = 'a', long)]
    attach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string")]
    detach_keys: Option<DetachKeys>,
    /// Attach container's STDIN
    #[arg(short = 'i', long)]
    interactive: bool,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    if !args.attach && !args.interactive {
        return start_all(args, client).await;
    }
    let [name] = args.containers.as_slice() else {
        return Err(Failure::new(
            "you cannot start and attach multiple containers at once",
        ));
    };
    let subject = Subject::find(client, name).await?;
    check_input(args.interactive, subject.tty)?;
    let attached = Attached {
        client,
        subject: &subject,
    };
    let drive = attached.drive(args);
    if subject.tty {
        return drive.await;
    }
    tokio::select! {
        status = drive => status,
        insisted = Caught::proxied().forward(client, &subject.id) => Err(insisted),
    }
}

async fn start(client: &Client, name: &str) -> Result<(), Error> {
    let options = None::<StartContainerOptions>;
    Ok(client
        .docker()
        .start_container(&named::container(name)?, options)
        .await?)
}

async fn start_all(args: &Args, client: &Client) -> Result<u8, Failure> {
    let mut failed = Vec::new();
    for name in &args.containers {
        match start(client, name).await {
            Ok(()) => writeln!(std::io::stdout(), "{name}")?,
            Err(error) if error.is_unreachable() => return Err(error.into()),
            Err(error) => {
                writeln!(std::io::stderr(), "{error}")?;
                failed.push(name.as_str());
            }
        }
    }
    match failed.as_slice() {
        [] => Ok(0),
        names => {
            let names = names.join(", ");
            Err(Failure::new(format!(
                "Error: failed to start containers: {names}"
            )))
        }
    }
}

struct Attached<'a> {
    client: &'a Client,
    subject: &'a Subject,
}

impl Attached<'_> {
    async fn drive(&self, args: &Args) -> Result<u8, Failure> {
        let Attached { client, subject } = self;
        let session = subject
            .open(client, args.interactive, args.detach_keys.as_ref())
            .await?;
        let until = if subject.auto_remove {
            WaitFor::Removed
        } else {
            WaitFor::NextExit
        };
        let waiting = client.wait(&subject.id, until).await?;
        if let Err(error) = start(client, &subject.id).await {
            drop(session);
            if subject.auto_remove {
                drop(waiting.exit().await);
            }
            return Err(error.into());
        }
        match self.stream(session).await? {
            Ended::Detached => Ok(0),
            Ended::Closed => Ok(run::status(&waiting.exit().await?)),
        }
    }

    async fn stream(&self, session: Session) -> Result<Ended, Failure> {
        let Attached { client, subject } = self;
        if !(subject.tty && stdout_is_terminal()) {
            return session.run().await;
        }
        tokio::select! {
            ended = session.run_until_signal() => ended,
            never = resize::follow(client, Target::Container(&subject.id)) => match never {},
        }
    }
}
