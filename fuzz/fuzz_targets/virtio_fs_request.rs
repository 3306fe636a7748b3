//! What a guest can send to the file system device: any bytes as a request, with any room for the
//! reply. Decoded and answered over one small layer; no reply may pass its room.
#![no_main]

use std::sync::OnceLock;

use hull_layer::{BuildError, Builder, Layer, Limits, Meta};
use hull_vmm::devices::virtio::fs::abi::Body;
use hull_vmm::devices::virtio::fs::backend::{Layers, Reply};
use hull_vmm::devices::virtio::fs::request::{MAX_INPUT, Request};
use libfuzzer_sys::fuzz_target;

fn layers() -> Layers {
    let file = tempfile::tempfile().expect("a temporary file");
    let mut builder = Builder::new(file.try_clone().expect("a descriptor"), Limits::default())
        .expect("a builder");
    fill(&mut builder)
        .and_then(|()| builder.finish())
        .expect("a layer");
    Layers::new(vec![Layer::open(file).expect("a finished layer")])
}

fn fill(builder: &mut Builder) -> Result<(), BuildError> {
    let xattrs = vec![(b"user.k".to_vec(), b"value".to_vec())];
    builder.directory(
        b"dir",
        Meta {
            xattrs,
            ..Meta::default()
        },
    )?;
    let mut file = builder.file(b"dir/file", Meta::default())?;
    file.append(b"text")?;
    file.skip(1 << 20)?;
    file.finish()?;
    builder.symlink(b"link", b"dir/file", Meta::default())?;
    builder.whiteout(b"gone")
}

fuzz_target!(|data: (u32, u16, &[u8])| {
    static LAYERS: OnceLock<Layers> = OnceLock::new();
    let (total, room, bytes) = data;
    let input = &bytes[..bytes.len().min(MAX_INPUT)];
    let Ok(request) = Request::parse(input, total) else {
        return;
    };
    let mut body = Body::default();
    let room = usize::from(room);
    match LAYERS.get_or_init(layers).answer(&request, room, &mut body) {
        Reply::Body => assert!(body.bytes().len() <= room),
        Reply::Contents { length, .. } => assert!(length <= room),
        Reply::Silent | Reply::Error(_) => {}
    }
});
