//! The content store: what images are called, what they are made of, and their files on disk.
//!
//! [`Store`] is all that its users need: `load`, `import` and `pull` bring images in, `pack` takes
//! them out as an archive and `push` to other registries (see [`remote`]), `find`, `list` and
//! `image` tell about them, `tag` and `remove` change what they are called. An image is its
//! configuration's digest ([`ImageId`]); blobs are kept as they came, and every layer is unpacked
//! once into a packed layer ([`hull_layer`]) that all images with the same chain share.
//!
//! Everything blocks; nothing here knows of containers, VMs or the Engine API. Which images
//! containers use is told to [`Store::remove`] by the caller. What comes in is hostile: see [`tar`], `unpack`
//! and `load`. What survives a crash and what is collected after one: see `lease` and `database`.

pub mod change;
mod collect;
mod commit;
mod compression;
pub mod config;
#[cfg(test)]
mod crash_tests;
mod database;
mod digest;
mod error;
mod fault;
mod find;
mod hold;
mod import;
pub mod kinship;
mod layers;
mod layout;
mod lease;
mod list;
mod load;
pub mod manifest;
mod prune;
mod pull;
mod push;
mod reference;
mod register;
pub mod remote;
mod remove;
pub mod repositories;
#[cfg(test)]
mod samples;
mod save;
mod store;
#[cfg(test)]
mod store_tests;
pub mod tar;
mod transfer;
mod turns;
mod unpack;
mod unsynced;
mod words;

pub use change::ChangeError;
pub use collect::Collected;
pub use commit::Commit;
pub use compression::decompress;
pub use config::{Healthcheck, ImageConfig, Platform, PlatformError, RunConfig};
pub use digest::{ChainId, DiffId, Digest, DigestError, ImageId};
pub use error::StoreError;
pub use find::FindError;
pub use import::{Import, ImportError};
pub use layers::{LayerError, Progress};
pub use list::{Image, ImageLayer};
pub use load::{LoadError, Loaded};
pub use prune::{Pruned, Unneeded};
pub use pull::{Pull, PullError, Pulled};
pub use push::{Push, PushError, Pushed};
pub use reference::{AnyReference, Reference, ReferenceError, Repository};
pub use register::ImageError;
pub use remove::{Forcing, RemoveError, RemoveOptions, Removed, Usage};
pub use save::{SaveError, Saving};
pub use store::{Options, Store};
pub use transfer::{Audience, Down, Transfer, Up};
pub use unpack::{UnpackError, unpack};
pub use words::WordError;
