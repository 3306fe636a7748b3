//! `hull exec`: another process in a container that runs.

use std::path::PathBuf;

use bollard::exec::StartExecOptions;
use bollard::models::{ContainerInspectResponse, ExecConfig, ExecInspectResponse};

use super::named;
use crate::api::{Client, Error};
use crate::failure::Failure;
use crate::session::resize::{self, Target};
use crate::session::{Ended, Output, Session, Streams};
use crate::spec::{environment, flags::variable};
use crate::terminal::detach::DetachKeys;
use crate::terminal::size::Size;
use crate::terminal::{check_input, stdin_is_terminal};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Detached mode: run command in the background
    #[arg(short = 'd', long)]
    detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string")]
    detach_keys: Option<DetachKeys>,
    /// Set environment variables
    #[arg(short = 'e', long, value_name = "list", value_parser = variable)]
    env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "list")]
    env_file: Vec<PathBuf>,
    /// Keep STDIN open even if not attached
    #[arg(short = 'i', long)]
    interactive: bool,
    /// Give extended privileges to the command
    #[arg(long)]
    privileged: bool,
    /// Allocate a pseudo-TTY
    #[arg(short = 't', long)]
    tty: bool,
    /// Username or UID (format: "<name|uid>[:<group|gid>]")
    #[arg(short = 'u', long, value_name = "string")]
    user: Option<String>,
    /// Working directory inside the container
    #[arg(short = 'w', long, value_name = "string")]
    workdir: Option<String>,
    /// All that follows the container is the command's, dashes and all.
    #[arg(value_name = "CONTAINER", required = true, num_args = 2.., trailing_var_arg = true)]
    container_and_command: Vec<String>,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let (container, command) = args
        .container_and_command
        .split_first()
        .map_or((String::new(), Vec::new()), |(name, command)| {
            (name.clone(), command.to_vec())
        });
    let config = config(args, command)?;
    let container = named::container(&container)?;
    // First, so that "no such container" is told rather than that there is no terminal.
    let _exists: ContainerInspectResponse = client
        .get_as(&format!("/containers/{container}/json"), &[])
        .await?;
    if !args.detach {
        check_input(args.interactive, args.tty)?;
    }
    let created = client
        .docker()
        .create_exec(&container, config)
        .await
        .map_err(Error::from)?;
    let exec = created.id;
    if args.detach {
        let options = StartExecOptions {
            detach: true,
            tty: args.tty,
            output_capacity: None,
        };
        client
            .docker()
            .start_exec(&exec, Some(options))
            .await
            .map_err(Error::from)?;
        return Ok(0);
    }
    attach(args, client, &exec).await
}

fn config(args: &Args, command: Vec<String>) -> Result<ExecConfig, Failure> {
    let lookup = |name: &str| std::env::var(name).ok();
    let env = environment(&args.env_file, &args.env, &lookup)
        .map_err(|error| Failure::new(error.to_string()))?;
    let size = if args.tty && !args.detach {
        Size::of_stdout()
    } else {
        None
    };
    Ok(ExecConfig {
        attach_stdin: Some(args.interactive && !args.detach),
        attach_stdout: Some(!args.detach),
        attach_stderr: Some(!args.detach),
        console_size: size.map(|size| vec![usize::from(size.rows), usize::from(size.columns)]),
        detach_keys: args.detach_keys.as_ref().map(ToString::to_string),
        tty: Some(args.tty),
        env: (!env.is_empty()).then_some(env),
        cmd: Some(command),
        privileged: Some(args.privileged),
        user: args.user.clone(),
        working_dir: args.workdir.clone(),
    })
}

async fn attach(args: &Args, client: &Client, exec: &str) -> Result<u8, Failure> {
    let size = if args.tty { Size::of_stdout() } else { None };
    let body = match size {
        Some(Size { rows, columns }) => {
            format!(
                r#"{{"Detach":false,"Tty":{},"ConsoleSize":[{rows},{columns}]}}"#,
                args.tty
            )
        }
        None => format!(r#"{{"Detach":false,"Tty":{}}}"#, args.tty),
    };
    let hijacked = client
        .hijack(&format!("/exec/{exec}/start"), &[], Some(body), args.tty)
        .await?;
    let streams = Streams {
        stdin: args.interactive,
        output: Output::BOTH,
        tty: args.tty,
        detach: args.detach_keys.clone().unwrap_or_default(),
    };
    let session = Session::open(hijacked, streams)?;
    let ended = tokio::select! {
        ended = session.run_until_signal() => ended?,
        never = resize::follow(client, Target::Exec(exec)), if args.tty && stdin_is_terminal() => {
            match never {}
        }
    };
    if ended == Ended::Detached {
        return Err(Failure::new("read escape sequence"));
    }
    let done: ExecInspectResponse = client.get_as(&format!("/exec/{exec}/json"), &[]).await?;
    Ok((done.exit_code.unwrap_or(0) & 0xff) as u8)
}
