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
fn a_registry_is_used_by_hull() {
    devenv(Client::Hull).run();
}

#[test]
fn a_registry_is_used_by_docker() {
    devenv(Client::Docker).run();
}

/// What the recording commits a container for: an image with a file on top of another image.
fn devenv(client: Client) -> Replay {
    let replay = Replay::with_images("10-rxm-registry-ops", client).with_registry();
    replay.prepare(
        "mkdir devenv devenv/opt && echo data > devenv/opt/gitlike && cd devenv \
        && cp /oracle/img/debian.tar 1.tar && tar -cf 2.tar opt \
        && sum() { sha256sum $1 | cut -d' ' -f1; } \
        && printf '{\"created\":\"%s\",\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\
            \"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%s\",\"sha256:%s\"]}}' \
            $(date -u +%FT%T.%NZ) $(sum 1.tar) $(sum 2.tar) > config.json \
        && echo '[{\"Config\":\"config.json\",\"RepoTags\":[\"mydev/devenv:latest\"],\
            \"Layers\":[\"1.tar\",\"2.tar\"]}]' > manifest.json \
        && tar -c config.json manifest.json 1.tar 2.tar | docker load -q",
    );
    replay
}

#[test]
fn the_engine_is_asked_by_docker() {
    Replay::with_images("61-misc-verbs", Client::Docker).run();
}
