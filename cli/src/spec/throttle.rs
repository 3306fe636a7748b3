//! `DEVICE:RATE`: how fast a device of the host may be read or written.

use bollard::models::ThrottleDevice;

use super::units;

/// A rate in bytes, with Docker's suffixes.
pub(super) fn bytes(text: &str) -> Result<ThrottleDevice, String> {
    parse(text, |rate| {
        units::bytes(rate).ok().filter(|rate| *rate >= 0)
    })
    .ok_or_else(|| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        )
    })
}

/// A rate in operations.
pub(super) fn count(text: &str) -> Result<ThrottleDevice, String> {
    parse(text, |rate| rate.parse().ok().filter(|rate| *rate >= 0)).ok_or_else(|| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a positive integer"
        )
    })
}

fn parse(text: &str, rate: impl Fn(&str) -> Option<i64>) -> Option<ThrottleDevice> {
    let (path, number) = text.split_once(':')?;
    let device = ThrottleDevice {
        path: Some(path.to_owned()),
        rate: Some(rate(number)?),
    };
    path.starts_with("/dev/").then_some(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_a_device_and_positive() {
        let shown = |parsed: Result<ThrottleDevice, String>| {
            parsed.map(|d| (d.path.expect("a path"), d.rate.expect("a rate")))
        };
        let sda = |rate| Ok(("/dev/sda".to_owned(), rate));
        assert_eq!(shown(bytes("/dev/sda:1mb")), sda(1 << 20));
        assert_eq!(shown(count("/dev/sda:100")), sda(100));
        for bad in ["/dev/sda", "sda:1", "/dev/sda:-1", "/dev/sda:x", ":1"] {
            assert!(bytes(bad).is_err() && count(bad).is_err(), "{bad}");
        }
        assert!(count("/dev/sda:1mb").is_err());
    }
}
