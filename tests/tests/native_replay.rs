//! Recordings of a real Docker that start no container: they need no VM, so `cargo xtask e2e` replays
//! them on this host, where the command lines start at once.

use hull_tests::{Client, Replay};

#[test]
fn images_are_imported_by_hull() {
    Replay::empty("00-setup", Client::Hull).run();
}

#[test]
fn images_are_imported_by_docker() {
    Replay::empty("00-setup", Client::Docker).run();
}

#[test]
fn images_are_tagged_by_hull() {
    Replay::with_images("41-lab3-tags", Client::Hull).run();
}

#[test]
fn images_are_tagged_by_docker() {
    Replay::with_images("41-lab3-tags", Client::Docker).run();
}

#[test]
fn images_are_saved_and_loaded_by_hull() {
    Replay::with_images("42-lab3-save-load-registry", Client::Hull).run();
}

#[test]
fn images_are_saved_and_loaded_by_docker() {
    Replay::with_images("42-lab3-save-load-registry", Client::Docker).run();
}

#[test]
fn the_engine_is_asked_by_docker() {
    Replay::with_images("61-misc-verbs", Client::Docker).run();
}
