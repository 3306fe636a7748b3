//! The device against a driver.

use std::io;

use vm_memory::{Bytes, GuestAddress};

use super::super::backend::HostMemory;
use super::super::request::PageRange;
use super::*;
use crate::devices::virtio::COMMON_FEATURES;
use crate::devices::virtio::driver_double::{
    Buffer, DriverQueue, Line, activation, ram, reactivation,
};
use crate::jail::seccomp;
use crate::memory::GuestRam;

const INFLATE: usize = 0;
const DEFLATE: usize = 1;
const REPORTING: usize = 2;
const LIST: u64 = 0x1_8000;
const PAGE: u64 = 0x1000;

#[derive(Debug, Default)]
struct Unwilling;

impl Reclaim for Unwilling {
    fn take(&mut self, _: &GuestRam, _: PageRange) -> io::Result<()> {
        Err(io::Error::other("unwilling"))
    }
}

struct Rig<R: Reclaim> {
    memory: Arc<GuestRam>,
    line: Arc<Line>,
    queues: [DriverQueue; 3],
    balloon: Balloon<R>,
}

fn rig<R: Reclaim>(host: R) -> Rig<R> {
    let (memory, line) = (ram(), Arc::new(Line::default()));
    let queues = [0, 0x4000, 0x8000].map(|base| DriverQueue::new(&memory, base, 64));
    let mut balloon = Balloon::new(host);
    let [inflate, deflate, reporting] = &queues;
    balloon.activate(activation(&memory, &[inflate, deflate, reporting], &line));
    memory
        .write_slice(&[7; 0x8_0000], GuestAddress(0x8_0000))
        .unwrap();
    Rig {
        memory,
        line,
        queues,
        balloon,
    }
}

impl<R: Reclaim> Rig<R> {
    /// Adds a request, kicks as a vCPU does, and takes the answer.
    fn request(&mut self, queue: usize, buffers: &[Buffer]) -> Option<u32> {
        self.queues[queue].add(buffers);
        self.balloon.serve(queue);
        self.queues[queue].used()
    }

    fn list(&mut self, queue: usize, pages: &[u32]) -> Option<u32> {
        let bytes: Vec<u8> = pages.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.memory.write_slice(&bytes, GuestAddress(LIST)).unwrap();
        self.request(queue, &[Buffer::Out(LIST, bytes.len() as u32)])
    }

    /// The pages of the upper half that are empty, counted from its start.
    fn emptied(&self) -> Vec<u64> {
        let byte = |at| self.memory.read_obj::<u8>(GuestAddress(at)).unwrap();
        let at = |page: u64| 0x8_0000 + page * PAGE;
        (0..0x80)
            .filter(|&page| byte(at(page)) == 0 && byte(at(page) + PAGE - 1) == 0)
            .collect()
    }
}

#[test]
fn reported_pages_go_back_and_no_others() {
    let mut rig = rig(HostMemory);
    let report = [Buffer::In(0x8_2000, 0x2000), Buffer::In(0x8_8000, 0x1000)];
    assert_eq!(rig.request(REPORTING, &report), Some(0));
    assert_eq!(rig.emptied(), [2, 3, 8]);
    let metrics = rig.balloon.metrics();
    assert_eq!((metrics.requests, metrics.errors), (1, 0));
    assert_eq!(metrics.reclaimed_bytes, 0x3000);
    rig.memory
        .write_obj(9u8, GuestAddress(0x8_2000))
        .expect("the guest uses it again");
    assert_eq!(rig.emptied(), [3, 8]);
}

#[test]
fn inflated_pages_go_back_and_deflated_ones_are_left_alone() {
    let mut rig = rig(HostMemory);
    assert_eq!(rig.list(INFLATE, &[0x85, 0x84, 0x80]), Some(0));
    assert_eq!(rig.emptied(), [0, 4, 5]);
    rig.memory
        .write_slice(&[7; 0x8_0000], GuestAddress(0x8_0000))
        .unwrap();
    assert_eq!(rig.list(DEFLATE, &[0x85, 0x84, 0x80]), Some(0));
    assert_eq!(rig.emptied(), [0; 0]);
    let metrics = rig.balloon.metrics();
    assert_eq!((metrics.requests, metrics.errors), (2, 0));
    assert_eq!(metrics.reclaimed_bytes, 0x3000);
}

#[test]
fn a_request_that_names_more_than_pages_of_the_guest_does_nothing() {
    let mut rig = rig(HostMemory);
    assert_eq!(rig.list(INFLATE, &[0x80, 0x100]), Some(0));
    assert_eq!(rig.list(INFLATE, &[u32::MAX]), Some(0));
    let report = [Buffer::In(0x8_0000, 0x1000), Buffer::In(0x8_2001, 0x1000)];
    assert_eq!(rig.request(REPORTING, &report), Some(0));
    assert_eq!(
        rig.request(REPORTING, &[Buffer::Out(0x8_0000, 0x1000)]),
        Some(0)
    );
    assert_eq!(rig.emptied(), [0; 0]);
    let metrics = rig.balloon.metrics();
    assert_eq!((metrics.errors, metrics.reclaimed_bytes), (4, 0));
    assert_eq!(rig.list(INFLATE, &[0x80]), Some(0), "and it goes on");
    assert_eq!(rig.emptied(), [0]);
}

#[test]
fn a_host_that_keeps_its_memory_is_counted() {
    let mut rig = rig(Unwilling);
    assert_eq!(rig.list(INFLATE, &[0x80, 0x90]), Some(0));
    let metrics = rig.balloon.metrics();
    assert_eq!((metrics.errors, metrics.reclaimed_bytes), (2, 0));
}

#[test]
fn a_report_outside_memory_breaks_the_device_until_a_reset() {
    let mut rig = rig(HostMemory);
    for (start, length) in [(1 << 20, 0x1000), (0xf_f000, 0x2000), (u64::MAX, 0x1000)] {
        let report = [Buffer::In(0x8_0000, 0x1000), Buffer::In(start, length)];
        assert_eq!(rig.request(REPORTING, &report), None);
        assert!(rig.line.is_broken());
        assert_eq!(rig.emptied(), [0; 0]);
        assert_eq!(rig.list(INFLATE, &[0x80]), None, "all of it stands still");

        rig.balloon.reset();
        rig.line = Arc::new(Line::default());
        rig.queues = [0, 0x4000, 0x8000].map(|base| {
            rig.memory
                .write_slice(&[0; 0x4000], GuestAddress(base))
                .unwrap();
            DriverQueue::new(&rig.memory, base, 64)
        });
        let [inflate, deflate, reporting] = &rig.queues;
        let queues = [inflate, deflate, reporting];
        rig.balloon
            .activate(activation(&rig.memory, &queues, &rig.line));
    }
    let report = [Buffer::In(0x8_0000, 0x1000)];
    assert_eq!(rig.request(REPORTING, &report), Some(0));
}

/// A ring with an endless supply: each request, once answered, is there again.
#[test]
fn a_flood_breaks_the_device_and_does_not_keep_the_vcpu() {
    #[derive(Debug)]
    struct Flooding(u16);
    impl Reclaim for Flooding {
        fn take(&mut self, memory: &GuestRam, _: PageRange) -> io::Result<()> {
            self.0 += 1;
            // The available index of the reporting queue, as another vCPU would move it.
            memory
                .write_obj(self.0 + 1, GuestAddress(0xa002))
                .map_err(io::Error::other)
        }
    }
    let mut rig = rig(Flooding(0));
    // Every place of the available ring names descriptor 0, as the memory is zeros.
    rig.queues[REPORTING].add(&[Buffer::In(0x8_0000, 0x1000)]);
    rig.balloon.serve(REPORTING);
    assert!(rig.line.is_broken());
}

#[test]
fn queues_depend_on_what_was_negotiated() {
    let balloon = Balloon::new(HostMemory);
    let all = balloon.features() | COMMON_FEATURES;
    assert_eq!(balloon.queue_count(all), 3);
    assert_eq!(balloon.queue_count(COMMON_FEATURES), 2);

    let (memory, line) = (ram(), Arc::new(Line::default()));
    let queues = [0, 0x4000].map(|base| DriverQueue::new(&memory, base, 64));
    let mut balloon = Balloon::new(HostMemory);
    balloon.activate(activation(&memory, &[&queues[0], &queues[1]], &line));
    balloon.serve(REPORTING);
    balloon.serve(usize::MAX);
    assert!(!line.is_broken(), "a kick of no queue is none");
    assert_eq!(balloon.save().queues().len(), 2);
}

#[test]
fn a_saved_device_goes_on_and_so_does_its_copy() {
    let mut rig = rig(HostMemory);
    rig.request(REPORTING, &[Buffer::In(0x8_0000, 0x1000)]);
    let state = rig.balloon.save();
    assert_eq!(rig.list(INFLATE, &[0x82]), Some(0), "it goes on");
    let state_now = rig.balloon.save();
    assert_ne!(state, state_now);
    rig.balloon.reset();

    let json = serde_json::to_string(&state_now).unwrap();
    let state: DeviceState = serde_json::from_str(&json).unwrap();
    assert_eq!(state, state_now);
    let [inflate, deflate, reporting] = &rig.queues;
    let queues = [inflate, deflate, reporting];
    rig.balloon = Balloon::new(HostMemory);
    rig.balloon.activate(reactivation(
        &rig.memory,
        state.queues(),
        &queues,
        &rig.line,
    ));
    let report = [Buffer::In(0x8_4000, 0x1000)];
    assert_eq!(rig.request(REPORTING, &report), Some(0));
    assert_eq!(rig.list(DEFLATE, &[0x82]), Some(0));
    assert_eq!(rig.emptied(), [0, 2, 4]);
}

/// A call that the program does not let through would end the test.
#[test]
fn it_works_under_the_seccomp_program_of_a_vcpu() {
    let mut rig = rig(HostMemory);
    let vcpu = std::thread::spawn(move || {
        seccomp::enter(seccomp::Role::Vcpu);
        let report = [Buffer::In(0x8_0000, 0x1000)];
        assert_eq!(rig.request(REPORTING, &report), Some(0));
        assert_eq!(rig.list(INFLATE, &[0x82]), Some(0));
        assert_eq!(rig.emptied(), [0, 2]);
    });
    vcpu.join().unwrap();
}
