//! Processes that are killed while they do anything that changes a store.
//!
//! A child works through a list of steps that a seed decides, and says when each is done; at some
//! point of one it dies. The parent knows what names there must be after the steps that were done,
//! and after the one that was not; and that everything they lead to is whole, and nothing else there.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::digest::ImageId;
use crate::fault::armed::arm;
use crate::import::Import;
use crate::prune::Unneeded;
use crate::pull::Pull;
use crate::push::Push;
use crate::remote::Credentials;
use crate::remote::fake::{Fake, Shelf, hasty, uncancelled};
use crate::remove::RemoveOptions;
use crate::samples::{SampleImage, layer};
use crate::store::{Options, Store};
use crate::store_tests::verify;

const ORDER: &str = "HULL_IMAGES_TEST_RANDOM_CRASH";
const ROUNDS: u64 = 240;
const STEPS: usize = 8;
const NAMES: u64 = 4;

/// What a child does.
#[derive(Debug, Clone, Copy)]
enum Step {
    Load { image: u64, name: u64 },
    LoadLayout { image: u64, name: u64 },
    Pull { image: u64 },
    Push { name: u64 },
    Save { name: u64 },
    Tag { from: u64, to: u64 },
    Remove { name: u64 },
    Import { name: u64 },
    Prune,
    Collect,
}

/// Numbers that look random (xorshift), the same on both sides.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    fn step(&mut self) -> Step {
        let (image, name) = (self.below(5), self.below(NAMES));
        match self.below(12) {
            0 | 1 => Step::Load { image, name },
            2 => Step::LoadLayout { image, name },
            3 | 4 => Step::Pull { image },
            5 => Step::Push { name },
            6 => Step::Save { name },
            7 => Step::Tag {
                from: name,
                to: self.below(NAMES),
            },
            8 | 9 => Step::Remove { name },
            10 => Step::Import { name },
            _ if image < 3 => Step::Prune,
            _ => Step::Collect,
        }
    }
}

fn steps(seed: u64) -> Vec<Step> {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    (0..STEPS).map(|_| dice.step()).collect()
}

/// They share layers in several ways.
fn image(number: u64) -> SampleImage {
    let layers: [&[&str]; 5] = [
        &["base", "a"],
        &["base", "b"],
        &["base", "a", "c"],
        &["other"],
        &["base"],
    ];
    SampleImage::new(layers[number as usize])
}

fn name(number: u64) -> String {
    format!("n{number}:latest")
}

fn pulled(host: &str, image: u64) -> String {
    format!("{host}/i{image}:latest")
}

fn shelf() -> Shelf {
    let mut shelf = Shelf::default();
    for number in 0..5 {
        let repository = format!("i{number}");
        let manifest = shelf.image(&repository, &image(number));
        shelf.tag(&repository, "latest", &manifest);
    }
    shelf
}

fn perform(store: &Store, host: &str, step: Step) {
    const FORCE: RemoveOptions = RemoveOptions {
        force: true,
        prune: true,
    };
    match step {
        Step::Load { image: i, name: n } => {
            let archive = image(i).docker(&[&name(n)]).end();
            store.load(&archive[..], &mut |_| {}).unwrap();
        }
        Step::LoadLayout { image: i, name: n } => {
            let archive = image(i).oci(&name(n)).end();
            store.load(&archive[..], &mut |_| {}).unwrap();
        }
        Step::Pull { image } => {
            let pull = Pull {
                name: pulled(host, image).parse().unwrap(),
                all: false,
                platform: None,
                credentials: Credentials::default(),
            };
            store
                .pull(&hasty(), &pull, (&|_| {}, &uncancelled()))
                .unwrap();
        }
        Step::Push { name: n } => {
            let push = Push {
                name: format!("{host}/pushed:latest").parse().unwrap(),
                all: false,
                platform: None,
                credentials: Credentials::default(),
            };
            // The registry takes nothing new: what is pushed is not the point, what it leaves is.
            if let Ok(id) = store.find(&name(n)) {
                store.tag(&id, &push.name).unwrap();
                let _refused = store.push(&hasty(), &push, (&|_| {}, &uncancelled()));
                store.remove(&push.name.to_string(), FORCE, &[]).unwrap();
            }
        }
        Step::Save { name: n } => {
            if let Ok(saving) = store.pack(&[name(n)], None) {
                saving.write(std::io::sink()).unwrap();
            }
        }
        Step::Tag { from, to } => {
            if let Ok(id) = store.find(&name(from)) {
                store.tag(&id, &name(to).parse().unwrap()).unwrap();
            }
        }
        Step::Remove { name: n } => {
            // It may not be there.
            let _absent = store.remove(&name(n), FORCE, &[]);
        }
        Step::Import { name: n } => {
            let import = Import {
                name: Some(name(n).parse().unwrap()),
                ..Import::default()
            };
            store
                .import(&layer("imported", "imported")[..], &import)
                .unwrap();
        }
        Step::Prune => {
            store.prune(Unneeded::Dangling, &[], &|_| true).unwrap();
        }
        Step::Collect => {
            store.collect().unwrap();
        }
    }
}

/// What a name leads to: an image, or one that was imported, of which nobody knows the id.
type Names = BTreeMap<String, Option<ImageId>>;

fn expect(names: &mut Names, host: &str, step: Step) {
    let id = |number| Some(ImageId(image(number).id()));
    match step {
        Step::Load { image, name: n } | Step::LoadLayout { image, name: n } => {
            names.insert(name(n), id(image));
        }
        Step::Pull { image } => {
            names.insert(pulled(host, image), id(image));
        }
        Step::Tag { from, to } => {
            if let Some(found) = names.get(&name(from)).copied() {
                names.insert(name(to), found);
            }
        }
        Step::Remove { name: n } => {
            names.remove(&name(n));
        }
        Step::Import { name: n } => {
            names.insert(name(n), None);
        }
        Step::Push { .. } | Step::Save { .. } | Step::Prune | Step::Collect => {}
    }
}

/// The names that there are, but the one that a push needs for a moment.
fn found(store: &Store, known: &[ImageId]) -> Names {
    let images = store.list().unwrap().into_iter();
    let names = images.flat_map(|image| {
        let id = Some(image.id).filter(|id| known.contains(id));
        image.tags.into_iter().map(move |tag| (tag.familiar(), id))
    });
    names
        .filter(|(name, _)| !name.contains("/pushed:"))
        .collect()
}

#[test]
fn a_kill_at_random_points_of_anything_loses_nothing() {
    if let Ok(order) = std::env::var(ORDER) {
        child(&order);
        return;
    }
    let shelf = shelf();
    let registry = Fake::start(move |seen| shelf.answer(seen));
    let host = registry.host();
    let known: Vec<ImageId> = (0..5).map(|n| ImageId(image(n).id())).collect();
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    };
    let mut names = Names::new();
    let mut died = 0;
    let mut dice = Dice(7);
    for seed in 1..=ROUNDS {
        let point = 1 + dice.below(60);
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "crash_tests::a_kill_at_random_points_of_anything_loses_nothing",
            ])
            .arg("--nocapture")
            .env(
                ORDER,
                format!("{seed} {point} {host} {}", folder.path().display()),
            )
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let done = text.lines().filter(|line| *line == "done").count();
        if !output.status.success() {
            use std::os::unix::process::ExitStatusExt;
            let killed = output.status.signal() == Some(9);
            assert!(killed, "{text}{}", String::from_utf8_lossy(&output.stderr));
            died += 1;
        }
        let steps = steps(seed);
        for step in &steps[..done] {
            expect(&mut names, &host, *step);
        }
        let store = Store::open(folder.path(), Options::default()).unwrap();
        verify(&store);
        let found = found(&store, &known);
        if found != names {
            let last = steps.get(done).copied();
            if let Some(last) = last {
                expect(&mut names, &host, last);
            }
            assert_eq!(found, names, "round {seed}, died at {point} in {last:?}");
        }
    }
    assert!(died > ROUNDS / 2, "only {died} died");
}

fn child(order: &str) {
    let mut words = order.splitn(4, ' ');
    let mut word = || words.next().unwrap();
    let (seed, point, host, folder) = (word(), word(), word(), word());
    let store = Store::open(Path::new(folder), Options::default()).unwrap();
    arm(point.parse().unwrap());
    println!();
    for step in steps(seed.parse().unwrap()) {
        perform(&store, host, step);
        println!("done");
        std::io::stdout().flush().unwrap();
    }
}
