//! The verbs that are refused.

use super::{Never, NotYet, Standing, Verb};

const fn verb(path: &'static str, standing: Standing, reason: &'static str) -> Verb {
    Verb {
        path,
        standing,
        reason,
    }
}

const BUILDS: &str = "images come from pull, load, import and commit";
const SWARM: &str = "Hull runs on one machine and is no swarm";

pub(crate) const VERBS: &[Verb] = &[
    verb("build", NotYet, BUILDS),
    verb("builder", NotYet, BUILDS),
    verb("buildx", NotYet, BUILDS),
    verb("image build", NotYet, BUILDS),
    verb(
        "network",
        NotYet,
        "containers have the default network or none",
    ),
    verb("volume", NotYet, "a container sees its image's files only"),
    verb("compose", NotYet, "there are no networks and volumes yet"),
    verb("context", NotYet, "name the daemon by -H or HULL_HOST"),
    verb(
        "manifest",
        NotYet,
        "a list of images can be pulled, not made",
    ),
    verb("checkpoint", NotYet, "a running container cannot be saved"),
    verb("plugin", Never, "the daemon runs no code but its own"),
    verb(
        "trust",
        Never,
        "its signing service has ended; pull by digest instead",
    ),
    verb("config", Never, SWARM),
    verb("node", Never, SWARM),
    verb("secret", Never, SWARM),
    verb("service", Never, SWARM),
    verb("stack", Never, SWARM),
    verb("swarm", Never, SWARM),
];
