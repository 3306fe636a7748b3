//! Tokens of an issuer elsewhere, which a small server plays.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use crate::served::{Response, Served, run};

/// Issues tokens for whatever is asked for; nobody but ann gets more than `pull`.
struct Issuer {
    pair: Ed25519KeyPair,
}

impl Issuer {
    fn new() -> Issuer {
        let random = ring::rand::SystemRandom::new();
        let secret = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(secret.as_ref()).unwrap();
        Issuer { pair }
    }

    fn write_keys(&self, path: &Path) {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.pair.public_key());
        let key = json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "k", "x": x});
        std::fs::write(path, json!({"keys": [key]}).to_string()).unwrap();
    }

    fn token(&self, kind: &str, name: &str, actions: &[&str], lasts: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = i64::try_from(now.as_secs()).unwrap();
        let claims = json!({
            "iss": "the issuer", "aud": "the registry", "sub": "ann", "exp": now + lasts, "nbf": now,
            "access": [{"type": kind, "name": name, "actions": actions}],
        });
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"typ": "JWT", "alg": "EdDSA", "kid": "k"});
        let text = format!("{}.{}", part(&header), part(&claims));
        let signature = self.pair.sign(text.as_bytes());
        format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// Listens as long as the test runs; says where.
    fn listen(self: Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let realm = format!("http://{}/token", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut reader = BufReader::new(&stream);
                let mut head = String::new();
                while reader.read_line(&mut head).is_ok_and(|length| length > 2) {}
                let query = head.split(['?', ' ']).nth(2).unwrap_or_default();
                let pairs = form_urlencoded::parse(query.as_bytes());
                let scope = pairs.into_owned().find(|(name, _)| name == "scope");
                let scope = scope.map(|(_, scope)| scope).unwrap_or_default();
                let mut words = scope.splitn(3, ':');
                let mut word = || words.next().unwrap_or_default().to_owned();
                let (kind, name, actions) = (word(), word(), word());
                let known = head.contains(&BASE64_STANDARD.encode("ann:nna"));
                let actions = if known {
                    actions.split(',').collect()
                } else {
                    vec!["pull"]
                };
                let token = self.token(&kind, &name, &actions, 300);
                let body = json!({"token": token, "expires_in": 300}).to_string();
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
                );
                // Who leaves early gets none.
                let _gone = stream.write_all(answer.as_bytes());
            }
        });
        realm
    }
}

fn served(issuer: &Issuer, realm: &str) -> Served {
    let config = format!(
        "[tokens]\nrealm = \"{realm}\"\nservice = \"the registry\"\nissuer = \"the issuer\"\n\
         keys = \"@/keys.json\""
    );
    Served::prepared(&config, |folder| {
        issuer.write_keys(&folder.join("keys.json"));
    })
}

fn with(served: &Served, path: &str, token: &str, more: &[&str]) -> Response {
    let header = format!("Authorization: Bearer {token}");
    served.curl(path, &[&["--header", &header], more].concat())
}

const ALL: [&str; 3] = ["pull", "push", "delete"];

#[test]
fn a_token_opens_what_it_says_and_nothing_else() {
    let issuer = Issuer::new();
    let served = served(&issuer, "https://auth.example/token");
    let token = |name: &str, actions: &[&str]| issuer.token("repository", name, actions, 300);
    let all = format!("Authorization: Bearer {}", token("a/b", &ALL));
    served.push("a/b", "1", &["--header", &all]);
    let challenge =
        "Www-Authenticate: Bearer realm=\"https://auth.example/token\",service=\"the registry\"";
    let asked = served.curl("/v2/", &[]);
    asked.refused(401, "UNAUTHORIZED");
    asked.has_header(challenge);
    let path = "/v2/a/b/manifests/1";
    let asked = served.curl(path, &[]);
    asked.has_header(&format!("{challenge},scope=\"repository:a/b:pull\""));

    let pull = token("a/b", &["pull"]);
    assert_eq!(with(&served, "/v2/", &pull, &[]).status, 200);
    assert_eq!(with(&served, path, &pull, &[]).status, 200);
    let push = with(
        &served,
        "/v2/a/b/blobs/uploads/",
        &pull,
        &["--request", "POST"],
    );
    push.refused(401, "UNAUTHORIZED");
    push.has_header(&format!(
        "{challenge},scope=\"repository:a/b:pull,push\",error=\"insufficient_scope\""
    ));
    with(&served, path, &pull, &["--request", "DELETE"]).refused(401, "UNAUTHORIZED");
    for other in [
        token("a", &ALL),
        token("a/b/c", &ALL),
        issuer.token("plugin", "a/b", &ALL, 300),
    ] {
        with(&served, path, &other, &[]).refused(401, "UNAUTHORIZED");
    }
    for bad in [
        issuer.token("repository", "a/b", &ALL, -300),
        Issuer::new().token("repository", "a/b", &ALL, 300),
    ] {
        let refused = with(&served, path, &bad, &[]);
        refused.refused(401, "UNAUTHORIZED");
        refused.has_header(&format!("{challenge},error=\"invalid_token\""));
    }
    // There are no passwords here, and no tokens to be had.
    served
        .curl(path, &["--user", "ann:nna"])
        .refused(401, "UNAUTHORIZED");
    assert_eq!(served.curl("/token?service=x", &[]).status, 404);
}

#[test]
fn the_list_of_all_is_for_whom_the_issuer_says() {
    let issuer = Issuer::new();
    let served = served(&issuer, "https://auth.example/token");
    let all = format!(
        "Authorization: Bearer {}",
        issuer.token("repository", "a/b", &ALL, 300)
    );
    served.push("a/b", "1", &["--header", &all]);
    let asked = served.curl("/v2/_catalog", &["--header", &all]);
    asked.refused(401, "UNAUTHORIZED");
    assert!(
        asked.head.contains("scope=\"registry:catalog:*\""),
        "{}",
        asked.head
    );
    let catalog = issuer.token("registry", "catalog", &["*"], 300);
    let listed = with(&served, "/v2/_catalog", &catalog, &[]).text();
    assert_eq!(listed, "{\"repositories\":[\"a/b\"]}\n");
    // A search shows nobody what he may not see.
    let search = |token: &[&str]| served.curl("/v1/search?q=", token).text();
    assert!(search(&[]).contains("\"num_results\":0"));
    // Who pushed something knows of it.
    assert!(search(&["--header", &all]).contains("\"num_results\":1"));
    let header = format!("Authorization: Bearer {catalog}");
    assert!(search(&["--header", &header]).contains("\"num_results\":1"));
}

#[test]
fn skopeo_gets_its_tokens_there() {
    let issuer = Arc::new(Issuer::new());
    let served = served(&issuer, &issuer.clone().listen());
    let all = format!(
        "Authorization: Bearer {}",
        issuer.token("repository", "a", &ALL, 300)
    );
    let digest = served.push("a", "1", &["--header", &all]);
    let copy = |credentials: &[&str]| {
        Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet", "--preserve-digests"])
            .args(["--src-tls-verify=false", "--dest-tls-verify=false"])
            .args(credentials)
            .args(["a:1", "b:2"].map(|name| format!("docker://{}/{name}", served.address)))
            .output()
            .unwrap()
    };
    let stranger = copy(&["--src-no-creds", "--dest-no-creds"]);
    assert!(!stranger.status.success());
    let output = copy(&["--src-no-creds", "--dest-creds", "ann:nna"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found = run(Command::new("skopeo")
        .args([
            "inspect",
            "--no-creds",
            "--tls-verify=false",
            "--format",
            "{{.Digest}}",
        ])
        .arg(format!("docker://{}/b:2", served.address)));
    assert_eq!(found.trim(), digest);
}
