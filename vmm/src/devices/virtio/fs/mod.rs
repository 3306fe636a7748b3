//! File system device (virtio 1.2, 5.11).

pub mod persist;
