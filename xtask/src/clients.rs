//! The Python clients of Docker's API that the end-to-end tests run: fetched into `target`, in the
//! versions that `tests/clients/requirements.txt` names.

use std::fs;

use anyhow::{Context, Result};

use crate::layout::Layout;
use crate::process::{command, run};

/// Fetches them, unless they are there.
pub(crate) fn fetch(layout: &Layout) -> Result<()> {
    let requirements = layout.root().join("tests/clients/requirements.txt");
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("read {}", requirements.display()))?;
    let folder = layout.root().join("target/python-clients");
    // What they were fetched for; written last.
    let stamp = folder.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|fetched| fetched == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    let mut pip = command(
        "/usr/bin/python3",
        [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ],
    );
    pip.arg("--target").arg(&folder).arg("--requirement");
    run(pip.arg(&requirements)).context("fetch the Python clients")?;
    fs::write(&stamp, wanted).with_context(|| format!("write {}", stamp.display()))
}
