//! How a container's network is shown. Until there are networks, it has a name and no address.

use std::collections::HashMap;

use bollard_stubs::models::{EndpointSettings, NetworkSettings, Port, PortTypeEnum};
use hull_engine::api::ContainerState;

use crate::api::networks;

/// Docker's name for the mode that a client may leave open.
pub(super) fn mode(given: &str) -> &str {
    match given {
        "" | "default" => "bridge",
        other => other,
    }
}

/// A container's network, as far as it shows.
pub(super) struct Network<'a> {
    /// See [`mode`].
    pub(super) mode: &'a str,
    pub(super) state: &'a ContainerState,
    /// Ports that it and its image expose.
    pub(super) exposed: Vec<&'a str>,
}

impl Network<'_> {
    /// Ports count from the start to the end of a run, and for others on its network.
    fn ports(&self) -> impl Iterator<Item = &str> {
        let counted = self.state.is_running() && self.mode != "none";
        self.exposed.iter().filter(move |_| counted).copied()
    }

    /// The same as a list shows them.
    pub(super) fn summary(&self) -> Vec<Port> {
        let port = |text: &str| {
            let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
            Some(Port {
                private_port: number.parse().ok()?,
                typ: match protocol {
                    "tcp" => Some(PortTypeEnum::TCP),
                    "udp" => Some(PortTypeEnum::UDP),
                    "sctp" => Some(PortTypeEnum::SCTP),
                    _ => return None,
                },
                ..Port::default()
            })
        };
        self.ports().filter_map(port).collect()
    }
}

/// The one network a container is on. It has been on none before its first start.
pub(super) fn endpoints(network: &Network<'_>) -> HashMap<String, EndpointSettings> {
    let empty = || Some(String::new());
    let mode = network.mode;
    let id = match network.state.started_at {
        Some(_) => networks::id(mode),
        None => "",
    };
    let endpoint = EndpointSettings {
        mac_address: empty(),
        gw_priority: Some(0),
        network_id: Some(id.to_owned()),
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
pub(super) fn settings(network: &Network<'_>) -> NetworkSettings {
    let empty = || Some(String::new());
    NetworkSettings {
        bridge: empty(),
        sandbox_id: empty(),
        hairpin_mode: Some(false),
        link_local_ipv6_address: empty(),
        link_local_ipv6_prefix_len: Some(0),
        ports: Some(
            network
                .ports()
                .map(|port| (port.to_owned(), None))
                .collect(),
        ),
        sandbox_key: empty(),
        endpoint_id: empty(),
        gateway: empty(),
        global_ipv6_address: empty(),
        global_ipv6_prefix_len: Some(0),
        ip_address: empty(),
        ip_prefix_len: Some(0),
        ipv6_gateway: empty(),
        mac_address: empty(),
        networks: Some(endpoints(network)),
        ..NetworkSettings::default()
    }
}
