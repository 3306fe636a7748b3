//! `hull-vmm` by itself: how it ends, what its control socket does, what it refuses.

use hull_protocol::power;
use hull_protocol::vmm::{Control, ControlReply, ExitReason, VmState};
use hull_tests::{Code, RawVm, RunningVm, eventually};
use rustix::process::Signal;

const RESET_PORT: u16 = 0x64;

fn off() -> Code {
    Code::default().out(power::PORT, power::OFF).halt()
}

fn start(code: &Code) -> RunningVm {
    let mut vm = RawVm::new(code).start();
    assert_ne!(vm.started().pid, 0);
    vm
}

#[track_caller]
fn ends(vm: RunningVm, code: i32, reason: ExitReason) -> String {
    let (found, report, said) = vm.end();
    let report = report.unwrap_or_else(|| panic!("no report; it said {said}"));
    assert_eq!((found, report.reason), (code, reason), "{report:?}\n{said}");
    report.message
}

#[test]
fn each_kind_of_end_has_its_own_status_and_message() {
    ends(start(&off()), 0, ExitReason::PowerOff);
    let fault = start(&Code::default().undefined());
    assert_eq!(
        ends(fault, 12, ExitReason::TripleFault),
        "triple fault in the guest"
    );
    let reset = start(&Code::default().out(RESET_PORT, 0xfe).halt());
    assert!(ends(reset, 11, ExitReason::GuestReset).contains("panic"));
}

#[test]
fn the_last_lines_of_the_console_are_in_the_report() {
    let code = Code::default()
        .print("Kernel panic - not syncing: test\n")
        .out(RESET_PORT, 0xfe);
    let (_, report, _) = start(&code.halt()).end();
    let tail = report.unwrap().console_tail.unwrap();
    assert_eq!(tail, "Kernel panic - not syncing: test\n");
}

#[test]
fn it_stops_when_told_to() {
    let vm = start(&Code::default().halt());
    assert_eq!(vm.control(&Control::Stop), ControlReply::Done);
    ends(vm, 0, ExitReason::Stopped);
    let vm = start(&Code::default().again());
    vm.signal(Signal::TERM);
    ends(vm, 0, ExitReason::Stopped);
}

#[test]
fn a_paused_guest_stands_still_and_goes_on() {
    let vm = start(&Code::default().print("x").again());
    eventually("it prints", || vm.printed() > 10);
    assert_eq!(vm.control(&Control::Pause), ControlReply::Done);
    let ControlReply::Info(info) = vm.control(&Control::Info) else {
        panic!("no info")
    };
    assert_eq!(
        (info.state, info.vcpus, info.memory_mib),
        (VmState::Paused, 1, 64)
    );
    let printed = vm.printed();
    for _ in 0..5 {
        vm.control(&Control::Metrics);
        assert_eq!(vm.printed(), printed);
    }
    assert_eq!(vm.control(&Control::Resume), ControlReply::Done);
    eventually("it goes on", || vm.printed() > printed);
    let ControlReply::Metrics(metrics) = vm.control(&Control::Metrics) else {
        panic!("none")
    };
    assert!(metrics.vcpu_exits > 0);
    let names: Vec<&str> = metrics.devices.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["fs", "vsock", "rng", "balloon"]);
    vm.control(&Control::Stop);
    ends(vm, 0, ExitReason::Stopped);
}

#[test]
fn a_flood_on_the_console_is_cut_off() {
    let flood = Code::default().print(&"flood ".repeat(100)).again();
    let vm = start(&flood);
    eventually("it prints", || vm.printed() > 10_000);
    vm.control(&Control::Stop);
    assert!(vm.printed() <= 1 << 20);
    ends(vm, 0, ExitReason::Stopped);
}

#[test]
fn what_cannot_be_started_says_why() {
    let mut no_kernel = RawVm::with_kernel(b"#!/bin/sh\necho no kernel\n").start();
    no_kernel.started();
    let message = ends(no_kernel, 2, ExitReason::Config);
    assert_eq!(message, "not an x86-64 ELF executable");

    let mut vm = RawVm::new(&off());
    vm.config.memory_mib = 1;
    let (code, _, said) = vm.start().end();
    assert_eq!(code, 2);
    assert!(
        said.contains("memory_mib must be 32 to 1048576, not 1"),
        "{said}"
    );

    let mut vm = RawVm::new(&off());
    vm.config.kvm = vm.config.kernel;
    let (code, _, said) = vm.start().end();
    assert_eq!(code, 2);
    assert!(said.contains("named twice"), "{said}");

    let mut vm = RawVm::new(&off());
    std::mem::swap(&mut vm.config.kvm, &mut vm.config.kernel);
    let (code, report, said) = vm.start().end();
    assert_eq!(
        (code, report.map(|r| r.reason)),
        (13, Some(ExitReason::KvmError)),
        "{said}"
    );
}

/// Twenty thousand reads and writes of random values at random registers of all virtio devices,
/// then power off:
///
/// ```text
///     movl  $0xc0000083, 0xa018       map the fourth GiB
///     movl  $0xd0000000, %ebx
///     movl  $20000, %ecx
///  1: eax = eax * 1103515245 + 12345
///     edx = (eax >> 12 & 0x1fc) + (eax >> 26 & 7) * 4096
///     bit 20 of eax: write eax to (rbx + rdx), or read from there
///     loop 1b
/// ```
const STORM: &[u8] = &[
    0xc7, 0x04, 0x25, 0x18, 0xa0, 0x00, 0x00, 0x83, 0x00, 0x00, 0xc0, 0xbb, 0x00, 0x00, 0x00, 0xd0,
    0xb9, 0x20, 0x4e, 0x00, 0x00, 0xb8, 0x45, 0x23, 0x01, 0x00, 0x69, 0xc0, 0x6d, 0x4e, 0xc6, 0x41,
    0x05, 0x39, 0x30, 0x00, 0x00, 0x89, 0xc2, 0xc1, 0xea, 0x0c, 0x81, 0xe2, 0xfc, 0x01, 0x00, 0x00,
    0x89, 0xc6, 0xc1, 0xee, 0x1a, 0x83, 0xe6, 0x07, 0xc1, 0xe6, 0x0c, 0x01, 0xf2, 0x89, 0xc7, 0xc1,
    0xef, 0x14, 0xf7, 0xc7, 0x01, 0x00, 0x00, 0x00, 0x74, 0x05, 0x89, 0x04, 0x13, 0xeb, 0x03, 0x8b,
    0x3c, 0x13, 0xff, 0xc9, 0x75, 0xc4,
];

#[test]
fn a_storm_on_the_registers_hurts_nobody() {
    let storm = Code::default()
        .bytes(STORM)
        .out(power::PORT, power::OFF)
        .halt();
    ends(start(&storm), 0, ExitReason::PowerOff);
}
