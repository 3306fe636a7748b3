//! Published and exposed ports in one cell: `0.0.0.0:5000->5000/tcp, [::]:5000->5000/tcp`.
//!
//! Neighbouring ports of one address and protocol join into a range, in Docker's order.

use bollard::models::{Port, PortTypeEnum};

#[derive(Clone, PartialEq, Eq)]
struct Group {
    ip: Option<String>,
    kind: &'static str,
    first: u16,
    last: u16,
    /// The host's port for `first`; ranges are only made where both sides run in step.
    host: Option<u16>,
}

/// The cell's text.
pub(crate) fn cell(ports: &[Port]) -> String {
    let mut sorted: Vec<&Port> = ports.iter().collect();
    sorted.sort_by_key(|port| {
        (
            port.private_port,
            port.ip.clone(),
            port.public_port.unwrap_or(0),
            kind(port),
        )
    });
    let mut done: Vec<Group> = Vec::new();
    let mut mapped: Vec<Group> = Vec::new();
    for port in sorted {
        let one = Group {
            ip: port.ip.clone().filter(|ip| !ip.is_empty()),
            kind: kind(port),
            first: port.private_port,
            last: port.private_port,
            host: port.public_port.filter(|public| *public != 0),
        };
        // A host port of another number stands for itself; the rest may join a range.
        let list = if one.host.is_some_and(|host| host != one.first) {
            &mut mapped
        } else {
            &mut done
        };
        match list.iter_mut().rfind(|group| follows(group, &one)) {
            Some(group) => group.last = one.last,
            None => list.push(one),
        }
    }
    let words: Vec<String> = done.iter().chain(&mapped).map(word).collect();
    words.join(", ")
}

fn follows(group: &Group, next: &Group) -> bool {
    let in_step = match (group.host, next.host) {
        (None, None) => true,
        (Some(a), Some(b)) => a == group.first && b == next.first,
        _ => false,
    };
    in_step
        && group.ip == next.ip
        && group.kind == next.kind
        && group.last.checked_add(1) == Some(next.first)
}

fn word(group: &Group) -> String {
    let range = |first: u16| {
        let last = first.saturating_add(group.last - group.first);
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    let inside = format!("{}/{}", range(group.first), group.kind);
    let Some(host) = group.host else {
        return inside;
    };
    match &group.ip {
        Some(ip) if ip.contains(':') => format!("[{ip}]:{}->{inside}", range(host)),
        Some(ip) => format!("{ip}:{}->{inside}", range(host)),
        None => format!("{}->{inside}", range(host)),
    }
}

fn kind(port: &Port) -> &'static str {
    match port.typ {
        Some(PortTypeEnum::UDP) => "udp",
        Some(PortTypeEnum::SCTP) => "sctp",
        _ => "tcp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: Option<&str>, private: u16, public: Option<u16>) -> Port {
        Port {
            ip: ip.map(str::to_owned),
            private_port: private,
            public_port: public,
            typ: Some(PortTypeEnum::TCP),
        }
    }

    #[test]
    fn both_families_of_one_port_are_shown() {
        let ports = [
            port(Some("0.0.0.0"), 5000, Some(5003)),
            port(Some("::"), 5000, Some(5003)),
        ];
        assert_eq!(cell(&ports), "0.0.0.0:5003->5000/tcp, [::]:5003->5000/tcp");
    }

    #[test]
    fn neighbours_join_into_a_range() {
        let ports = [
            port(None, 81, None),
            port(None, 80, None),
            port(None, 90, None),
        ];
        assert_eq!(cell(&ports), "80-81/tcp, 90/tcp");
        let ports = [
            port(Some("0.0.0.0"), 80, Some(80)),
            port(Some("0.0.0.0"), 81, Some(81)),
        ];
        assert_eq!(cell(&ports), "0.0.0.0:80-81->80-81/tcp");
    }

    #[test]
    fn nothing_published_is_an_empty_cell() {
        assert_eq!(cell(&[]), "");
    }
}
