//! The size of the guest kernel's file: what each VM reads at a cold start.

use std::fs;

use anyhow::Result;

use super::Figure;
use crate::kernel::Kernel;
use crate::layout::Layout;

pub(super) fn measure(_: &Layout, kernel: &Kernel) -> Result<Vec<Figure>> {
    let size = fs::metadata(kernel.image())?.len();
    Ok(vec![Figure {
        about: "the guest kernel's file",
        value: size as f64 / f64::from(1 << 20),
        target: 12.0,
        unit: "MiB",
        details: Vec::new(),
    }])
}
