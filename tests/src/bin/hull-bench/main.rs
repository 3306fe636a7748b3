//! Containers of Hull beside those of Docker with runc and Podman with crun, for `cargo xtask
//! bench containers`: same machine, same run, same image.
//!
//! ```text
//! hull-bench [--idle N] [--listed N] [--mebibytes N] [--peers DIR] ENGINE…
//! ```
//!
//! The peers' programs may be in `DIR`, laid out as Debian's packages are. Each engine gets folders
//! of its own, and goes before the next one comes: what is in a machine's memory is then one's own.
//! The networks of containers are not what is measured: all are started without one.

mod engine;
mod rows;

use std::path::PathBuf;

use engine::{Engine, Kind};
use rows::Amounts;

/// What is asked of this program.
#[derive(Debug)]
struct Asked {
    amounts: Amounts,
    peers: Option<PathBuf>,
    engines: Vec<Kind>,
}

impl Asked {
    fn read(mut words: impl Iterator<Item = String>) -> Self {
        let mut asked = Self {
            amounts: Amounts {
                idle: 200,
                listed: 201,
                mebibytes: 1024,
            },
            peers: None,
            engines: Vec::new(),
        };
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .unwrap_or_else(|| panic!("{word} needs a value"))
            };
            match word.as_str() {
                "--idle" => asked.amounts.idle = value().parse().expect("a number"),
                "--listed" => asked.amounts.listed = value().parse().expect("a number"),
                "--mebibytes" => asked.amounts.mebibytes = value().parse().expect("a number"),
                "--peers" => asked.peers = Some(value().into()),
                name => asked.engines.push(name.parse().expect("an engine")),
            }
        }
        assert!(!asked.engines.is_empty(), "which engines?");
        // The first one is there for `exec` and runs, too.
        assert!(
            asked.amounts.listed > asked.amounts.idle,
            "more are listed than run"
        );
        asked
    }
}

fn main() {
    let asked = Asked::read(std::env::args().skip(1));
    let peers = asked.peers.as_deref().map(hull_tests::near);
    for kind in &asked.engines {
        let engine = Engine::start(*kind, peers.as_deref());
        rows::measure(&engine, asked.amounts, |row, value| {
            println!("{} {row} {value:.4}", kind.name());
        });
    }
}
