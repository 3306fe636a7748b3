//! An emulated machine of a bench's own, which goes when the measurement is done.

use std::path::Path;
use std::process::Command;

use crate::layout::Layout;
use crate::process::{command, run};

pub(super) struct Machine<'l> {
    pub(super) layout: &'l Layout,
    pub(super) name: &'static str,
    /// What it is given to be as large as it has to, as a variable of `hull machine`.
    pub(super) size: (&'static str, &'static str),
    /// Options of `hull machine exec`, by which it is started.
    pub(super) options: &'static [&'static str],
}

impl Machine<'_> {
    fn hull(&self, verb: &str) -> Command {
        let mut hull = command(
            self.layout.bin("hull"),
            ["machine", "--name", self.name, verb],
        );
        let (variable, value) = self.size;
        hull.env(variable, value);
        hull
    }

    /// A command that runs `program` there.
    pub(super) fn exec(&self, program: &Path) -> Command {
        let mut hull = self.hull("exec");
        hull.args(self.options).arg("--").arg(program);
        hull
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        if let Err(error) = run(self.hull("rm").arg("--force")) {
            eprintln!("bench: the machine {} stays: {error:#}", self.name);
        }
    }
}
