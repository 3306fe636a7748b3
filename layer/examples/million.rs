//! Builds a layer of a million entries, opens it and looks every one of them up.
//!
//! `cargo run --release -p hull-layer --example million [ENTRIES]` prints the time each part takes
//! and the memory it needs.

use std::error::Error;
use std::fs;
use std::time::Instant;

use hull_layer::{Builder, Layer, Limits, Meta};

fn main() -> Result<(), Box<dyn Error>> {
    let entries = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |count| count.parse::<u64>())?;
    let path = |number: u64| format!("usr/lib/node_modules/{}/file-{number}.js", number / 100);
    let file = tempfile::tempfile()?;

    let start = Instant::now();
    let mut builder = Builder::new(file.try_clone()?, Limits::default())?;
    for number in 0..entries {
        let mut writer = builder.file(path(number).as_bytes(), Meta::default())?;
        // One file in eight has contents: this measures entries, not the disk.
        if number % 8 == 0 {
            writer.append(path(number).as_bytes())?;
        }
        writer.finish()?;
    }
    println!(
        "added     {entries} files in {:?}, resident {}",
        start.elapsed(),
        resident()?
    );

    let start = Instant::now();
    let summary = builder.finish()?;
    println!(
        "finished  {summary:?} in {:?}, resident {}",
        start.elapsed(),
        resident()?
    );

    let start = Instant::now();
    let layer = Layer::open(file)?;
    let length = layer.file().metadata()?.len();
    println!(
        "opened    {length} bytes in {:?}, resident {}",
        start.elapsed(),
        resident()?
    );

    let start = Instant::now();
    let found = (0..entries).filter(|&number| layer.resolve(path(number).as_bytes()).is_some());
    println!(
        "looked up {} paths in {:?}, resident {}",
        found.count(),
        start.elapsed(),
        resident()?
    );

    let start = Instant::now();
    layer.verify()?;
    println!("verified  in {:?}", start.elapsed());
    Ok(())
}

/// Private memory now and resident memory at its highest.
fn resident() -> Result<String, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.map_or("?", |line| line[name.len()..].trim())
            .to_owned()
    };
    Ok(format!(
        "{} private, {} at most",
        field("RssAnon:"),
        field("VmHWM:")
    ))
}
