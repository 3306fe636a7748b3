//! How long the guest kernel took to build from nothing, by the cache's record.

use anyhow::{Context, Result};

use super::Figure;
use crate::kernel::Kernel;
use crate::layout::Layout;

pub(super) fn measure(_: &Layout, kernel: &Kernel) -> Result<Vec<Figure>> {
    let record = kernel.record()?;
    let seconds: f64 = record
        .get("seconds")
        .context("the build record has no time")?
        .parse()?;
    let processors = record.get("processors").map_or("?", String::as_str);
    Ok(vec![Figure {
        about: "a clean build of the guest kernel",
        value: seconds / 60.0,
        target: 10.0,
        unit: "min",
        details: vec![format!(
            "the guest kernel was built on {processors} processors"
        )],
    }])
}
