//! Runs the KVM probe a few times, with the time it took, and prints the doctor's report.

use std::path::Path;
use std::time::Instant;

use hull_machine::doctor::{examine, probe};

fn main() {
    for _ in 0..3 {
        let started = Instant::now();
        let verdict = probe::run();
        println!("{:?}: {verdict}", started.elapsed());
    }
    let report = examine(Path::new("/var/lib/hull"));
    println!("{:?}", report.place);
    for check in &report.checks {
        println!(
            "{:?} {:16} {} {:?}",
            check.status, check.name, check.found, check.advice
        );
    }
}
