//! Which chains name pages, and which are refused.

use proptest::prelude::*;
use vm_memory::Bytes;

use super::*;
use crate::devices::virtio::driver_double::{Buffer, DriverQueue, ram};

const LIST: u64 = 0x8000;
/// Of the memory that the driver's double has.
const PAGES: u32 = (1 << 20) / PAGE as u32;

type Parsed = Result<Vec<(u64, u64)>, RequestError>;

fn chain(memory: &std::sync::Arc<GuestRam>, buffers: &[Buffer]) -> Chain {
    let mut queue = DriverQueue::new(memory, 0, 64);
    queue.add(buffers);
    queue.device().pop(memory).unwrap().unwrap()
}

fn plain(parsed: Result<Vec<PageRange>, RequestError>) -> Parsed {
    let plain = |range: PageRange| (range.start().0, range.length());
    parsed.map(|ranges| ranges.into_iter().map(plain).collect())
}

fn report_of(buffers: &[Buffer]) -> Parsed {
    let memory = ram();
    plain(report(&chain(&memory, buffers), &memory))
}

/// A list of page numbers, in two buffers if it has more than one.
fn pages_of(numbers: &[u32]) -> Parsed {
    let memory = ram();
    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    memory.write_slice(&bytes, GuestAddress(LIST)).unwrap();
    let (length, first) = (bytes.len() as u32, bytes.len() as u32 / 2);
    let buffers = [
        Buffer::Out(LIST, first),
        Buffer::Out(LIST + u64::from(first), length - first),
    ];
    plain(pages(&chain(&memory, &buffers), &memory))
}

#[test]
fn adjacent_pages_become_one_range_in_any_order() {
    assert_eq!(pages_of(&[3]), Ok(vec![(0x3000, 0x1000)]));
    assert_eq!(
        pages_of(&[9, 4, 5, 3, 4, PAGES - 1]),
        Ok(vec![(0x3000, 0x3000), (0x9000, 0x1000), (0xf_f000, 0x1000)])
    );
}

#[test]
fn a_list_with_one_page_outside_memory_is_refused_whole() {
    for outside in [PAGES, u32::MAX] {
        assert_eq!(pages_of(&[1, outside]), Err(RequestError::Outside));
    }
    assert_eq!(pages_of(&[PAGES - 1, PAGES]), Err(RequestError::Outside));
}

#[test]
fn a_list_has_a_limit_and_a_form() {
    assert!(pages_of(&[7; MAX_PAGES]).is_ok());
    assert_eq!(pages_of(&[7; MAX_PAGES + 1]), Err(RequestError::TooMany));
    let memory = ram();
    for buffers in [
        &[Buffer::Out(LIST, 3)][..],
        &[Buffer::Out(LIST, 0)],
        &[Buffer::In(LIST, 4)],
        &[Buffer::Out(LIST, 4), Buffer::In(LIST, 4)],
    ] {
        let refused = pages(&chain(&memory, buffers), &memory);
        assert_eq!(refused, Err(RequestError::Shape), "{buffers:?}");
    }
}

#[test]
fn a_report_names_its_buffers() {
    assert_eq!(
        report_of(&[Buffer::In(0x8000, 0x1000), Buffer::In(0x2_0000, 0x4000)]),
        Ok(vec![(0x8000, 0x1000), (0x2_0000, 0x4000)])
    );
}

#[test]
fn a_report_of_less_than_whole_pages_is_refused() {
    for buffer in [
        Buffer::In(0x8001, 0x1000),
        Buffer::In(0x8000, 0x1001),
        Buffer::In(0x8000, 0xfff),
        Buffer::In(0x8000, 0),
    ] {
        let report = report_of(&[Buffer::In(0x2_0000, 0x1000), buffer]);
        assert_eq!(report, Err(RequestError::Alignment), "{buffer:?}");
    }
    let readable = [Buffer::Out(0x9000, 0x1000), Buffer::In(0x8000, 0x1000)];
    assert_eq!(report_of(&readable), Err(RequestError::Shape));
    assert_eq!(report_of(&readable[..1]), Err(RequestError::Shape));
}

proptest! {
    #[test]
    fn what_a_list_names_is_what_is_given_back(
        numbers in prop::collection::vec(prop_oneof![0..PAGES, any::<u32>()], 1..40),
    ) {
        let inside = numbers.iter().all(|&n| n < PAGES);
        match pages_of(&numbers) {
            Err(error) => {
                prop_assert_eq!(error, RequestError::Outside);
                prop_assert!(!inside);
            }
            Ok(ranges) => {
                prop_assert!(inside);
                let found: Vec<u64> = ranges
                    .iter()
                    .flat_map(|&(start, length)| start / PAGE..(start + length) / PAGE)
                    .collect();
                let mut named: Vec<u64> = numbers.iter().map(|&n| n.into()).collect();
                named.sort_unstable();
                named.dedup();
                prop_assert_eq!(found, named);
                prop_assert!(ranges.windows(2).all(|w| w[0].0 + w[0].1 < w[1].0));
            }
        }
    }

    #[test]
    fn what_a_report_names_is_whole_pages(
        buffers in prop::collection::vec(
            prop_oneof![(0_u64..256, 0_u32..8).prop_map(|(p, n)| (p * PAGE, n << PAGE_SHIFT)),
                (0_u64..1 << 20, 0_u32..8192)],
            1..8,
        ),
    ) {
        // A chain with a buffer outside memory is not one, and never gets here.
        prop_assume!(buffers.iter().all(|&(start, n)| start + u64::from(n) <= 1 << 20));
        let chain: Vec<Buffer> = buffers.iter().map(|&(start, n)| Buffer::In(start, n)).collect();
        let whole = |n: u64| n.is_multiple_of(PAGE);
        match report_of(&chain) {
            Ok(ranges) => {
                let named: Vec<_> = buffers.iter().map(|&(start, n)| (start, n.into())).collect();
                prop_assert!(ranges.iter().all(|&(start, n)| n > 0 && whole(start) && whole(n)));
                prop_assert_eq!(ranges, named);
            }
            Err(error) => {
                prop_assert_eq!(error, RequestError::Alignment);
                prop_assert!(buffers.iter().any(|&(s, n)| n == 0 || !whole(s) || !whole(n.into())));
            }
        }
    }
}
