//! The guest's kernel log, for what nobody is connected to hear.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::panic;

use rustix::fs::{CWD, FileType, Mode};

const PATH: &str = "/dev/kmsg";

/// One line to the kernel log.
pub(super) fn write(line: &str) {
    let open = || OpenOptions::new().write(true).open(PATH);
    let file = open().or_else(|_| {
        // Before anything is mounted.
        let device = rustix::fs::makedev(1, 11);
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(CWD, PATH, FileType::CharacterDevice, mode, device)?;
        open()
    });
    // Without a log there is nowhere left to say so.
    if let Ok(mut file) = file {
        let _ = file.write_all(format!("<3>hull-agent: {line}\n").as_bytes());
    }
}

/// A panic of the agent ends the guest; the log says where.
pub(super) fn report_panics() {
    panic::set_hook(Box::new(|info| {
        let mut text = String::from("panic");
        if let Some(place) = info.location() {
            // Writing to a string does not fail.
            let _ = write!(text, " at {}:{}", place.file(), place.line());
        }
        let payload = info.payload();
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or(payload.downcast_ref::<String>().map(String::as_str));
        if let Some(message) = message {
            text.push_str(": ");
            text.push_str(message);
        }
        write(&text);
    }));
}
