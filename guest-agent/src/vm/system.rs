//! Clock, entropy and loopback of the guest.

use std::io;
use std::os::fd::AsRawFd;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::time::{ClockId, Timespec, clock_settime};

use super::Step;
use crate::platform::PlatformError;

/// Sets the wall clock.
pub(super) fn set_clock(time: u64) -> Result<(), PlatformError> {
    const SECOND: u64 = 1_000_000_000;
    let time = Timespec {
        tv_sec: i64::try_from(time / SECOND).unwrap_or(i64::MAX),
        tv_nsec: (time % SECOND).cast_signed(),
    };
    clock_settime(ClockId::Realtime, time).step("set", "the clock")
}

/// The most entropy taken at once.
const MAX_SEED: usize = 256;

/// `struct rand_pool_info` of linux/random.h.
#[repr(C)]
struct RandPoolInfo {
    entropy_count: libc::c_int,
    buf_size: libc::c_int,
    buf: [u8; MAX_SEED],
}

/// Mixes in and credits what the host sends: it is where all of a guest's entropy comes from.
pub(super) fn seed(seed: &[u8]) -> Result<(), PlatformError> {
    let seed = seed.get(..MAX_SEED).unwrap_or(seed);
    if seed.is_empty() {
        return Ok(());
    }
    let length = seed.len() as libc::c_int;
    let mut info = RandPoolInfo {
        entropy_count: length * 8,
        buf_size: length,
        buf: [0; MAX_SEED],
    };
    if let Some(place) = info.buf.get_mut(..seed.len()) {
        place.copy_from_slice(seed);
    }
    let device = open_random().step("open", "/dev/random")?;
    // SAFETY: RNDADDENTROPY reads the header and `buf_size` bytes behind it, all of `info`.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), RNDADDENTROPY, &raw const info) };
    last(result).step("seed", "/dev/random")?;
    // A clone's generator shares its past with the template: it takes the new seed at once.
    // SAFETY: RNDRESEEDCRNG takes no argument.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), RNDRESEEDCRNG) };
    last(result).step("reseed", "/dev/random")
}

/// `_IOW('R', 0x03, int[2])`
const RNDADDENTROPY: libc::c_ulong = 0x4008_5203;
/// `_IO('R', 0x07)`
const RNDRESEEDCRNG: libc::c_ulong = 0x5207;

fn open_random() -> io::Result<std::os::fd::OwnedFd> {
    const PATH: &str = "/dev/random";
    let open = || rustix::fs::open(PATH, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    Ok(open().or_else(|_| {
        // Before anything is mounted.
        let device = rustix::fs::makedev(1, 8);
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(CWD, PATH, FileType::CharacterDevice, mode, device)?;
        open()
    })?)
}

/// Makes the kernel end its RCU grace periods at once instead of at the next ticks. Moving a
/// process into a control group waits for one, and so do others of the steps to a container: 10 ms
/// of waiting in all, against some interrupts between the few CPUs of a guest.
pub(super) fn hurry_grace_periods() {
    // A kernel without the switch is slower and not wrong.
    let _ = std::fs::write("/sys/kernel/rcu_expedited", "1");
}

/// The limits a container has where its specification names none: Docker's, not an init's.
pub(super) fn raise_limits() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    const FILES: u64 = 1 << 20;
    for (resource, limit) in [(Resource::Nofile, Some(FILES)), (Resource::Nproc, None)] {
        let both = Rlimit {
            current: limit,
            maximum: limit,
        };
        // The kernel's own limits are a poorer container, not a broken one.
        let _ = setrlimit(resource, both);
    }
}

/// Brings up `lo`; the kernel gives it its addresses by itself.
pub(super) fn loopback_up() -> Result<(), PlatformError> {
    // SAFETY: socket takes numbers only.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    last(fd).step("open", "a socket")?;
    // SAFETY: the request is plain bytes, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq, which outlives the call.
    let result = unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS, &raw const request) };
    let up = last(result).step("bring up", "lo");
    // SAFETY: the descriptor was opened above and nobody else has it.
    unsafe { libc::close(fd) };
    up
}

fn last(result: libc::c_int) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
