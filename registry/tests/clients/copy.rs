//! Images go in and out by skopeo and buildah, and stay what they are.

use std::process::Command;

use crate::served::{Served, run};

fn skopeo(verb: &str, arguments: &[&str]) -> String {
    run(Command::new("skopeo")
        .args(["--insecure-policy", verb])
        .args(arguments))
}

fn digest_of(reference: &str) -> String {
    let format = ["--format", "{{.Digest}}", "--tls-verify=false", reference];
    skopeo("inspect", &format).trim().to_owned()
}

#[test]
fn skopeo_copies_an_image_out_and_in() {
    let served = Served::open();
    let digest = served.push("from/here", "1", &[]);
    let source = format!("docker://{}/from/here:1", served.address);
    assert_eq!(digest_of(&source), digest);
    for (number, kind) in ["dir", "oci"].into_iter().enumerate() {
        let folder = format!("{kind}:{}", served.path(kind).display());
        skopeo(
            "copy",
            &[
                "--preserve-digests",
                "--src-tls-verify=false",
                &source,
                &folder,
            ],
        );
        let target = format!("docker://{}/to/{kind}:{number}", served.address);
        skopeo(
            "copy",
            &[
                "--preserve-digests",
                "--dest-tls-verify=false",
                &folder,
                &target,
            ],
        );
        assert_eq!(digest_of(&target), digest);
    }
    // From repository to repository, blobs mounted.
    let target = format!("docker://{}/copy:x", served.address);
    let flags = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    skopeo(
        "copy",
        &[&flags[..], &["--preserve-digests", &source, &target]].concat(),
    );
    assert_eq!(digest_of(&target), digest);
    let tags = skopeo(
        "list-tags",
        &["--tls-verify=false", &target[..target.len() - 2]],
    );
    assert!(tags.contains("\"x\""), "{tags}");
    let catalog = served.curl("/v2/_catalog", &[]).text();
    assert_eq!(
        catalog,
        "{\"repositories\":[\"copy\",\"from/here\",\"to/dir\",\"to/oci\"]}\n"
    );
}

#[test]
fn skopeo_copies_docker_s_own_form_and_deletes() {
    let served = Served::open();
    served.push("a", "oci", &[]);
    let source = format!("docker://{}/a:oci", served.address);
    let target = format!("docker://{}/a:docker", served.address);
    let flags = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    skopeo(
        "copy",
        &[&flags[..], &["--format", "v2s2", &source, &target]].concat(),
    );
    let raw = skopeo("inspect", &["--raw", "--tls-verify=false", &target]);
    assert!(
        raw.contains("vnd.docker.distribution.manifest.v2+json"),
        "{raw}"
    );
    skopeo("delete", &["--tls-verify=false", &target]);
    let response = served.curl("/v2/a/manifests/docker", &[]);
    response.refused(404, "MANIFEST_UNKNOWN");
    assert_eq!(served.curl("/v2/a/manifests/oci", &[]).status, 200);
}

#[test]
fn buildah_pulls_and_pushes() {
    let served = Served::open();
    served.push("a", "1", &[]);
    let storage = |name: &str| served.path(name).to_str().unwrap().to_owned();
    let buildah = |arguments: &[&str]| {
        run(Command::new("buildah")
            .args(["--root", &storage("storage"), "--runroot", &storage("run")])
            .args(["--storage-driver", "vfs"])
            .args(arguments))
    };
    let image = format!("{}/a:1", served.address);
    let id = buildah(&["pull", "--tls-verify=false", &image]);
    let target = format!("docker://{}/b:2", served.address);
    buildah(&["push", "--tls-verify=false", &image, &target]);
    let pushed = buildah(&["pull", "--tls-verify=false", &target]);
    assert_eq!(pushed, id);
}

#[test]
fn skopeo_logs_in() {
    let served = Served::with("[auth]\nhtpasswd = \"@/htpasswd\"");
    let digest = served.push("a", "1", &["--user", "ann:nna"]);
    let source = format!("docker://{}/a:1", served.address);
    let file = served.path("auth.json");
    let file = file.to_str().unwrap();
    let login = |password: &str| {
        Command::new("skopeo")
            .args([
                "login",
                "--tls-verify=false",
                "--authfile",
                file,
                "--username",
                "ann",
            ])
            .args(["--password", password, &served.address])
            .output()
            .unwrap()
    };
    assert!(!login("wrong").status.success());
    let output = login("nna");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let format = [
        "--format",
        "{{.Digest}}",
        "--tls-verify=false",
        "--authfile",
        file,
        &source,
    ];
    assert_eq!(skopeo("inspect", &format).trim(), digest);
    let refused = Command::new("skopeo")
        .args(["inspect", "--tls-verify=false", "--no-creds", &source])
        .output()
        .unwrap();
    assert!(!refused.status.success());
}
