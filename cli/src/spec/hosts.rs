//! `--add-host`: `name:ip` or `name=ip`; `host-gateway` stands for this host.

use std::net::IpAddr;

const GATEWAY: &str = "host-gateway";

/// The line for the container's hosts file, always with a colon.
pub(super) fn parse(text: &str) -> Result<String, String> {
    let split = text.split_once('=').or_else(|| text.split_once(':'));
    let (name, address) = match split {
        Some((name, address)) if !name.is_empty() => (name, address),
        _ => return Err(format!("bad format for add-host: \"{text}\"")),
    };
    if address == GATEWAY {
        return Ok(format!("{name}:{address}"));
    }
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(address);
    match bare.parse::<IpAddr>() {
        Ok(ip) => Ok(format!("{name}:{ip}")),
        Err(_) => Err(format!("invalid IP address in add-host: \"{address}\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_name_and_an_address() {
        for (text, expected) in [
            ("db:10.0.0.1", Ok("db:10.0.0.1")),
            ("db=10.0.0.1", Ok("db:10.0.0.1")),
            ("db:[::1]", Ok("db:::1")),
            ("db=::1", Ok("db:::1")),
            ("me:host-gateway", Ok("me:host-gateway")),
            ("foo", Err("bad format for add-host: \"foo\"")),
            (":1.2.3.4", Err("bad format for add-host: \":1.2.3.4\"")),
            ("db:x", Err("invalid IP address in add-host: \"x\"")),
        ] {
            assert_eq!(
                parse(text),
                expected.map(str::to_owned).map_err(str::to_owned),
                "{text}"
            );
        }
    }
}
