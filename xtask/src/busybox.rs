//! The busybox image, which the demo and the end-to-end tests use: made by its
//! recipe from Debian's package, without a registry.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::layout::Layout;
use crate::process::{command, run};

/// Makes it anew, which takes a moment and gives the same bytes. Returns its path.
pub(crate) fn make(layout: &Layout) -> Result<PathBuf> {
    let image = layout.busybox_image();
    run(command("sh", [layout.recipe("busybox/build.sh")]).arg(&image))
        .context("make the busybox image")?;
    Ok(image)
}
