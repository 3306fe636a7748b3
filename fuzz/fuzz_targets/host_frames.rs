//! What a guest can send to the host: replies, output records, changes.
#![no_main]

use hull_protocol::agent::Reply;
use hull_protocol::files::Change;
use hull_protocol::frame::Decoder;
use hull_protocol::stream::{Opened, RecordHeader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut replies = Decoder::default();
    replies.push(bytes);
    while let Ok(Some(_)) = replies.take::<Reply>() {}
    let mut opened = Decoder::default();
    opened.push(bytes);
    let _ = opened.take::<Opened>();
    let mut changes = bytes;
    while let Ok(Some((change, rest))) = Change::decode(changes) {
        let mut again = Vec::new();
        change.encode(&mut again);
        assert_eq!(again, changes[..changes.len() - rest.len()]);
        changes = rest;
    }
    if let Some(header) = bytes.first_chunk::<{ RecordHeader::SIZE }>()
        && let Ok(record) = RecordHeader::decode(header)
    {
        assert_eq!(record.encode(), *header);
    }
});
