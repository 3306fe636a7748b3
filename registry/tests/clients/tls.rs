//! TLS, and a certificate that is renewed.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::served::{Served, run};

const TLS: &str = "[tls]\ncertificate = \"@/crt.pem\"\nkey = \"@/key.pem\"\n";

fn certify(folder: &Path, name: &str, common_name: &str) {
    let file = |kind: &str| folder.join(format!("{name}{kind}.pem"));
    run(Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args([
            "-nodes",
            "-days",
            "2",
            "-subj",
            &format!("/CN={common_name}"),
        ])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .arg("-keyout")
        .arg(file("key"))
        .arg("-out")
        .arg(file("crt")));
}

/// The name in the certificate that the server shows now.
fn shown(served: &Served) -> String {
    let script = format!(
        "openssl s_client -connect {} </dev/null 2>/dev/null | openssl x509 -noout -subject",
        served.address
    );
    run(Command::new("sh").args(["-c", &script]))
}

#[test]
fn a_registry_speaks_tls() {
    let served = Served::prepared(TLS, |folder| certify(folder, "", "one"));
    let authority = served.path("crt.pem");
    let trusting = ["--cacert", authority.to_str().unwrap()];
    let response = served.curl_at("https", "/v2/", &trusting);
    assert_eq!((response.status, response.text()), (200, "{}".to_owned()));
    // Without TLS nothing is said, and the server goes on.
    let plain = Command::new("curl")
        .args(["--silent", "--max-time", "5"])
        .arg(format!("http://{}/v2/", served.address))
        .output()
        .unwrap();
    assert!(!plain.status.success());
    assert_eq!(served.curl_at("https", "/v2/", &trusting).status, 200);
}

#[test]
fn a_renewed_certificate_is_shown_and_a_broken_one_is_not() {
    let served = Served::prepared(TLS, |folder| certify(folder, "", "one"));
    assert!(shown(&served).contains("one"));
    let folder = served.folder.path();
    certify(folder, "new", "two");
    // The certificate comes before its key: half a renewal.
    std::fs::rename(folder.join("newcrt.pem"), folder.join("crt.pem")).unwrap();
    assert!(shown(&served).contains("one"));
    std::fs::rename(folder.join("newkey.pem"), folder.join("key.pem")).unwrap();
    let start = Instant::now();
    while !shown(&served).contains("two") {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it is not renewed"
        );
    }
}

#[test]
fn what_is_no_identity_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path(), "", "one");
    let store = hull_images::Store::open(folder.path(), hull_images::Options::default()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let start = |certificate: &str, key: &str| {
        let path = |name: &str| folder.path().join(name);
        let config = hull_registry::config::Config {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            tls: Some(hull_registry::config::Tls {
                certificate: path(certificate),
                key: path(key),
            }),
            ..Default::default()
        };
        let service = runtime.block_on(hull_registry::Service::start(&store, &config));
        service.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(start("crt.pem", "key.pem"), Ok(()));
    assert!(
        start("nosuch", "key.pem")
            .unwrap_err()
            .contains("cannot read")
    );
    assert!(
        start("crt.pem", "crt.pem")
            .unwrap_err()
            .contains("holds no PEM")
    );
    certify(folder.path(), "other", "two");
    let mixed = start("crt.pem", "otherkey.pem").unwrap_err();
    assert!(mixed.contains("do not make an identity"), "{mixed}");
}
