//! `LogConfig`: which driver a container's log has, and its options. Pure.
//!
//! `json-file` and `local` differ in what they are unless something is said: both write the same
//! files. `none` keeps nothing.

use std::fmt::Display;

use crate::api::LogConfig;
use crate::bytes::ByteSize;

/// Where output is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// In Docker's json-file format.
    JsonFile(Rotation),
    /// The same files; nobody is told where they are.
    Local(Rotation),
    /// Nowhere.
    Discard,
}

/// When a file is full, and how many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rotation {
    /// Bytes after which the next line begins a file; `None`: there is one file.
    pub(crate) size: Option<u64>,
    /// The one that is written, and those before it.
    pub(crate) files: u32,
    /// Those before it are compressed.
    pub(crate) compress: bool,
}

impl Rotation {
    /// Docker's, for the driver `json-file`.
    pub(crate) const JSON_FILE: Self = Self {
        size: None,
        files: 1,
        compress: false,
    };
    /// Docker's, for the driver `local`.
    const LOCAL: Self = Self {
        size: Some(20_000_000),
        files: 5,
        compress: true,
    };
}

/// Why a log cannot be kept so, in Docker's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogConfigError {
    /// No such driver.
    #[error("logger: no log driver named '{0}' is registered")]
    UnknownDriver(String),
    /// The driver has no such option.
    #[error("{}", unknown_option(.option, .driver))]
    UnknownOption {
        /// Which.
        option: String,
        /// Whose.
        driver: String,
    },
    /// Neither `blocking` nor `non-blocking`.
    #[error("logger: logging mode not supported: {0}")]
    Mode(String),
    /// A buffer where there is none.
    #[error("logger: max-buffer-size option is only supported with 'mode=non-blocking'")]
    BufferWithoutMode,
    /// Not a size.
    #[error("error parsing option max-buffer-size: {0}")]
    BufferSize(String),
    /// A value that the option cannot have.
    #[error("failed to initialize logging driver: {0}")]
    Value(String),
}

fn unknown_option(option: &str, driver: &str) -> String {
    match driver {
        "local" => format!("unknown log opt '{option}' for log driver local"),
        _ => format!("unknown log opt '{option}' for {driver} log driver"),
    }
}

impl LogConfig {
    /// Whether a log can be kept so.
    ///
    /// # Errors
    /// There is no such driver, or it has no such option, or not with this value.
    pub fn check(&self) -> Result<(), LogConfigError> {
        self.driver().map(|_| ())
    }

    /// This, above what a container gets that does not say.
    pub(crate) fn or(mut self, defaults: &Self) -> Self {
        let usual = match defaults.r#type.as_str() {
            "" => "json-file",
            named => named,
        };
        if self.r#type.is_empty() {
            usual.clone_into(&mut self.r#type);
        }
        // Another driver's options are not this one's.
        if self.r#type == usual {
            for (option, value) in &defaults.config {
                let entry = self.config.entry(option.clone());
                entry.or_insert_with(|| value.clone());
            }
        }
        self
    }

    pub(crate) fn driver(&self) -> Result<Driver, LogConfigError> {
        if self.r#type == "none" {
            return Ok(Driver::Discard);
        }
        self.check_mode()?;
        let (usual, known): (_, &[&str]) = match self.r#type.as_str() {
            "" | "json-file" => (
                Rotation::JSON_FILE,
                &["labels", "labels-regex", "env", "env-regex", "tag"],
            ),
            "local" => (Rotation::LOCAL, &[]),
            other => return Err(LogConfigError::UnknownDriver(other.to_owned())),
        };
        let of_files = ["max-size", "max-file", "compress"];
        let built_in = ["mode", "max-buffer-size"];
        let is_known = |option: &str| {
            of_files.contains(&option) || built_in.contains(&option) || known.contains(&option)
        };
        if let Some(option) = self.config.keys().find(|option| !is_known(option)) {
            return Err(LogConfigError::UnknownOption {
                option: option.clone(),
                driver: match self.r#type.as_str() {
                    "" => "json-file".to_owned(),
                    named => named.to_owned(),
                },
            });
        }
        let rotation = self.rotation(usual)?;
        Ok(match self.r#type.as_str() {
            "local" => Driver::Local(rotation),
            _ => Driver::JsonFile(rotation),
        })
    }

    /// A file on the same machine takes what is written: neither mode ever waits for it, and
    /// nothing is dropped, so the buffer is never used.
    fn check_mode(&self) -> Result<(), LogConfigError> {
        let mode = self.config.get("mode").map_or("", String::as_str);
        if !matches!(mode, "" | "blocking" | "non-blocking") {
            return Err(LogConfigError::Mode(mode.to_owned()));
        }
        let Some(size) = self.config.get("max-buffer-size") else {
            return Ok(());
        };
        if mode != "non-blocking" {
            return Err(LogConfigError::BufferWithoutMode);
        }
        match size.parse::<ByteSize>() {
            Ok(_) => Ok(()),
            Err(error) => Err(LogConfigError::BufferSize(error.to_string())),
        }
    }

    fn rotation(&self, usual: Rotation) -> Result<Rotation, LogConfigError> {
        let mut rotation = usual;
        let option = |name: &str| self.config.get(name).map(String::as_str);
        if let Some(size) = option("max-size") {
            let size = ByteSize::decimal(size).map_err(value)?;
            if size.0 == 0 {
                return Err(value("max-size must be a positive number"));
            }
            rotation.size = Some(size.0);
        }
        if let Some(files) = option("max-file") {
            let invalid = || format!("strconv.Atoi: parsing {files:?}: invalid syntax");
            let number: i64 = files.parse().map_err(|_| value(invalid()))?;
            let Some(number) = u32::try_from(number).ok().filter(|n| *n > 0) else {
                return Err(value("max-file cannot be less than 1"));
            };
            rotation.files = number;
        }
        if let Some(compress) = option("compress") {
            rotation.compress = match compress {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
                "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
                other => {
                    let why = format!("strconv.ParseBool: parsing {other:?}: invalid syntax");
                    return Err(value(why));
                }
            };
        }
        if rotation.compress && (rotation.files == 1 || rotation.size.is_none()) {
            return Err(value(
                "compress cannot be true when max-file is less than 2 or max-size is not set",
            ));
        }
        Ok(rotation)
    }
}

fn value(why: impl Display) -> LogConfigError {
    LogConfigError::Value(why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(driver: &str, options: &[(&str, &str)]) -> LogConfig {
        LogConfig {
            r#type: driver.to_owned(),
            config: options
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn sizes_are_decimal_and_the_rest_is_the_drivers() {
        let of = |driver, options: &[_]| config(driver, options).driver().unwrap();
        assert_eq!(of("", &[]), Driver::JsonFile(Rotation::JSON_FILE));
        assert_eq!(of("local", &[]), Driver::Local(Rotation::LOCAL));
        assert_eq!(of("none", &[("anything", "goes")]), Driver::Discard);
        let options = [("max-size", "10m"), ("max-file", "3"), ("compress", "true")];
        let rotation = Rotation {
            size: Some(10_000_000),
            files: 3,
            compress: true,
        };
        assert_eq!(of("json-file", &options), Driver::JsonFile(rotation));
        let buffer = [("mode", "non-blocking"), ("max-buffer-size", "4m")];
        assert_eq!(
            of("json-file", &buffer),
            Driver::JsonFile(Rotation::JSON_FILE)
        );
    }

    #[test]
    fn what_cannot_be_is_refused_in_dockers_words() {
        for (driver, option, message) in [
            (
                "bogus",
                ("a", "b"),
                "logger: no log driver named 'bogus' is registered",
            ),
            (
                "json-file",
                ("a", "b"),
                "unknown log opt 'a' for json-file log driver",
            ),
            (
                "",
                ("a", "b"),
                "unknown log opt 'a' for json-file log driver",
            ),
            (
                "local",
                ("labels", "b"),
                "unknown log opt 'labels' for log driver local",
            ),
            (
                "local",
                ("mode", "x"),
                "logger: logging mode not supported: x",
            ),
            (
                "json-file",
                ("max-buffer-size", "1m"),
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
            ),
            (
                "json-file",
                ("max-size", "0"),
                "failed to initialize logging driver: max-size must be a positive number",
            ),
            (
                "json-file",
                ("max-size", "x"),
                "failed to initialize logging driver: invalid size: 'x'",
            ),
            (
                "json-file",
                ("max-file", "0"),
                "failed to initialize logging driver: max-file cannot be less than 1",
            ),
            (
                "json-file",
                ("max-file", "x"),
                "failed to initialize logging driver: strconv.Atoi: parsing \"x\": invalid syntax",
            ),
            (
                "json-file",
                ("compress", "maybe"),
                "failed to initialize logging driver: strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
            (
                "json-file",
                ("compress", "true"),
                "failed to initialize logging driver: compress cannot be true when max-file is less than 2 or max-size is not set",
            ),
        ] {
            let error = config(driver, &[option]).check().unwrap_err();
            assert_eq!(error.to_string(), message, "{driver} {option:?}");
        }
    }

    #[test]
    fn options_of_the_default_driver_are_for_that_driver() {
        let defaults = config("local", &[("max-file", "9"), ("max-size", "1m")]);
        let own = config("", &[("max-size", "2m")]).or(&defaults);
        assert_eq!(
            own,
            config("local", &[("max-file", "9"), ("max-size", "2m")])
        );
        let other = config("json-file", &[]).or(&defaults);
        assert_eq!(other, config("json-file", &[]));
        let plain = config("", &[]).or(&LogConfig::default());
        assert_eq!(plain.r#type, "json-file");
    }
}
