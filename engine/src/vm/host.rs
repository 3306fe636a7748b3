//! What this host can limit: asked when a container is made, so that what cannot be done is
//! refused then and not when it starts.

use std::fs;
use std::path::Path;

use super::cgroup;
use super::id_list::IdList;

/// What admission needs to know of the host.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostFacts {
    /// Its CPUs that are on.
    pub(crate) cpus: IdList,
    /// Its memory nodes.
    pub(crate) nodes: IdList,
    /// The control groups that VMs get have CPU sets.
    pub(crate) cpusets: bool,
    /// They have I/O limits.
    pub(crate) io_limits: bool,
    /// They have I/O weights.
    pub(crate) io_weights: bool,
}

impl HostFacts {
    /// `groups` is where VMs get their control groups; without, nothing is limited.
    pub(crate) fn read(groups: Option<&Path>) -> Self {
        let list = |path: &str, usual: &str| {
            let text = fs::read_to_string(path).unwrap_or_else(|_| usual.to_owned());
            text.parse().unwrap_or_default()
        };
        let offered = groups.and_then(|root| {
            let above = root.parent().unwrap_or(Path::new("/"));
            fs::read_to_string(above.join("cgroup.controllers")).ok()
        });
        let offered = offered.unwrap_or_default();
        let has = |name: &str| offered.split_ascii_whitespace().any(|c| c == name);
        Self {
            cpus: list("/sys/devices/system/cpu/online", "0"),
            // A host with one node may not tell of any.
            nodes: list("/sys/devices/system/node/online", "0"),
            cpusets: has("cpuset"),
            io_limits: has("io"),
            io_weights: groups.is_some_and(cgroup::has_io_weights),
        }
    }
}
