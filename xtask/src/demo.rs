//! `demo`: from nothing to `hello world`, printed by a program in a microVM.
//!
//! Each step's time is shown at the end. The daemon is started by the command
//! line itself: on this host where its KVM runs guests, in the emulated machine
//! elsewhere.

use anyhow::{Context, Result, ensure};

use crate::arguments::Arguments;
use crate::build::{self, Effort};
use crate::layout::Layout;
use crate::process::{command, read, run as run_command};
use crate::steps::Steps;
use crate::{bootstrap, busybox};

pub(crate) fn run(layout: &Layout, arguments: Arguments) -> Result<()> {
    arguments.finish()?;
    let mut steps = Steps::of("demo");
    let hull = layout.bin("hull");
    steps.time("install missing packages", bootstrap::install_missing)?;
    steps.time("build Hull and its guest kernel", || {
        build::everything(layout, Effort::Release)
    })?;
    let image = steps.time("make the busybox image", || busybox::make(layout))?;
    steps.time("start Hull and load the image", || {
        run_command(command(&hull, ["load", "--input"]).arg(&image))
    })?;

    let hello = steps.time("hull run --rm busybox echo \"hello world\"", || {
        read(&mut command(
            &hull,
            ["run", "--rm", "busybox", "echo", "hello world"],
        ))
    })?;
    println!("{hello}");
    ensure!(
        hello == "hello world",
        "the container printed something else"
    );

    let inside = steps.time("hull run --rm busybox uname -r", || {
        read(&mut command(
            &hull,
            [
                "run",
                "--rm",
                "busybox",
                "sh",
                "-c",
                "echo process $$ on Linux $(uname -r)",
            ],
        ))
    })?;
    let outside = read(&mut command("uname", ["-r"])).context("ask this host's kernel")?;
    println!("\nthe container: {inside}\nthis host: Linux {outside}\n");
    steps.print();
    Ok(())
}
