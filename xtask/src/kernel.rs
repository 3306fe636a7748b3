//! `kernel`: the guest kernel, from a cache that is keyed by the hash of its inputs.
//!
//! A build takes minutes, so its result lives outside the checkout and is made
//! again only when something it depends on changes: the source tarball, the
//! fragment, the build script or the compiler. Comments in the first two do not
//! count. The built configuration is checked against `required.txt` each time,
//! whether it came from the cache or not.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Instant, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

use crate::arguments::Arguments;
use crate::layout::Layout;
use crate::pack;
use crate::process::{command, filter, read, run as run_command};

const SOURCE: &str = "/usr/src/linux-source-6.12.tar.xz";
/// How the image is packed; a change of the packing that changes its result changes this.
const PACKING: &str = "2";

/// A built kernel in the cache.
pub(crate) struct Kernel {
    folder: PathBuf,
}

impl Kernel {
    pub(crate) fn image(&self) -> PathBuf {
        self.folder.join("vmlinux")
    }

    /// Addresses of the stripped image's symbols.
    pub(crate) fn symbols(&self) -> PathBuf {
        self.folder.join("System.map")
    }

    /// What was noted when it was built: `seconds`, `processors`, `compiler`, `sha256`.
    pub(crate) fn record(&self) -> Result<HashMap<String, String>> {
        let text = fs::read_to_string(self.folder.join("record"))
            .context("read the kernel's build record")?;
        Ok(text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect())
    }
}

pub(crate) fn run(layout: &Layout, arguments: Arguments) -> Result<()> {
    arguments.finish()?;
    let kernel = ensure_built(layout)?;
    let size = fs::metadata(kernel.image())?.len();
    println!(
        "kernel: {} ({} KiB, sha256 {})",
        kernel.image().display(),
        size / 1024,
        kernel.record()?["sha256"]
    );
    Ok(())
}

/// Takes the kernel from the cache, or builds it.
pub(crate) fn ensure_built(layout: &Layout) -> Result<Kernel> {
    let cache = layout.cache().join("kernel");
    fs::create_dir_all(&cache).with_context(|| format!("make {}", cache.display()))?;
    let inputs = Inputs::gather(layout, &cache)?;
    let kernel = Kernel {
        folder: cache.join(inputs.hash()?),
    };

    // Two builds at once would only slow each other down: the second one waits, then finds it.
    let lock = File::create(cache.join("lock")).context("open the kernel cache's lock")?;
    lock.lock().context("lock the kernel cache")?;
    if !kernel.image().exists() {
        build(layout, &inputs, &kernel.folder)?;
    }
    let config =
        fs::read_to_string(kernel.folder.join("config")).context("read the built configuration")?;
    let required =
        fs::read_to_string(layout.kernel_config("required.txt")).context("read required.txt")?;
    let broken = unmet(&required, &config);
    ensure!(
        broken.is_empty(),
        "the built kernel breaks kernel-config/required.txt:\n  {}",
        broken.join("\n  ")
    );
    Ok(kernel)
}

/// Everything that the result is a function of.
struct Inputs {
    tarball: String,
    fragment: String,
    script: String,
    compiler: String,
}

impl Inputs {
    fn gather(layout: &Layout, cache: &Path) -> Result<Self> {
        let text = |file: &str| {
            let path = layout.kernel_config(file);
            fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        Ok(Self {
            tarball: tarball_digest(Path::new(SOURCE), cache)?,
            fragment: without_comments(&text("x86_64.config")?),
            script: without_comments(&text("build.sh")?),
            compiler: compiler()?,
        })
    }

    /// Lengths before contents, so that no two sets of inputs read the same.
    fn material(&self) -> String {
        [
            ("tarball", self.tarball.as_str()),
            ("fragment", &self.fragment),
            ("script", &self.script),
            ("compiler", &self.compiler),
            ("packing", PACKING),
        ]
        .map(|(name, value)| format!("{name} {}\n{value}\n", value.len()))
        .concat()
    }

    fn hash(&self) -> Result<String> {
        let digest = sha256(&mut command("sha256sum", ["-"]), self.material().as_bytes())?;
        Ok(digest[..32].to_owned())
    }
}

fn build(layout: &Layout, inputs: &Inputs, folder: &Path) -> Result<()> {
    println!("kernel: building from {SOURCE}; this takes some minutes, once");
    let started = Instant::now();
    let work = folder.with_extension("work");
    let aside = folder.with_extension("new");
    // The lock is held, so what another build left was left by one that was killed.
    for leftover in unfinished(folder.parent().context("the cache has no folder")?)? {
        remove(&leftover)?;
    }
    run_command(
        command("bash", [layout.kernel_config("build.sh")])
            .arg(SOURCE)
            .args([&work, &aside]),
    )
    .context("build the guest kernel")?;

    let image = aside.join("vmlinux");
    let packed = pack::pack(&fs::read(&image).context("read the built kernel")?)?;
    fs::write(&image, packed).context("write the packed kernel")?;
    let digest = read(command("sha256sum", ["--"]).arg(&image))?;
    let record = format!(
        "seconds={}\nprocessors={}\ncompiler={}\nsha256={}\n",
        started.elapsed().as_secs(),
        std::thread::available_parallelism().map_or(1, usize::from),
        inputs.compiler.lines().next().unwrap_or_default(),
        digest.split(' ').next().unwrap_or_default(),
    );
    fs::write(aside.join("record"), record).context("write the build record")?;
    remove(folder)?;
    fs::rename(&aside, folder)
        .with_context(|| format!("move the kernel to {}", folder.display()))?;
    remove(&work)
}

/// The folders in the cache of builds that did not end.
fn unfinished(cache: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(cache).with_context(|| format!("list {}", cache.display()))?;
    let paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    let is_unfinished = |path: &PathBuf| {
        path.extension()
            .is_some_and(|end| end == "work" || end == "new")
    };
    Ok(paths.into_iter().filter(is_unfinished).collect())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// The tarball's sha256, remembered for as long as its size and time stay the same.
fn tarball_digest(tarball: &Path, cache: &Path) -> Result<String> {
    let meta = fs::metadata(tarball)
        .with_context(|| format!("find {}; run: cargo xtask bootstrap", tarball.display()))?;
    let modified = meta
        .modified()?
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let key = format!(
        "{} {} {}",
        tarball.display(),
        meta.len(),
        modified.as_nanos()
    );
    let memo = cache.join("tarball.sha256");
    if let Some(digest) = fs::read_to_string(&memo)
        .ok()
        .and_then(|text| remembered(&text, &key))
    {
        return Ok(digest);
    }
    let digest = sha256(command("sha256sum", ["--"]).arg(tarball), &[])?;
    fs::write(&memo, format!("{digest} {key}\n")).context("remember the tarball's digest")?;
    Ok(digest)
}

fn remembered(memo: &str, key: &str) -> Option<String> {
    let (digest, of) = memo.trim_end().split_once(' ')?;
    (of == key && is_sha256(digest)).then(|| digest.to_owned())
}

fn sha256(sum: &mut std::process::Command, input: &[u8]) -> Result<String> {
    let line = filter(sum, input)?;
    let digest = line.split(' ').next().unwrap_or_default();
    if !is_sha256(digest) {
        bail!("sha256sum printed {line:?}");
    }
    Ok(digest.to_owned())
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn compiler() -> Result<String> {
    let mut versions = Vec::new();
    for tool in ["gcc", "ld"] {
        let text = read(&mut command(tool, ["--version"]))
            .context("find the compiler; run: cargo xtask bootstrap")?;
        versions.push(text.lines().next().unwrap_or_default().to_owned());
    }
    Ok(versions.join("\n"))
}

/// Drops comment and empty lines; `# CONFIG_X is not set` is no comment.
fn without_comments(text: &str) -> String {
    let counts = |line: &&str| {
        !line.trim().is_empty() && (!line.starts_with('#') || line.starts_with("# CONFIG_"))
    };
    text.lines()
        .filter(counts)
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// The lines of `required` that `config` does not meet.
fn unmet(required: &str, config: &str) -> Vec<String> {
    let set: HashMap<&str, &str> = config
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let meets = |line: &str| match line
        .strip_prefix("# ")
        .and_then(|rest| rest.strip_suffix(" is not set"))
    {
        Some(name) => !set.contains_key(name),
        None => line
            .split_once('=')
            .is_some_and(|(name, value)| set.get(name) == Some(&value)),
    };
    without_comments(required)
        .lines()
        .filter(|line| !meets(line))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs() -> Inputs {
        Inputs {
            tarball: "t".into(),
            fragment: "f".into(),
            script: "s".into(),
            compiler: "c".into(),
        }
    }

    #[test]
    fn the_hash_depends_on_every_input_and_on_nothing_else() {
        let changed = [
            Inputs {
                tarball: "T".into(),
                ..inputs()
            },
            Inputs {
                fragment: "F".into(),
                ..inputs()
            },
            Inputs {
                script: "S".into(),
                ..inputs()
            },
            Inputs {
                compiler: "C".into(),
                ..inputs()
            },
        ];
        let base = inputs().hash().unwrap();
        assert_eq!(base, inputs().hash().unwrap());
        for other in changed {
            assert_ne!(base, other.hash().unwrap());
        }
    }

    #[test]
    fn text_moved_between_inputs_changes_the_hash() {
        let moved = Inputs {
            fragment: String::new(),
            script: "fs".into(),
            ..inputs()
        };
        assert_ne!(inputs().hash().unwrap(), moved.hash().unwrap());
    }

    #[test]
    fn comments_do_not_count_but_options_turned_off_do() {
        assert_eq!(
            without_comments("# why\n\nCONFIG_A=y\n# CONFIG_B is not set\n#!/bin/sh\n"),
            "CONFIG_A=y\n# CONFIG_B is not set\n"
        );
    }

    #[test]
    fn unmet_names_what_is_missing_different_or_present() {
        let config = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_N=32\nCONFIG_PCI=y\n";
        let required = "# reason\nCONFIG_A=y\nCONFIG_B=y\nCONFIG_N=64\n# CONFIG_PCI is not set\n# CONFIG_USB is not set\n";
        assert_eq!(
            unmet(required, config),
            ["CONFIG_B=y", "CONFIG_N=64", "# CONFIG_PCI is not set"]
        );
    }

    #[test]
    fn only_what_a_killed_build_left_is_unfinished() {
        let cache = tempfile::tempdir().unwrap();
        for name in ["abc", "abc.work", "def.new", "lock"] {
            fs::create_dir(cache.path().join(name)).unwrap();
        }
        let mut found = unfinished(cache.path()).unwrap();
        found.sort();
        assert_eq!(
            found,
            [cache.path().join("abc.work"), cache.path().join("def.new")]
        );
    }

    #[test]
    fn a_remembered_digest_is_used_only_for_the_same_file() {
        let digest = "a".repeat(64);
        let memo = format!("{digest} /usr/src/x 10 20\n");
        assert_eq!(remembered(&memo, "/usr/src/x 10 20"), Some(digest));
        assert_eq!(remembered(&memo, "/usr/src/x 10 21"), None);
        assert_eq!(remembered("garbage", "garbage"), None);
    }
}
