//! docker's command line, its daemon, and another machine's registry: what is pushed goes over the
//! wire, and what is pulled may come through a cache.

use std::process::Command;

use crate::harness::Daemon;
use crate::on_box::{ask, import};
use crate::peer::{Guard, Peer};

/// Starts a daemon's registry as configured; says where it is.
fn start(daemon: &Daemon, config: &str) -> String {
    let wish = serde_json::json!({"Listen": "127.0.0.1:0", "Config": config});
    let (status, body) = ask(daemon, "POST", "/hull/registry/start", &wish.to_string());
    assert_eq!(status, 200, "{body}");
    body["Address"].as_str().unwrap().to_owned()
}

fn id(daemon: &Daemon, name: &str) -> String {
    daemon.docker(&["inspect", "-f", "{{.Id}}", name]).ok()
}

#[test]
fn docker_pushes_to_a_registry_elsewhere_and_pulls_from_it() {
    let (there, here) = (Daemon::start(), Daemon::start());
    let password = Command::new("htpasswd")
        .args(["-Bbn", "ann", "nna"])
        .output();
    let users = there.dir().join("users");
    std::fs::write(&users, password.unwrap().stdout).unwrap();
    let address = start(
        &there,
        &format!("[auth]\nhtpasswd = \"{}\"", users.display()),
    );
    let name = format!("{address}/team/app");
    import(&here, &name);
    let refused = here.docker(&["push", &name]);
    assert_ne!(refused.code, 0);
    let login = ["login", "--username", "ann", "--password-stdin", &address];
    here.docker_with(&login, b"nna").ok();
    let pushed = here.docker(&["push", &name]).ok();
    assert!(pushed.contains(": Pushed"), "{pushed}");
    let again = here.docker(&["push", &name]).ok();
    assert!(again.contains("Layer already exists"), "{again}");
    let before = id(&here, &name);
    here.docker(&["rmi", &name]).ok();
    let pulled = here.docker(&["pull", &name]).ok();
    assert!(pulled.contains("Pull complete"), "{pulled}");
    assert_eq!(id(&here, &name), before);
}

#[test]
fn docker_pulls_the_hub_s_images_through_a_cache() {
    let peer = Peer::start(Guard::Open);
    let there = Daemon::start();
    let address = start(
        &there,
        &format!("[cache]\nupstream = \"http://{}\"", peer.host()),
    );
    let mirror = format!("http://{address}");
    let here = Daemon::start_with(&["--registry-mirror", &mirror]);
    let origin = format!("{}/library/devenv:1", peer.host());
    import(&here, &origin);
    let before = id(&here, &origin);
    here.docker(&["push", &origin]).ok();
    here.docker(&["rmi", &origin]).ok();
    here.docker(&["pull", "devenv:1"]).ok();
    assert_eq!(id(&here, "devenv:1"), before);
    // The upstream goes, and what the cache has stays.
    here.docker(&["rmi", "devenv:1"]).ok();
    drop(peer);
    here.docker(&["pull", "devenv:1"]).ok();
    assert_eq!(id(&here, "devenv:1"), before);
}
