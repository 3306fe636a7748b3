//! How a container's network is shown. Until there are networks, it has a name and no address.

use std::collections::HashMap;

use bollard_stubs::models::{EndpointSettings, NetworkSettings};

use crate::api::networks;

/// Docker's name for the mode that a client may leave open.
pub(super) fn mode(given: &str) -> &str {
    match given {
        "" | "default" => "bridge",
        other => other,
    }
}

/// The one network a container is on.
pub(super) fn endpoints(mode: &str) -> HashMap<String, EndpointSettings> {
    let empty = || Some(String::new());
    let endpoint = EndpointSettings {
        mac_address: empty(),
        gw_priority: Some(0),
        network_id: Some(networks::id(mode).to_owned()),
        endpoint_id: empty(),
        gateway: empty(),
        ip_address: empty(),
        ip_prefix_len: Some(0),
        ipv6_gateway: empty(),
        global_ipv6_address: empty(),
        global_ipv6_prefix_len: Some(0),
        ..EndpointSettings::default()
    };
    HashMap::from([(mode.to_owned(), endpoint)])
}

/// The same with the older fields beside it, which templates read.
pub(super) fn settings(mode: &str) -> NetworkSettings {
    let empty = || Some(String::new());
    NetworkSettings {
        bridge: empty(),
        sandbox_id: empty(),
        hairpin_mode: Some(false),
        link_local_ipv6_address: empty(),
        link_local_ipv6_prefix_len: Some(0),
        ports: Some(HashMap::new()),
        sandbox_key: empty(),
        endpoint_id: empty(),
        gateway: empty(),
        global_ipv6_address: empty(),
        global_ipv6_prefix_len: Some(0),
        ip_address: empty(),
        ip_prefix_len: Some(0),
        ipv6_gateway: empty(),
        mac_address: empty(),
        networks: Some(endpoints(mode)),
        ..NetworkSettings::default()
    }
}
