//! Networks, as far as there are any: the two that every container can ask for by name.

use std::collections::{BTreeMap, HashMap};

use bollard_stubs::models::{Ipam, Network, NetworkPruneResponse};
use hyper::Method;

use super::App;
use crate::http::route::Router;
use crate::http::{ApiError, Reply, Request};

/// Name, driver and id of each. Ids are made up once and never change.
const NETWORKS: [(&str, &str, &str); 2] = [
    (
        "bridge",
        "bridge",
        "62726964676500000000000000000000000000000000000000000000000000b1",
    ),
    (
        "none",
        "null",
        "6e6f6e65000000000000000000000000000000000000000000000000000000b2",
    ),
];

pub(super) fn routes(router: &mut Router<App>) {
    router.add(Method::GET, "/networks", async |_, request| list(&request));
    router.add(Method::POST, "/networks/prune", async |_, _| {
        Reply::json(&NetworkPruneResponse {
            networks_deleted: Some(Vec::new()),
        })
    });
    router.add(Method::GET, "/networks/{id}", async |_, request| {
        inspect(&request)
    });
}

/// The id of the network a container is on; empty for one that does not exist.
pub(super) fn id(name: &str) -> &'static str {
    NETWORKS.iter().find(|n| n.0 == name).map_or("", |n| n.2)
}

/// The network whose id begins so.
pub(super) fn name(id: &str) -> Option<&'static str> {
    let is = |network: &&(&str, &str, &'static str)| !id.is_empty() && network.2.starts_with(id);
    NETWORKS.iter().find(is).map(|n| n.0)
}

fn list(request: &Request) -> Result<Reply, ApiError> {
    let filters = request.filters()?.into_map();
    let passing = NETWORKS
        .into_iter()
        .map(|n| passes(&filters, n).map(|yes| yes.then(|| model(n))));
    let passing: Vec<_> = passing
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .collect();
    Reply::json(&passing)
}

fn inspect(request: &Request) -> Result<Reply, ApiError> {
    let wanted = request.id();
    let found = NETWORKS
        .into_iter()
        .find(|n| n.0 == wanted || n.2.starts_with(wanted));
    match found {
        Some(network) => Reply::json(&model(network)),
        None => Err(ApiError::not_found(format!("network {wanted} not found"))),
    }
}

fn passes(
    filters: &BTreeMap<String, Vec<String>>,
    (name, driver, id): (&str, &str, &str),
) -> Result<bool, ApiError> {
    for (key, values) in filters {
        let any = |holds: &dyn Fn(&str) -> bool| values.iter().any(|v| holds(v));
        let passed = match key.as_str() {
            "name" => any(&|v| name.contains(v)),
            "id" => any(&|v| id.starts_with(v)),
            "driver" => any(&|v| driver == v),
            "type" => any(&|v| v == "builtin"),
            "scope" => any(&|v| v == "local"),
            // None of them has labels, and none is left over.
            "label" | "dangling" => false,
            _ => return Err(ApiError::bad_request(format!("invalid filter '{key}'"))),
        };
        if !passed {
            return Ok(false);
        }
    }
    Ok(true)
}

fn model((name, driver, id): (&str, &str, &str)) -> Network {
    Network {
        name: Some(name.to_owned()),
        id: Some(id.to_owned()),
        created: Some("1970-01-01T00:00:00Z".to_owned()),
        scope: Some("local".to_owned()),
        driver: Some(driver.to_owned()),
        enable_ipv4: Some(true),
        enable_ipv6: Some(false),
        ipam: Some(Ipam {
            driver: Some("default".to_owned()),
            config: Some(Vec::new()),
            options: None,
        }),
        internal: Some(false),
        attachable: Some(false),
        ingress: Some(false),
        config_only: Some(false),
        containers: Some(HashMap::new()),
        options: Some(HashMap::new()),
        labels: Some(HashMap::new()),
        ..Network::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ids() {
        for (_, _, id) in NETWORKS {
            assert!(
                id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()),
                "{id}"
            );
        }
    }

    #[test]
    fn every_filter_must_hold() {
        let check = |key: &str, values: &[&str]| {
            let filters = BTreeMap::from([(
                key.to_owned(),
                values.iter().map(|v| (*v).to_owned()).collect(),
            )]);
            passes(&filters, NETWORKS[0]).map_err(|e| e.message)
        };
        assert_eq!(check("name", &["x", "bri"]), Ok(true));
        assert_eq!(check("name", &["none"]), Ok(false));
        assert_eq!(check("label", &["a"]), Ok(false));
        assert_eq!(check("bogus", &["a"]), Err("invalid filter 'bogus'".into()));
    }
}
