//! The configuration file.

use std::path::Path;

use crate::harness::{Daemon, Run, hulld};

fn refused(dir: &Path, text: &str) -> Run {
    let file = dir.join("config.toml");
    std::fs::write(&file, text).unwrap();
    let output = hulld(dir).arg("--config").arg(&file).output();
    output.unwrap().into()
}

#[test]
fn a_file_that_says_what_is_not_known_is_refused_with_the_line() {
    let dir = tempfile::tempdir().unwrap();
    for (text, part) in [
        ("memory = \"1g\"", "unknown field `memory`"),
        ("\n[defaults]\nmemory = \"1q\"", "invalid size: '1q'"),
        ("[defaults]\ncpus = 99", "defaults.cpus of "),
        ("hosts = [\"tcp://\"]", "is not an address"),
    ] {
        let run = refused(dir.path(), text);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stderr.contains(part), "{run:?}");
        assert!(run.stderr.contains("config.toml"), "{run:?}");
    }
}

#[test]
fn a_files_settings_count() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text =
        "[registries]\ninsecure = [\"10.9.0.0/16\"]\nmirrors = [\"https://mirror.example/\"]\n";
    std::fs::write(file.path(), text).unwrap();
    let daemon = Daemon::start_with(&["--config", file.path().to_str().unwrap()]);
    let format = "{{json .RegistryConfig}}";
    let info = daemon.docker(&["info", "--format", format]).ok();
    assert!(info.contains("10.9.0.0/16"), "{info}");
    assert!(info.contains("https://mirror.example/"), "{info}");
}
