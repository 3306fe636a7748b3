//! Connections against a registry that misbehaves, and against Debian's.

use std::sync::atomic::{AtomicU32, Ordering};

use ureq::http::Method;

use super::endpoint::Purpose;
use super::fake::{Fake, Say, Seen, Shelf, hasty, hasty_with, uncancelled};
use super::peer::{Guard, Peer};
use super::wire::Call;
use super::*;
use crate::digest::Digest;
use crate::manifest::{OCI_MANIFEST, describe};

fn bob() -> Credentials {
    Credentials {
        username: "bob".into(),
        password: "secret".into(),
        ..Credentials::default()
    }
}

/// The plain HTTP endpoint of a fake.
fn connect(fake: &Fake, credentials: &Credentials) -> Connection {
    let endpoints = hasty().endpoints(&fake.host(), Purpose::Pull);
    let endpoint = endpoints.last().unwrap();
    Connection::open(&hasty(), endpoint, credentials, &uncancelled()).unwrap()
}

fn ask(connection: &Connection, path: &str) -> Result<String, RemoteError> {
    let call = Call::new(Method::GET, connection.url(path));
    let answer = connection.ask(&call, &Scope::pull("a/b"))?;
    Ok(String::from_utf8(answer.bytes(1000)?).unwrap())
}

#[test]
fn what_cannot_be_reached_is_said_in_gos_words() {
    let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = refused.local_addr().unwrap();
    drop(refused);
    let error = |host: &str| {
        let endpoints = hasty().endpoints(host, Purpose::Pull);
        let endpoint = endpoints.last().unwrap();
        let opened = Connection::open(&hasty(), endpoint, &Credentials::default(), &uncancelled());
        opened.err().unwrap().to_string()
    };
    assert_eq!(
        error(&address.to_string()),
        format!("Get \"http://{address}/v2/\": dial tcp {address}: connect: connection refused")
    );
    assert_eq!(
        error("nosuch.invalid"),
        "Get \"https://nosuch.invalid/v2/\": dial tcp: lookup nosuch.invalid: no such host"
    );
}

#[test]
fn plain_http_where_tls_is_asked_for_is_recognised() {
    let fake = Fake::start(|_| Say::new(400, ""));
    let endpoint = Endpoint {
        base: format!("https://{}", fake.host()),
        host: fake.host(),
        verified: true,
        mirror: false,
    };
    let opened = Connection::open(&hasty(), &endpoint, &bob(), &uncancelled());
    let error = opened.err().unwrap().to_string();
    // What the other end says depends on how it takes the greeting; a cut connection is one way.
    assert!(
        error.ends_with("http: server gave HTTP response to HTTPS client")
            || error.ends_with("EOF")
            || error.ends_with("connection reset by peer"),
        "{error}"
    );
}

/// A token server and a registry in one.
fn guarded(fake: &'static str) -> impl Fn(&Seen) -> Say + Send + Sync {
    move |seen| {
        let host = seen.header("host").to_owned();
        if seen.path.starts_with("/token") {
            let token = match (seen.method.as_str(), seen.header("authorization")) {
                ("POST", _) if seen.body.windows(9).any(|w| w == b"ident1234") => "from-identity",
                ("GET", "Basic Ym9iOnNlY3JldA==") => "from-password",
                ("GET", "") => "from-nothing",
                _ => return Say::new(401, r#"{"details":"incorrect username or password"}"#),
            };
            let body = serde_json::json!({"token": token, "refresh_token": "ident1234"});
            return Say::new(200, body.to_string());
        }
        match seen.header("authorization") {
            "" => Say::new(401, "").with(
                "WWW-Authenticate",
                format!(r#"Bearer realm="http://{host}/token",service="s""#),
            ),
            known if known.ends_with(fake) => Say::new(200, known),
            _ => Say::error(401, "UNAUTHORIZED", "authentication required").with(
                "WWW-Authenticate",
                format!(
                    r#"Bearer realm="http://{host}/token",service="s",error="insufficient_scope""#
                ),
            ),
        }
    }
}

#[test]
fn tokens_are_fetched_once_for_a_scope() {
    let fake = Fake::start(guarded("from-password"));
    let connection = connect(&fake, &bob());
    for _ in 0..3 {
        assert_eq!(ask(&connection, "a/b/x").unwrap(), "Bearer from-password");
    }
    let lines = fake.lines();
    let tokens: Vec<_> = lines.iter().filter(|line| line.contains("token")).collect();
    assert_eq!(
        tokens,
        ["GET /token?service=s&scope=repository%3Aa%2Fb%3Apull&account=bob"]
    );
}

#[test]
fn an_identity_token_is_shown_to_the_token_server_only() {
    let fake = Fake::start(guarded("from-identity"));
    let credentials = Credentials {
        username: "bob".into(),
        identity_token: "ident1234".into(),
        ..Credentials::default()
    };
    let connection = connect(&fake, &credentials);
    assert_eq!(ask(&connection, "a/b/x").unwrap(), "Bearer from-identity");
    for seen in fake.seen().iter().filter(|seen| seen.path != "/token") {
        assert!(!format!("{seen:?}").contains("ident1234"), "{seen:?}");
    }
    let login = hasty().login(&fake.host(), &bob());
    assert!(login.is_err(), "the registry takes only the other token");
}

#[test]
fn a_login_may_give_an_identity_token() {
    let fake = Fake::start(guarded("from-password"));
    let login = hasty().login(&fake.host(), &bob()).unwrap();
    assert_eq!(login.identity_token, "ident1234");
    let wrong = Credentials {
        password: "wrong".into(),
        ..bob()
    };
    let error = hasty().login(&fake.host(), &wrong).unwrap_err().to_string();
    let host = fake.host();
    assert_eq!(
        error,
        format!("Get \"http://{host}/v2/\": unauthorized: incorrect username or password")
    );
}

#[test]
fn a_token_without_the_right_is_a_denial() {
    let fake = Fake::start(guarded("nothing-fits"));
    let error = ask(&connect(&fake, &Credentials::default()), "a/b/x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "denied: requested access to the resource is denied"
    );
}

#[test]
fn hostile_token_servers_are_refused() {
    let check = |token: fn() -> Say, expected: &str| {
        let fake = Fake::start(move |seen| match seen.path.starts_with("/token") {
            true => token(),
            false => Say::new(401, "").with(
                "WWW-Authenticate",
                format!(r#"Bearer realm="http://{}/token""#, seen.header("host")),
            ),
        });
        let error = ask(&connect(&fake, &bob()), "x").unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(
        || Say::new(200, "").endless(),
        "is longer than 1048576 bytes",
    );
    check(
        || Say::new(200, r#"{"token":"a b"}"#),
        "its token server's token fits no header",
    );
    check(
        || Say::new(200, "{}"),
        "authorization server did not include a token in the response",
    );
    check(
        || Say::new(500, "oops"),
        "received unexpected HTTP status: 500",
    );
}

#[test]
fn a_password_is_not_sent_to_a_realm_without_tls() {
    let fake = Fake::start(|_| {
        let challenge = r#"Bearer realm="http://192.0.2.1/token""#;
        Say::new(401, "").with("WWW-Authenticate", challenge)
    });
    let wanted = token::Wanted {
        challenge: &challenge::parse(r#"Bearer realm="http://192.0.2.1/token""#)[0],
        scopes: &[],
        credentials: &bob(),
        offline: false,
        method: "Get",
        url: "https://registry.invalid/v2/",
    };
    let connection = connect(&fake, &bob());
    let error = token::fetch(connection.wire(), wanted).err().unwrap();
    assert!(error.to_string().ends_with("realm is not https"), "{error}");
}

#[test]
fn redirects_are_followed_without_credentials() {
    let other = Fake::start(|seen| Say::new(200, seen.header("authorization")));
    let there = other.host();
    let fake = Fake::start(move |seen| match seen.path.as_str() {
        "/v2/far" => Say::new(307, "").with("Location", format!("http://{there}/blob?sig=1")),
        "/v2/near" => Say::new(302, "").with("Location", "/v2/here"),
        "/v2/round" => Say::new(302, "").with("Location", "/v2/round"),
        "/v2/lost" => Say::new(302, ""),
        "/v2/" => Say::new(401, "").with("WWW-Authenticate", r#"Basic realm="x""#),
        _ => Say::new(200, seen.header("authorization")),
    });
    let connection = connect(&fake, &bob());
    assert_eq!(ask(&connection, "far").unwrap(), "");
    assert_eq!(ask(&connection, "near").unwrap(), "Basic Ym9iOnNlY3JldA==");
    let error = ask(&connection, "round").unwrap_err().to_string();
    assert!(error.ends_with("stopped after 10 redirects"), "{error}");
    let error = ask(&connection, "lost").unwrap_err().to_string();
    assert!(error.ends_with("without saying where"), "{error}");
}

#[test]
fn a_busy_registry_is_asked_again_for_a_while() {
    let count = AtomicU32::new(0);
    let fake = Fake::start(move |seen| match seen.path.as_str() {
        "/v2/twice" if count.fetch_add(1, Ordering::SeqCst) < 2 => {
            Say::error(429, "TOOMANYREQUESTS", "slow down").with("Retry-After", "0")
        }
        "/v2/never" => Say::error(429, "TOOMANYREQUESTS", "slow down"),
        "/v2/days" => {
            Say::error(429, "TOOMANYREQUESTS", "come tomorrow").with("Retry-After", "86400")
        }
        "/v2/broken" => Say::new(502, "<html>"),
        _ => Say::new(200, "done"),
    });
    let connection = connect(&fake, &Credentials::default());
    let asked = |path: &str| {
        let lines = fake.lines();
        lines.iter().filter(|line| line.ends_with(path)).count()
    };
    assert_eq!(ask(&connection, "twice").unwrap(), "done");
    assert_eq!(asked("twice"), 3);
    let error = |path: &str| ask(&connection, path).unwrap_err().to_string();
    assert_eq!(error("never"), "toomanyrequests: slow down");
    assert_eq!(asked("never"), 3);
    assert_eq!(error("days"), "toomanyrequests: come tomorrow");
    assert_eq!(asked("days"), 1);
    assert_eq!(
        error("broken"),
        "received unexpected HTTP status: 502 Bad Gateway"
    );
}

#[test]
fn long_headers_are_refused() {
    let fake = Fake::start(|seen| match seen.path.as_str() {
        "/v2/" => Say::new(200, ""),
        _ => Say::new(200, "").with("X", "x".repeat(100 << 10)),
    });
    assert!(ask(&connect(&fake, &bob()), "x").is_err());
}

#[test]
fn documents_have_limits_and_digests() {
    let bytes = b"{}".to_vec();
    let mut shelf = Shelf::default();
    shelf.blob("a/b", bytes.clone());
    let good = Digest::of(&bytes);
    let other = Digest::of(b"other");
    let fake = Fake::start(move |seen| match seen.path.as_str() {
        "/v2/a/b/manifests/endless" => Say::new(200, "").endless(),
        path if path.ends_with(&other.to_string()) => Say::new(200, "{}"),
        _ => shelf.answer(seen),
    });
    let connection = connect(&fake, &Credentials::default());
    let error = connection.manifest("a/b", "endless").unwrap_err();
    assert!(
        error.to_string().contains("longer than 4194304 bytes"),
        "{error}"
    );
    let error = connection.manifest("a/b", &other.to_string()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("manifest verification failed for digest {other}")
    );
    let document = |digest, size| connection.document("a/b", &describe("", digest, size));
    assert_eq!(document(good, 2).unwrap(), bytes);
    assert!(matches!(
        document(other, 2),
        Err(RemoteError::BlobDigest(_))
    ));
    assert!(matches!(
        document(good, 1),
        Err(RemoteError::BlobSize { .. })
    ));
    assert!(matches!(
        document(good, 3),
        Err(RemoteError::Unreachable { .. })
    ));
    assert!(matches!(
        document(good, 5 << 20),
        Err(RemoteError::TooLong { .. })
    ));
}

#[test]
fn a_search_asks_the_index_of_the_registry() {
    let fake = Fake::start(|seen| {
        let results = serde_json::json!([
            {"name": "busybox", "description": "small", "star_count": 5, "is_official": true},
            {"name": "me/busybox"}, {"name": "third"},
        ]);
        match seen.path.as_str() {
            "/v1/search?q=busy+box&n=2" => {
                Say::new(200, serde_json::json!({"results": results}).to_string())
            }
            _ => Say::new(404, ""),
        }
    });
    let host = fake.host();
    let hits = hasty()
        .search(&format!("{host}/busy box"), 2, &Credentials::default())
        .unwrap();
    let names: Vec<_> = hits.iter().map(|hit| hit.name.as_str()).collect();
    assert_eq!(names, ["busybox", "me/busybox"]);
    assert!(hits[0].is_official && !hits[1].is_official);
    assert!(hasty().search(&format!("{host}/x"), 2, &bob()).is_err());
}

#[test]
fn debians_registry_lets_in_who_has_the_password() {
    let peer = Peer::start(Guard::Password);
    let host = peer.host();
    assert_eq!(hasty().login(&host, &bob()).unwrap().identity_token, "");
    let wrong = Credentials {
        password: "wrong".into(),
        ..bob()
    };
    assert_eq!(
        hasty().login(&host, &wrong).unwrap_err().to_string(),
        format!("login attempt to http://{host}/v2/ failed with status: 401 Unauthorized")
    );
    let endpoints = hasty().endpoints(&host, Purpose::Pull);
    let nobody = Credentials::default();
    let connection = Connection::open(&hasty(), &endpoints[1], &nobody, &uncancelled()).unwrap();
    assert_eq!(
        connection
            .tagged("busybox", "latest")
            .unwrap_err()
            .to_string(),
        format!("Head \"http://{host}/v2/busybox/manifests/latest\": no basic auth credentials")
    );
}

#[test]
fn a_certificate_is_trusted_if_its_folder_says_so() {
    let peer = Peer::start(Guard::Tls);
    let endpoint = Endpoint {
        base: format!("https://{}", peer.host()),
        host: peer.host(),
        verified: true,
        mirror: false,
    };
    let open = |remote: &Remote, endpoint: &Endpoint| {
        Connection::open(remote, endpoint, &Credentials::default(), &uncancelled()).map(drop)
    };
    let error = open(&hasty(), &endpoint).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "Get \"https://{}/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
            peer.host()
        )
    );
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join(peer.host());
    std::fs::create_dir(&own).unwrap();
    std::fs::copy(peer.authority(), own.join("ca.crt")).unwrap();
    let trusting = hasty_with(RemoteOptions {
        certificates: vec![folder.path().to_owned()],
        ..RemoteOptions::default()
    });
    open(&trusting, &endpoint).unwrap();
    let lax = Endpoint {
        verified: false,
        ..endpoint.clone()
    };
    open(&hasty(), &lax).unwrap();
    // A key without its certificate is a mistake that is said.
    std::fs::write(own.join("client.key"), "").unwrap();
    let error = open(&trusting, &endpoint).unwrap_err().to_string();
    assert!(error.contains("missing client certificate"), "{error}");
}

#[test]
fn what_a_registry_has_is_described() {
    let mut shelf = Shelf::default();
    let image = crate::samples::SampleImage::new(&["one"]);
    let one = shelf.image("a/b", &image);
    shelf.tag("a/b", "1", &one);
    let mut entry = one.clone();
    entry["platform"] = serde_json::json!({"os": "linux", "architecture": "arm64"});
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    });
    shelf.manifest("a/b", Some("many"), &index);
    let fake = Fake::start(move |seen| shelf.answer(seen));
    let describe = |tag: &str| {
        let name = format!("{}/a/b:{tag}", fake.host()).parse().unwrap();
        hasty().describe(&name, &Credentials::default())
    };
    let one = describe("1").unwrap();
    assert_eq!(one.media_type, OCI_MANIFEST);
    assert_eq!(one.platforms[0].to_string(), "linux/amd64");
    assert_eq!(
        describe("many").unwrap().platforms[0].to_string(),
        "linux/arm64"
    );
    assert_eq!(
        describe("none").unwrap_err().to_string(),
        "manifest unknown: manifest unknown"
    );
}
