//! The command line of `hulld`.

use std::path::PathBuf;

use clap::Parser;
use hull_engine::api::{InsecureRegistry, Mirror};

use crate::listen::Host;

/// Runs containers as microVMs and answers the Docker Engine API.
#[derive(Clone, Debug, Parser)]
#[command(name = "hulld", version, about)]
pub struct Options {
    /// Where images and containers are kept
    #[arg(
        long,
        value_name = "DIR",
        env = "HULL_DATA_ROOT",
        default_value = "/var/lib/hull"
    )]
    pub data_root: PathBuf,

    /// Where sockets and locks are kept
    #[arg(
        long,
        value_name = "DIR",
        env = "HULL_RUN_DIR",
        default_value = "/run/hull"
    )]
    pub run_dir: PathBuf,

    /// Address to listen on; may be repeated [default: unix://RUN_DIR/hull.sock]
    #[arg(short = 'H', long = "host", value_name = "unix://PATH")]
    pub hosts: Vec<Host>,

    /// Where hull-vmm is [default: where hulld is]
    #[arg(long, value_name = "DIR", env = "HULL_BIN")]
    pub bin_dir: Option<PathBuf>,

    /// Where the guest's kernel and initramfs are [default: ../lib from hulld]
    #[arg(long, value_name = "DIR", env = "HULL_LIB")]
    pub lib_dir: Option<PathBuf>,

    /// Registry that may be asked without TLS or with any certificate: HOST[:PORT] or a network;
    /// may be repeated
    #[arg(long, value_name = "REGISTRY")]
    pub insecure_registry: Vec<InsecureRegistry>,

    /// Registry to ask before Docker Hub; may be repeated
    #[arg(long, value_name = "URL")]
    pub registry_mirror: Vec<Mirror>,

    /// Folder of certificates for registries, DIR/HOST[:PORT]/*.crt; may be repeated
    /// [default: /etc/hull/certs.d /etc/docker/certs.d]
    #[arg(long, value_name = "DIR")]
    pub registry_certs: Vec<PathBuf>,

    /// How long a VM may take until its agent answers, and each request to it: more on a slow host
    #[arg(
        long,
        value_name = "SECONDS",
        env = "HULL_BOOT_DEADLINE",
        default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    pub boot_deadline: u64,

    /// The most that a container can write, for containers that have not been started yet
    #[arg(
        long,
        value_name = "MIB",
        env = "HULL_SCRATCH_SIZE",
        default_value_t = 10 << 10,
        value_parser = clap::value_parser!(u64).range(32..=16 << 20)
    )]
    pub scratch_size: u64,

    /// What to log: error, warn, info, debug, trace, or a tracing filter
    #[arg(
        short = 'l',
        long,
        value_name = "LEVEL",
        env = "HULL_LOG",
        default_value = "info"
    )]
    pub log_level: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_taken_within_reason() {
        let parse = |args: &[&str]| {
            let options = Options::try_parse_from([&["hulld"], args].concat())?;
            Ok::<_, clap::Error>((options.boot_deadline, options.scratch_size))
        };
        assert_eq!(parse(&[]).unwrap(), (60, 10 << 10));
        let given = parse(&["--boot-deadline", "300", "--scratch-size", "64"]);
        assert_eq!(given.unwrap(), (300, 64));
        for bad in [
            ["--boot-deadline", "0"],
            ["--boot-deadline", "1h"],
            ["--scratch-size", "16"],
            ["--scratch-size", "99999999999"],
        ] {
            assert!(parse(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hosts_may_be_repeated() {
        let parse = |args: &[&str]| {
            Options::try_parse_from([&["hulld"], args].concat()).map(|o| o.hosts.len())
        };
        assert_eq!(
            parse(&["-H", "unix:///a", "--host", "unix:///b"]).unwrap(),
            2
        );
        let error = parse(&["-H", "tcp://:2375"]).unwrap_err().to_string();
        assert!(
            error.contains("tcp:// needs TLS, which is not supported by Hull yet"),
            "{error}"
        );
    }
}
