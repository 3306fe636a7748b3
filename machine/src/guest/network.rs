//! The machine's network: loopback, and QEMU's user network with its fixed addresses.

use std::process::Command;

use super::GuestError;

const STEPS: [&[&str]; 4] = [
    &["ip", "link", "set", "lo", "up"],
    &["ip", "addr", "add", "10.0.2.15/24", "dev", "eth0"],
    &["ip", "link", "set", "eth0", "up"],
    &["ip", "route", "add", "default", "via", "10.0.2.2"],
];

pub(super) fn configure() -> Result<(), GuestError> {
    for step in STEPS {
        let output = Command::new("/bin/busybox")
            .args(step)
            .output()
            .map_err(|e| GuestError::Network(e.to_string()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(GuestError::Network(format!(
                "{}: {}",
                step.join(" "),
                said.trim()
            )));
        }
    }
    // Without a name of its own the machine would be `(none)`.
    let _ = rustix::system::sethostname(b"hull-machine");
    Ok(())
}
