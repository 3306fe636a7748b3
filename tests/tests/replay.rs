//! Recordings of a real Docker, replayed against Hull by `hull` and by the real `docker`.
//!
//! What is not replayed, and what differs and why, is in `testdata/differences.txt`. The recordings
//! that start no container are replayed by `native_replay`.

use hull_tests::{Client, Replay};

#[test]
fn containers_run_by_docker() {
    Replay::with_images("30-docker101-run", Client::Docker).run();
}

#[test]
fn containers_run_by_hull() {
    Replay::with_images("30-docker101-run", Client::Hull).run();
}

#[test]
fn layers_change_by_docker() {
    production(Client::Docker).run();
}

/// What the recording builds: an image with a file in its working folder, and one without a name.
fn production(client: Client) -> Replay {
    let replay = Replay::with_images("40-lab3-layers", client);
    replay.prepare("docker import -m old /oracle/img/alpine.tar twice:1");
    replay.prepare("docker import -m new /oracle/img/alpine.tar twice:1");
    replay.prepare(
        "mkdir -p /oracle/a/var/www/html && echo FROM alpine > /oracle/a/var/www/html/Dockerfile",
    );
    replay.prepare("docker create --name build alpine && docker cp /oracle/a/var build:/");
    replay.prepare("docker commit -c 'WORKDIR /var/www/html' build basic-app && docker rm build");
    replay
}
