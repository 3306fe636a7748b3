//! What calls about registries are given, and what they tell.

use hull_images::Platform;
pub use hull_images::remote::{
    Credentials, Described, Hit, InsecureRegistry, Login, Mirror, RemoteOptions as RegistryOptions,
};
pub use hull_images::{Down, Transfer, Up};

/// What to pull.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// A name, with or without a tag or digest.
    pub image: String,
    /// A tag or a digest; with neither here nor in the name, every tag of the repository.
    pub version: String,
    /// `linux/arm64`; empty for what this host runs.
    pub platform: String,
    /// Shown to the registry.
    pub credentials: Credentials,
}

/// What to push.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// A name, with or without a tag.
    pub image: String,
    /// A tag; with neither here nor in the name, every tag of the repository.
    pub tag: String,
    /// What the images must be for.
    pub platform: Option<Platform>,
    /// Shown to the registry.
    pub credentials: Credentials,
}

/// What to search for.
#[derive(Clone, Debug)]
pub struct SearchOptions {
    /// Words, behind a registry's host where it is not Docker Hub.
    pub term: String,
    /// How many at most, before the other conditions.
    pub limit: u32,
    /// Official ones only, or none of them.
    pub official: Option<bool>,
    /// Automated ones only, or none of them.
    pub automated: Option<bool>,
    /// The fewest stars.
    pub stars: i64,
    /// Shown to the registry.
    pub credentials: Credentials,
}
