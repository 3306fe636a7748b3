//! One request to one hook. Blocks.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::Hook;

/// What the environment names; this machine is asked directly.
fn proxy(url: &str) -> Option<ureq::Proxy> {
    let uri: Option<ureq::http::Uri> = url.parse().ok();
    let host = uri
        .as_ref()
        .and_then(ureq::http::Uri::host)
        .unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    match host == "localhost" || address.is_ok_and(|address| address.is_loopback()) {
        true => None,
        false => ureq::Proxy::try_from_env(),
    }
}

/// Posts a document; anything but success is an error.
pub(super) fn post(hook: &Hook, media_type: &str, body: &str) -> Result<(), String> {
    let config = ureq::Agent::config_builder()
        .proxy(proxy(&hook.url))
        .timeout_global(Some(hook.timeout.max(Duration::from_millis(1))))
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(concat!("hull-registry/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent = ureq::Agent::new_with_config(config);
    let mut request = agent.post(&hook.url).content_type(media_type);
    for (name, value) in &hook.headers {
        request = request.header(name, value);
    }
    let response = request.send(body).map_err(|error| error.to_string())?;
    match response.status().is_success() {
        true => Ok(()),
        false => Err(format!("it answered {}", response.status())),
    }
}
