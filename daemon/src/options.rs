//! The command line of `hulld`.

use std::path::PathBuf;

use clap::Parser;
use hull_engine::api::{InsecureRegistry, Mirror};

use crate::listen::Host;
use crate::settings::{CPUS, MEMORY_MIB, SCRATCH_MIB};

/// Runs containers as microVMs and answers the Docker Engine API.
#[derive(Clone, Debug, Parser)]
#[command(name = "hulld", version, about)]
pub struct Options {
    /// Configuration file; flags are above it [default: /etc/hull/config.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where images and containers are kept [default: /var/lib/hull]
    #[arg(long, value_name = "DIR", env = "HULL_DATA_ROOT")]
    pub data_root: Option<PathBuf>,

    /// Where sockets and locks are kept [default: /run/hull]
    #[arg(long, value_name = "DIR", env = "HULL_RUN_DIR")]
    pub run_dir: Option<PathBuf>,

    /// Address to listen on, unix://PATH or, with --tlsverify, tcp://HOST:PORT; may be repeated
    /// [default: unix://RUN_DIR/hull.sock]
    #[arg(short = 'H', long = "host", value_name = "ADDRESS")]
    pub hosts: Vec<Host>,

    /// Group whose members may use unix:// sockets, by name or number [default: hull, if there is one]
    #[arg(short = 'G', long, value_name = "GROUP")]
    pub group: Option<String>,

    /// Serve tcp:// addresses, to clients that show a certificate of --tlscacert
    #[arg(long)]
    pub tlsverify: bool,

    /// Who signs the certificates of clients that may use the daemon
    #[arg(long, value_name = "FILE", requires = "tlsverify")]
    pub tlscacert: Option<PathBuf>,

    /// The daemon's certificate
    #[arg(long, value_name = "FILE", requires = "tlsverify")]
    pub tlscert: Option<PathBuf>,

    /// The daemon's key
    #[arg(long, value_name = "FILE", requires = "tlsverify")]
    pub tlskey: Option<PathBuf>,

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

    /// Where the output of containers is kept that do not say: json-file, local, none
    /// [default: json-file]
    #[arg(long, value_name = "DRIVER")]
    pub log_driver: Option<String>,

    /// Option of that log driver, such as max-size=10m; may be repeated
    #[arg(long = "log-opt", value_name = "NAME=VALUE", value_parser = log_option)]
    pub log_options: Vec<(String, String)>,

    /// How long a VM may take until its agent answers, and each request to it: more on a slow host
    #[arg(
        long,
        value_name = "SECONDS",
        env = "HULL_BOOT_DEADLINE",
        default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    pub boot_deadline: u64,

    /// The memory of a container that is made without --memory [default: 512]
    #[arg(
        long,
        value_name = "MIB",
        value_parser = clap::value_parser!(u64).range(MEMORY_MIB)
    )]
    pub default_memory: Option<u64>,

    /// The CPUs of a container that is made without --cpus [default: 1]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u8).range(i64::from(*CPUS.start())..=i64::from(*CPUS.end()))
    )]
    pub default_cpus: Option<u8>,

    /// The most that a container can write, for containers that have not been started yet
    /// [default: 10240]
    #[arg(
        long,
        value_name = "MIB",
        env = "HULL_SCRATCH_SIZE",
        value_parser = clap::value_parser!(u64).range(SCRATCH_MIB)
    )]
    pub scratch_size: Option<u64>,

    /// What to log: error, warn, info, debug, trace, or a tracing filter [default: info]
    #[arg(short = 'l', long, value_name = "LEVEL", env = "HULL_LOG")]
    pub log_level: Option<String>,
}

/// In dockerd's words where it is none.
fn log_option(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!("invalid logging option: {text}: it is NAME=VALUE")),
    }
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
        assert_eq!(parse(&[]).unwrap(), (60, None));
        let given = parse(&["--boot-deadline", "300", "--scratch-size", "64"]);
        assert_eq!(given.unwrap(), (300, Some(64)));
        for bad in [
            ["--boot-deadline", "0"],
            ["--boot-deadline", "1h"],
            ["--scratch-size", "16"],
            ["--scratch-size", "99999999999"],
            ["--default-memory", "64"],
            ["--default-cpus", "0"],
            ["--default-cpus", "33"],
            ["--tlskey", "/needs/tlsverify"],
            ["--log-opt", "max-size"],
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
        let error = parse(&["-H", "/run/x"]).unwrap_err().to_string();
        assert!(error.contains("use unix:///an/absolute/path"), "{error}");
    }
}
