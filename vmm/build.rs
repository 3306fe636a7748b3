//! Compiles the seccomp policy to BPF programs, so that starting a VM need not.

use std::error::Error;
use std::fmt::Write;

#[path = "src/jail/policy.rs"]
mod policy;
#[path = "src/jail/program.rs"]
mod program;
#[path = "src/jail/role.rs"]
mod role;

use policy::{EVERY_THREAD, calls, guarded};
use role::Role;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/jail/policy.rs");
    println!("cargo::rerun-if-changed=src/jail/program.rs");
    println!("cargo::rerun-if-changed=src/jail/role.rs");
    let target = std::env::var("CARGO_CFG_TARGET_ARCH")?;
    // The numbers of system calls come from this program's own libc.
    if target != std::env::consts::ARCH {
        return Err("the seccomp policy can be compiled only on the architecture it is for".into());
    }
    let mut out = format!(
        "static PROGRAMS: [&[sock_filter]; {}] = [\n",
        Role::ALL.len()
    );
    for role in Role::ALL {
        out.push_str("    &[\n");
        for i in program::compile(&[EVERY_THREAD, calls(role)], &guarded(role))? {
            let (code, jt, jf, k) = (i.code, i.jt, i.jf, i.k);
            writeln!(
                out,
                "        sock_filter {{ code: {code}, jt: {jt}, jf: {jf}, k: {k} }},"
            )?;
        }
        out.push_str("    ],\n");
    }
    out.push_str("];\n");
    std::fs::write(format!("{}/seccomp.rs", std::env::var("OUT_DIR")?), out)?;
    Ok(())
}
