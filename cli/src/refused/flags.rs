//! The flags that are refused.

use super::{Flag, Never, NotYet};

const CREATE: &[&str] = &["run", "create", "container run", "container create"];
const START: &[&str] = &["start", "container start"];
const TIMED: &[&str] = &[
    "run",
    "create",
    "update",
    "container run",
    "container create",
    "container update",
];
const TRUST: &[&str] = &[
    "run",
    "create",
    "pull",
    "push",
    "container run",
    "container create",
    "image pull",
    "image push",
];
const IMAGES: &[&str] = &["images", "image ls"];
const REMOVE: &[&str] = &["rmi", "image rm"];
const UNLINK: &[&str] = &["rm", "container rm"];
const GLOBAL: &[&str] = &[""];

const NETWORKS: &str = "containers have the default network or none";
const FILES: &str = "a container sees its image's files only";
const DEVICES: &str = "a container's machine has no devices of the host";
const WINDOWS: &str = "it is for containers of Windows";
const REAL_TIME: &str = "the guest's kernel schedules no groups in real time";
const CHECKPOINTS: &str = "a running container cannot be saved";
const SIGNED: &str = "its signing service has ended; pull by digest instead";
const OWN: &str = "a container has a machine, and every namespace, of its own";
const LOG: &str = "this client keeps no log";

/// With a value, and not there yet.
const fn later(verbs: &'static [&'static str], long: &'static str, reason: &'static str) -> Flag {
    Flag {
        verbs,
        long,
        short: None,
        takes_value: true,
        harmless: &[],
        standing: NotYet,
        reason,
    }
}

/// With a value, and without a meaning.
const fn never(verbs: &'static [&'static str], long: &'static str, reason: &'static str) -> Flag {
    Flag {
        standing: Never,
        ..later(verbs, long, reason)
    }
}

const fn short(short: char, flag: Flag) -> Flag {
    Flag {
        short: Some(short),
        ..flag
    }
}

const fn switch(flag: Flag) -> Flag {
    Flag {
        takes_value: false,
        ..flag
    }
}

const fn harmless(harmless: &'static [&'static str], flag: Flag) -> Flag {
    Flag { harmless, ..flag }
}

pub(crate) const FLAGS: &[Flag] = &[
    short('p', later(CREATE, "publish", NETWORKS)),
    short('P', switch(later(CREATE, "publish-all", NETWORKS))),
    later(CREATE, "link", NETWORKS),
    later(CREATE, "link-local-ip", NETWORKS),
    later(CREATE, "network-alias", NETWORKS),
    later(CREATE, "net-alias", NETWORKS),
    later(CREATE, "ip", NETWORKS),
    later(CREATE, "ip6", NETWORKS),
    later(CREATE, "mac-address", NETWORKS),
    short('v', later(CREATE, "volume", FILES)),
    later(CREATE, "volumes-from", FILES),
    later(CREATE, "volume-driver", FILES),
    switch(later(CREATE, "use-api-socket", FILES)),
    never(CREATE, "device", DEVICES),
    never(CREATE, "device-cgroup-rule", DEVICES),
    never(CREATE, "gpus", DEVICES),
    never(
        CREATE,
        "blkio-weight-device",
        "the host knows one weight for all that a machine reads and writes: use --blkio-weight",
    ),
    never(
        CREATE,
        "cgroup-parent",
        "the daemon keeps all machines in one group",
    ),
    harmless(&[""], never(CREATE, "pid", OWN)),
    harmless(&[""], never(CREATE, "uts", OWN)),
    never(TIMED, "cpu-rt-period", REAL_TIME),
    never(TIMED, "cpu-rt-runtime", REAL_TIME),
    never(CREATE, "cpu-count", WINDOWS),
    never(CREATE, "cpu-percent", WINDOWS),
    never(CREATE, "io-maxbandwidth", WINDOWS),
    never(CREATE, "io-maxiops", WINDOWS),
    harmless(&["default", ""], never(CREATE, "isolation", WINDOWS)),
    never(
        CREATE,
        "kernel-memory",
        "no kernel limits it any more: --memory counts it in",
    ),
    // True is what Docker has without being asked, and it checks nothing then.
    harmless(
        &["true"],
        switch(never(TRUST, "disable-content-trust", SIGNED)),
    ),
    short('l', switch(later(UNLINK, "link", NETWORKS))),
    later(START, "checkpoint", CHECKPOINTS),
    later(START, "checkpoint-dir", CHECKPOINTS),
    switch(later(IMAGES, "tree", "an image is of one platform here")),
    later(REMOVE, "platform", "an image is of one platform here"),
    later(GLOBAL, "config", "set DOCKER_CONFIG instead"),
    harmless(
        &["default"],
        short(
            'c',
            later(GLOBAL, "context", "name the daemon by -H or HULL_HOST"),
        ),
    ),
    short('D', switch(later(GLOBAL, "debug", LOG))),
    harmless(
        &["info", "warn", "error", "fatal"],
        short('l', later(GLOBAL, "log-level", LOG)),
    ),
    switch(never(
        GLOBAL,
        "tls",
        "a daemon that need not show who it is could be any: use --tlsverify",
    )),
];
