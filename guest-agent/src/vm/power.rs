//! The one I/O port between the guest's init and its machine.

use std::io;

use hull_protocol::power;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::system::RebootCommand;

const PATH: &str = "/dev/port";

/// Sends one byte.
pub(super) fn tell(byte: u8) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let open = || rustix::fs::open(PATH, flags, Mode::empty());
    let port = open().or_else(|_| {
        // Nothing is mounted yet: the device node in the initramfs itself is enough.
        let device = rustix::fs::makedev(1, 4);
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(CWD, PATH, FileType::CharacterDevice, mode, device)?;
        open()
    })?;
    rustix::io::pwrite(&port, &[byte], power::PORT.into())?;
    Ok(())
}

/// Ends the machine.
pub(super) fn off() -> ! {
    if let Err(e) = tell(power::OFF) {
        super::kmsg::write(&format!("cannot power off: {e}"));
    }
    // A VMM that does not know the port sees a reset.
    let _ = rustix::system::reboot(RebootCommand::Restart);
    loop {
        std::thread::park();
    }
}
