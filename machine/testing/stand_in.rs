//! What `hull` and `hulld` are to a machine, and no more: for this crate's tests.
//!
//! ```text
//!   machine machine role NAME [SPEC]   one of the machine's own processes
//!   machine exec OPTIONS COMMAND …     runs a command in the machine, started before
//!   machine -H unix://PATH             stands in for the daemon
//! ```

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;

use hull_machine::{MachineError, Options, exec::Request, role::Role};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["machine", "role", role, spec @ ..] => play(role, spec.first().copied()),
        ["exec", options, command @ ..] => exec(options, command),
        ["-H", address] => serve(address),
        _ => Err("no such thing".into()),
    };
    match done {
        Ok(status) => status.into(),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn play(role: &str, spec: Option<&str>) -> Result<u8, Box<dyn Error>> {
    role.parse::<Role>()?.play(spec.map(Into::into))?;
    Ok(0)
}

fn exec(options: &str, command: &[&str]) -> Result<u8, Box<dyn Error>> {
    let options: Options = serde_json::from_str(options)?;
    let request = Request {
        argv: command.iter().map(ToString::to_string).collect(),
        env: vec![("COLOUR".into(), "blue".into())],
        cwd: std::env::current_dir()?,
        ..Request::default()
    };
    match hull_machine::exec(&options, request) {
        Err(MachineError::Exec(hull_machine::ExecError::Refused { status, .. })) => Ok(status),
        other => Ok(other?),
    }
}

fn serve(address: &str) -> Result<u8, Box<dyn Error>> {
    let path = Path::new(address.strip_prefix("unix://").ok_or("no unix socket")?);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if path.exists() {
        fs::remove_file(path)?;
    }
    println!("serving {address}");
    for socket in UnixListener::bind(path)?.incoming() {
        let mut socket = socket?;
        // Whatever is asked.
        let _ = socket.read(&mut [0; 4096])?;
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")?;
    }
    Ok(0)
}
