//! Times a pull or a push without a daemon: `transfer pull ROOT NAME`, `transfer push ROOT NAME AS`.
//! ROOT is a store's folder. To be compared with skopeo and buildah on the same registry and disk;
//! build it with `--release`.

use std::path::Path;
use std::time::Instant;

use hull_images::remote::{Cancel, Credentials, Remote, RemoteOptions};
use hull_images::{Options, Pull, Push, Reference, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let remote = Remote::new(RemoteOptions::default());
    let cancel = Cancel::default();
    let begun;
    match words[..] {
        ["pull", root, name] => {
            let store = Store::open(Path::new(root), Options::default())?;
            let pull = Pull {
                name: name.parse()?,
                all: false,
                platform: None,
                credentials: Credentials::default(),
            };
            begun = Instant::now();
            store.pull(&remote, &pull, (&|_| {}, &cancel))?;
        }
        ["push", root, name, other] => {
            let store = Store::open(Path::new(root), Options::default())?;
            let to: Reference = other.parse()?;
            store.tag(&store.find(name)?, &to)?;
            let push = Push {
                name: to,
                all: false,
                platform: None,
                credentials: Credentials::default(),
            };
            begun = Instant::now();
            store.push(&remote, &push, (&|_| {}, &cancel))?;
        }
        _ => return Err("usage: transfer pull ROOT NAME | push ROOT NAME AS".into()),
    }
    println!("{:.3}", begun.elapsed().as_secs_f64());
    Ok(())
}
