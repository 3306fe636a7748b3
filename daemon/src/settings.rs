//! What a daemon is set to: flags over the configuration file over what is usual. Resolved once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hull_engine::api::{InsecureRegistry, LogConfig, Mirror};
use hull_engine::{ByteSize, LogConfigError};

use crate::Options;
use crate::config::{self, Config, ConfigError};
use crate::listen::Host;
use crate::tls;

const DATA_ROOT: &str = "/var/lib/hull";
const RUN_DIR: &str = "/run/hull";
const LOG_LEVEL: &str = "info";
const MIB: u64 = 1 << 20;
/// What `--default-memory` takes, in MiB: a guest's kernel and agent need most of the least.
pub(crate) const MEMORY_MIB: std::ops::RangeInclusive<u64> = 128..=1 << 20;
/// What `--default-cpus` takes.
pub(crate) const CPUS: std::ops::RangeInclusive<u8> = 1..=32;
/// What `--scratch-size` takes, in MiB.
pub(crate) const SCRATCH_MIB: std::ops::RangeInclusive<u64> = 32..=16 << 20;

/// Why a daemon cannot be set so.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A value of the file's that its flag would not take.
    #[error("{key} of {path} is out of range: from {least} to {most}", path = path.display())]
    Range {
        /// In which file.
        path: PathBuf,
        /// Which.
        key: &'static str,
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// A log that cannot be kept so.
    #[error("failed to set log opts: {0}")]
    Log(#[from] LogConfigError),
    /// TLS with a part missing.
    #[error("--tlsverify needs {0}, or its place in the configuration's [tls]")]
    Tls(&'static str),
}

/// All that is set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What to log.
    pub log_level: String,
    pub(crate) data_root: PathBuf,
    pub(crate) run_dir: PathBuf,
    pub(crate) hosts: Vec<Host>,
    pub(crate) group: Option<String>,
    pub(crate) tls: Option<tls::Files>,
    pub(crate) bin_dir: Option<PathBuf>,
    pub(crate) lib_dir: Option<PathBuf>,
    pub(crate) insecure: Vec<InsecureRegistry>,
    pub(crate) mirrors: Vec<Mirror>,
    pub(crate) certificates: Vec<PathBuf>,
    pub(crate) log: LogConfig,
    pub(crate) boot_deadline: Duration,
    pub(crate) memory_mib: Option<u32>,
    pub(crate) vcpus: Option<u8>,
    pub(crate) scratch_mib: Option<u64>,
}

impl Settings {
    /// Reads the file and puts the flags above it.
    ///
    /// # Errors
    /// The file cannot be read, or says what cannot be.
    pub fn load(options: Options) -> Result<Self, SettingsError> {
        let config = Config::load(options.config.as_deref())?;
        Self::resolve(options, config)
    }

    fn resolve(options: Options, config: Config) -> Result<Self, SettingsError> {
        let path = options
            .config
            .clone()
            .unwrap_or_else(|| config::PATH.into());
        let within =
            |key, value: u64, range: std::ops::RangeInclusive<u64>| match range.contains(&value) {
                true => Ok(value),
                false => Err(SettingsError::Range {
                    path: path.clone(),
                    key,
                    least: *range.start(),
                    most: *range.end(),
                }),
            };
        let mib = |key, size: Option<ByteSize>, range| {
            size.map(|size| within(key, size.0 / MIB, range))
                .transpose()
        };
        let memory = mib("defaults.memory (MiB)", config.defaults.memory, MEMORY_MIB)?;
        let scratch = mib(
            "defaults.scratch (MiB)",
            config.defaults.scratch,
            SCRATCH_MIB,
        )?;
        if let Some(cpus) = config.defaults.cpus {
            let range = u64::from(*CPUS.start())..=u64::from(*CPUS.end());
            within("defaults.cpus", u64::from(cpus), range)?;
        }
        let log = log(&options, config.log)?;
        let tls = tls_files(&options, config.tls)?;
        let memory = options.default_memory.or(memory);
        Ok(Self {
            log_level: options
                .log_level
                .or(config.log_level)
                .unwrap_or_else(|| LOG_LEVEL.to_owned()),
            data_root: options
                .data_root
                .or(config.data_root)
                .unwrap_or_else(|| DATA_ROOT.into()),
            run_dir: options
                .run_dir
                .or(config.run_dir)
                .unwrap_or_else(|| RUN_DIR.into()),
            hosts: over(options.hosts, config.hosts),
            group: options.group.or(config.group),
            tls,
            bin_dir: options.bin_dir,
            lib_dir: options.lib_dir,
            insecure: over(options.insecure_registry, config.registries.insecure),
            mirrors: over(options.registry_mirror, config.registries.mirrors),
            certificates: over(options.registry_certs, config.registries.certificates),
            log,
            boot_deadline: Duration::from_secs(options.boot_deadline),
            memory_mib: memory.and_then(|mib| u32::try_from(mib).ok()),
            vcpus: options.default_cpus.or(config.defaults.cpus),
            scratch_mib: options.scratch_size.or(scratch),
        })
    }
}

/// Flags that may be repeated take the place of the file's list; they do not add to it.
fn over<T>(flags: Vec<T>, file: Vec<T>) -> Vec<T> {
    if flags.is_empty() { file } else { flags }
}

/// The options of the file are for the driver of the file.
fn log(options: &Options, file: config::Log) -> Result<LogConfig, LogConfigError> {
    let usual = || "json-file".to_owned();
    let of_file = file.driver.unwrap_or_else(usual);
    let driver = options.log_driver.clone().unwrap_or(of_file.clone());
    let kept = if driver == of_file {
        file.options
    } else {
        BTreeMap::new()
    };
    let given = options.log_options.iter().cloned();
    let log = LogConfig {
        r#type: driver,
        config: kept.into_iter().chain(given).collect(),
    };
    log.check()?;
    Ok(log)
}

/// All three of them, or none.
fn tls_files(options: &Options, file: config::Tls) -> Result<Option<tls::Files>, SettingsError> {
    let wanted = options.tlsverify || file != config::Tls::default();
    if !wanted {
        return Ok(None);
    }
    let of = |flag: &Option<PathBuf>, file: Option<PathBuf>, name| {
        let path = flag.clone().or(file);
        path.ok_or(SettingsError::Tls(name))
    };
    Ok(Some(tls::Files {
        authority: of(&options.tlscacert, file.authority, "--tlscacert")?,
        certificate: of(&options.tlscert, file.certificate, "--tlscert")?,
        key: of(&options.tlskey, file.key, "--tlskey")?,
    }))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn settings(args: &[&str], file: &str) -> Result<Settings, String> {
        let options = Options::try_parse_from([&["hulld"], args].concat()).unwrap();
        Settings::resolve(options, toml::from_str(file).unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn flags_are_above_the_file_and_the_file_above_what_is_usual() {
        let usual = settings(&[], "").unwrap();
        assert_eq!(usual.data_root, PathBuf::from(DATA_ROOT));
        assert_eq!(
            (usual.memory_mib, usual.vcpus, usual.scratch_mib),
            (None, None, None)
        );
        let file = "data_root = \"/d\"\nlog_level = \"warn\"\nhosts = [\"unix:///f\"]\n\
                    [defaults]\nmemory = \"1g\"\ncpus = 2\nscratch = \"20g\"";
        let read = settings(&[], file).unwrap();
        assert_eq!(
            (read.memory_mib, read.vcpus, read.scratch_mib),
            (Some(1024), Some(2), Some(20 << 10))
        );
        assert_eq!(
            (read.log_level.as_str(), read.hosts[0].to_string()),
            ("warn", "unix:///f".into())
        );
        let args = [
            "--data-root",
            "/e",
            "-H",
            "unix:///g",
            "--default-memory",
            "256",
            "--default-cpus",
            "3",
            "--scratch-size",
            "64",
            "-l",
            "debug",
        ];
        let flags = settings(&args, file).unwrap();
        assert_eq!(flags.data_root, PathBuf::from("/e"));
        assert_eq!(
            (flags.memory_mib, flags.vcpus, flags.scratch_mib),
            (Some(256), Some(3), Some(64))
        );
        let hosts: Vec<_> = flags.hosts.iter().map(ToString::to_string).collect();
        assert_eq!(hosts, ["unix:///g"]);
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        for (file, key) in [
            ("[defaults]\nmemory = \"1m\"", "defaults.memory (MiB)"),
            ("[defaults]\ncpus = 0", "defaults.cpus"),
            ("[defaults]\nscratch = \"1m\"", "defaults.scratch (MiB)"),
        ] {
            let error = settings(&[], file).unwrap_err();
            let start = format!("{key} of {} is out of range: ", config::PATH);
            assert!(error.starts_with(&start), "{error}");
        }
    }

    #[test]
    fn the_log_of_the_file_is_overridden_option_by_option() {
        let log = |args: &[&str], file: &str| {
            let log = settings(args, file)?.log;
            let options = log.config.into_iter().map(|(k, v)| format!("{k}={v}"));
            Ok::<_, String>((log.r#type, options.collect::<Vec<_>>().join(" ")))
        };
        let is = |driver: &str, options: &str| Ok((driver.to_owned(), options.to_owned()));
        let file = "[log]\ndriver = \"local\"\noptions = { max-size = \"1m\", max-file = \"4\" }";
        assert_eq!(log(&[], ""), is("json-file", ""));
        assert_eq!(log(&[], file), is("local", "max-file=4 max-size=1m"));
        let one = ["--log-opt", "max-size=2m"];
        assert_eq!(log(&one, file), is("local", "max-file=4 max-size=2m"));
        assert_eq!(log(&["--log-driver", "none"], file), is("none", ""));
        let bad = ["--log-opt", "x=y"];
        let error = "failed to set log opts: unknown log opt 'x' for json-file log driver";
        assert_eq!(log(&bad, ""), Err(error.to_owned()));
    }

    #[test]
    fn tls_is_whole_or_not_at_all() {
        assert_eq!(settings(&[], "").unwrap().tls, None);
        let error = settings(&["--tlsverify", "--tlscacert", "/ca"], "").unwrap_err();
        assert!(error.contains("--tlscert"), "{error}");
        let file = "[tls]\nauthority = \"/ca\"\ncertificate = \"/cert\"\nkey = \"/key\"";
        let both = settings(&["--tlsverify", "--tlskey", "/other"], file).unwrap();
        let files = tls::Files {
            authority: "/ca".into(),
            certificate: "/cert".into(),
            key: "/other".into(),
        };
        assert_eq!(both.tls, Some(files));
    }
}
