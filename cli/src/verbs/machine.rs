//! `hull machine`: the emulated host.

use std::path::PathBuf;

use hull_machine::exec::Request;
use hull_machine::role::Role;
use hull_machine::{Clock, ExecError, MachineError, Name, Options, Status};
use std::io::Write;

use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// Which machine
    #[arg(
        long,
        global = true,
        env = "HULL_MACHINE",
        default_value = "default",
        hide_env_values = true
    )]
    name: Name,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Start the machine, unless it runs
    Start(Size),
    /// Turn the machine off
    Stop,
    /// Show whether the machine runs
    Status {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Run a command in the machine, which is started if need be
    Exec(Exec),
    /// Remove the machine and its disk
    Rm {
        /// Turn it off first
        #[arg(short, long)]
        force: bool,
    },
    /// A process of the machine's own
    #[command(hide = true)]
    Role {
        role: Role,
        argument: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
struct Size {
    /// Processors
    #[arg(long, env = "HULL_MACHINE_CPUS", value_name = "N")]
    cpus: Option<u32>,
    /// Memory in MiB; taken from the host as it is used
    #[arg(long, env = "HULL_MACHINE_MEMORY", value_name = "MIB")]
    memory: Option<u32>,
    /// Disk in GiB, when it is made; taken from the host as it is used
    #[arg(long, env = "HULL_MACHINE_DISK", value_name = "GIB")]
    disk: Option<u32>,
    /// Let its clocks count the instructions of its one processor, for measurements that repeat
    #[arg(long)]
    count_instructions: bool,
}

#[derive(Debug, clap::Args)]
struct Exec {
    #[command(flatten)]
    size: Size,
    /// Set an environment variable, or pass this one's on
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Run in this folder rather than the current one
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) async fn run(args: Args) -> Result<u8, Failure> {
    let mut options = Options::new(args.name).map_err(|e| Failure::new(e.to_string()))?;
    match args.verb {
        Verb::Start(size) => {
            size.apply(&mut options);
            start(&options)?;
            std::io::stdout().write_all(format!("{}\n", options.name).as_bytes())?;
        }
        Verb::Stop => {
            hull_machine::stop(&options)?;
        }
        Verb::Status { json } => {
            let status = hull_machine::status(&options)?;
            std::io::stdout().write_all(render(&options, status.as_ref(), json)?.as_bytes())?;
            return Ok(u8::from(status.is_none()));
        }
        Verb::Exec(exec) => return exec.run(options),
        Verb::Rm { force } => {
            if force {
                hull_machine::stop(&options)?;
            }
            hull_machine::remove_machine(&options)?;
        }
        Verb::Role { role, argument } => {
            role.play(argument)
                .map_err(|error| Failure::new(error.to_string()))?;
        }
    }
    Ok(0)
}

fn start(options: &Options) -> Result<(), MachineError> {
    hull_machine::start(options, &mut |what| eprintln!("hull: {what}"))
}

impl Size {
    fn apply(&self, options: &mut Options) {
        options.cpus = self.cpus.unwrap_or(options.cpus);
        options.memory_mib = self.memory.unwrap_or(options.memory_mib);
        options.disk_gib = self.disk.unwrap_or(options.disk_gib);
        if self.count_instructions {
            options.clock = Clock::Instructions;
            options.cpus = self.cpus.unwrap_or(1);
        }
    }
}

impl Exec {
    fn run(self, mut options: Options) -> Result<u8, Failure> {
        self.size.apply(&mut options);
        let request = self.request()?;
        start(&options)?;
        match hull_machine::exec(&options, request) {
            Err(MachineError::Exec(ExecError::Refused { reason, status })) => {
                Err(Failure::new(reason).with_status(status))
            }
            other => Ok(other?),
        }
    }

    fn request(self) -> Result<Request, Failure> {
        let cwd = match self.workdir {
            Some(folder) => folder,
            None => std::env::current_dir()
                .map_err(|error| Failure::new(format!("the current folder: {error}")))?,
        };
        let mut env: Vec<_> = self.env.iter().filter_map(|text| variable(text)).collect();
        let mut tty = None;
        if self.tty {
            tty = hull_machine::terminal_size();
            if tty.is_none() {
                return Err(Failure::new("the input device is not a TTY"));
            }
            env.extend(variable("TERM"));
        }
        Ok(Request {
            argv: self.command,
            env,
            cwd,
            tty,
            detach: None,
        })
    }
}

/// `NAME=VALUE`, or a `NAME` that is set here.
fn variable(text: &str) -> Option<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => Some((text.to_owned(), std::env::var(text).ok()?)),
    }
}

fn render(options: &Options, status: Option<&Status>, json: bool) -> Result<String, Failure> {
    if json {
        return serde_json::to_string(&status)
            .map(|text| text + "\n")
            .map_err(|error| Failure::new(error.to_string()));
    }
    Ok(match status {
        None => format!("{} is not running\n", options.name),
        Some(status) => format!(
            "{} is running: {} processors, {} MiB, up {} s, QEMU process {}\n",
            status.name, status.cpus, status.memory_mib, status.up_seconds, status.pid
        ),
    })
}

impl From<MachineError> for Failure {
    fn from(error: MachineError) -> Failure {
        Failure::new(error.to_string())
    }
}
