//! `/init` of a Hull guest.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!("hull-agent is the init of a microVM and runs as nothing else");
        return ExitCode::FAILURE;
    }
    hull_agent::vm::run()
}
