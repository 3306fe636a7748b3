//! `hull-vmm`: one microVM, jailed. Started by the engine, not by people.

use std::fs::File;
use std::io::Write;
use std::os::fd::{FromRawFd, RawFd};
use std::process::ExitCode;

use hull_protocol::frame;
use hull_protocol::vmm::{ExitReason, ExitReport, Started, VmConfig};
use hull_vmm::config::{self, Resources};
use hull_vmm::control::{self, Termination};
use hull_vmm::jail;
use hull_vmm::machine::Machine;

const USAGE: &str = "usage: hull-vmm --config-fd N\n\
    Runs one virtual machine. It is started by hulld, with its descriptors already open.";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (flag, value) = (arguments.next(), arguments.next());
    match (flag.as_deref(), value.and_then(|v| v.parse::<RawFd>().ok())) {
        (Some("--version"), _) => {
            println!("hull-vmm {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        (Some("--config-fd"), Some(fd)) if fd > 2 => run(fd),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(ExitReason::Config.status())
        }
    }
}

fn run(config_fd: RawFd) -> ExitCode {
    allocate_from_one_heap();
    let config = match config::read(config_fd) {
        Ok(config) => config,
        Err(e) => {
            eprintln!("hull-vmm: {}", chain(&e));
            return ExitCode::from(ExitReason::Config.status());
        }
    };
    // SAFETY: the configuration names it once, and only here is it owned.
    let report_to = unsafe { File::from_raw_fd(config.report) };
    let held = control::hold_termination().map_err(|e| failed(ExitReason::Internal, &e));
    let report = match held
        .and_then(|()| confine(&config))
        .and_then(|()| live(&config))
    {
        Ok(report) => report,
        Err(report) => report,
    };
    if !matches!(report.reason, ExitReason::PowerOff | ExitReason::Stopped) {
        eprintln!("hull-vmm: {}", report.message);
    }
    write_report(report_to, &report);
    ExitCode::from(report.reason.status())
}

/// Threads allocate next to nothing: a heap for each would cost the start time, and memory.
fn allocate_from_one_heap() {
    // SAFETY: there is one thread yet.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

fn confine(config: &VmConfig) -> Result<(), ExitReport> {
    let Some(jail) = &config.jail else {
        // SAFETY: the configuration names it once, and only here is it owned.
        let mut started = unsafe { File::from_raw_fd(config.started) };
        let announced = frame::write(
            &mut started,
            &Started {
                pid: std::process::id(),
            },
        );
        return announced.map_err(|e| failed(ExitReason::Config, &e));
    };
    jail::enter(jail, config.started, &config::descriptors(config))
        .map_err(|e| failed(ExitReason::Internal, &e))
}

fn live(config: &VmConfig) -> Result<ExitReport, ExitReport> {
    let internal = |e: std::io::Error| failed(ExitReason::Internal, &e);
    let termination = Termination::new().map_err(internal)?;
    let resources = Resources::take(config);
    let (mut machine, listener) =
        Machine::build(config, resources).map_err(|e| failed(e.reason(), &e))?;
    jail::confine_main_thread();
    machine.resume();
    if let Err(e) = control::serve(&mut machine, &listener, &termination) {
        machine
            .ending()
            .end(ExitReason::Internal, format!("the main loop failed: {e}"));
    }
    Ok(machine.finish())
}

fn failed(reason: ExitReason, error: &dyn std::error::Error) -> ExitReport {
    ExitReport {
        reason,
        message: chain(error),
        console_tail: None,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn write_report(mut file: File, report: &ExitReport) {
    let written = serde_json::to_vec(report)
        .map_err(std::io::Error::from)
        .and_then(|json| file.write_all(&json));
    if let Err(e) = written {
        eprintln!("hull-vmm: cannot write the exit report: {e}");
    }
}
