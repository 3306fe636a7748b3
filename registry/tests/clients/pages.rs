//! The web page, as a browser shows it and as programs get it.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::served::{OCI_MANIFEST, Served, sha256};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const AUTH: &str = "[auth]\nrealm = \"Test\"\nhtpasswd = \"@/htpasswd\"\nusers_may = \"own\"";
const ANN: [&str; 2] = ["--user", "ann:nna"];
/// What must stay a text, wherever it was said.
const HOSTILE: &str =
    "</code></td><script>document.body.remove()</script><img src=x onerror=x>\"'&lt;";

fn blob(served: &Served, name: &str, media_type: &str, text: &str) -> Value {
    let digest = sha256(text.as_bytes());
    let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
    let sent = served.send(&path, "POST", text, &ANN);
    assert_eq!(sent.status, 201, "{sent:?}");
    json!({"mediaType": media_type, "digest": digest, "size": text.len()})
}

fn put(served: &Served, name: &str, tag: &str, manifest: &Value) -> Value {
    let text = manifest.to_string();
    let digest = sha256(text.as_bytes());
    let reference = if tag.is_empty() { &digest } else { tag };
    let media_type = manifest["mediaType"].as_str().unwrap();
    let header = format!("Content-Type: {media_type}");
    let path = format!("/v2/{name}/manifests/{reference}");
    let sent = served.send(
        &path,
        "PUT",
        &text,
        &[&["--header", &header], &ANN[..]].concat(),
    );
    assert_eq!(sent.status, 201, "{sent:?}");
    json!({"mediaType": media_type, "digest": digest, "size": text.len()})
}

/// An image that says hostile things wherever it can.
fn image(served: &Served, name: &str, tag: &str, architecture: &str) -> Value {
    let config = json!({
        "architecture": architecture, "os": "linux", "author": HOSTILE,
        "config": {
            "Entrypoint": ["/bin/app", HOSTILE], "Env": ["PATH=/bin", "TOKEN=very-secret"],
            "Labels": {"org.example.note": HOSTILE},
        },
        "rootfs": {"type": "layers", "diff_ids": [sha256(b"1"), sha256(b"2")]},
        "history": [
            {"created_by": "ADD rootfs.tar /"}, {"created_by": "CMD", "empty_layer": true},
            {"created_by": format!("RUN {HOSTILE}")},
        ],
    });
    let kind = "application/vnd.oci.image.config.v1+json";
    let layer = |text: &str| {
        blob(
            served,
            name,
            "application/vnd.oci.image.layer.v1.tar+gzip",
            text,
        )
    };
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": blob(served, name, kind, &config.to_string()),
        "layers": [layer("one"), layer(&"two".repeat(1000))],
        "annotations": {HOSTILE: HOSTILE},
    });
    put(served, name, tag, &manifest)
}

/// What somebody says about a manifest.
fn referrer(served: &Served, name: &str, subject: &Value) {
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": HOSTILE,
        "config": blob(served, name, "application/vnd.oci.empty.v1+json", "{}"),
        "layers": [blob(served, name, "text/plain", "a signature")],
        "subject": subject, "annotations": {"k": HOSTILE},
    });
    put(served, name, "", &manifest);
}

/// A registry of ann's, who sees two of its three repositories.
fn filled(config: &str) -> Served {
    let served = Served::with(config);
    let amd = image(&served, "ann/app", "1.0", "amd64");
    let mut arm = image(&served, "ann/app", "arm", "arm64");
    let mut of_index = amd.clone();
    of_index["platform"] = json!({"os": "linux", "architecture": "amd64"});
    arm["platform"] = json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [of_index, arm]});
    put(&served, "ann/app", "multi", &index);
    referrer(&served, "ann/app", &amd);
    let long = format!("ann/{}", "a-long-name-of-a-repository-".repeat(4) + "end");
    served.push(&long, &"t".repeat(128), &ANN);
    served.push("bob/secret", "1", &["--user", "bob:bob"]);
    let wanted = json!({"description": HOSTILE, "overview": format!("Line one\n{HOSTILE}")});
    let path = "/hull/v1/repositories/ann/app";
    assert_eq!(
        served.send(path, "PATCH", &wanted.to_string(), &ANN).status,
        200
    );
    served
}

/// Nothing came out of a text, and everything fits on a screen and on a phone.
#[track_caller]
fn check(browser: &mut Browser) {
    let live = browser.ask(
        "[...document.querySelectorAll('script, img, iframe, object, [onerror], [style]')] \
         .map(e => e.outerHTML)",
    );
    assert_eq!(live, json!([]));
    for (width, mobile) in [(1280, false), (390, true), (320, true)] {
        let wide = browser.overflow(width, mobile);
        assert!(wide.is_empty(), "at {width}: {wide:#?}");
    }
    browser.overflow(1280, false);
}

#[test]
fn a_browser_goes_from_the_list_to_layers() {
    let served = filled(AUTH);
    let mut browser = Browser::start("ann", "nna");
    // Asked for its password on the way from `/` to the list.
    browser.go(&format!("http://{}/", served.address));
    assert_eq!(browser.ask("location.pathname"), "/ui/");
    let list = browser.text("main");
    assert!(
        list.contains("2 repositories") && list.contains("ann/app"),
        "{list}"
    );
    assert!(list.contains(HOSTILE) && list.contains("private"), "{list}");
    assert!(!list.contains("bob/secret"), "{list}");
    assert!(browser.text("header").contains("Signed in as ann"));
    check(&mut browser);

    browser.type_and_enter("#q", "ONERROR");
    let found = browser.text("main");
    assert!(found.contains("1 repository with"), "{found}");
    assert_eq!(browser.ask("document.querySelector('#q').value"), "ONERROR");
    check(&mut browser);

    browser.click("tbody a");
    assert_eq!(browser.ask("location.pathname"), "/ui/ann/app");
    let tags = browser.text("main");
    for part in [
        "3 tags",
        "1.0",
        "arm",
        "multi",
        "linux/amd64",
        "linux/arm64/v8",
        HOSTILE,
        "kB",
    ] {
        assert!(tags.contains(part), "{part}: {tags}");
    }
    assert!(tags.contains(&format!("docker pull {}/ann/app:multi", served.address)));
    check(&mut browser);

    browser.click("a[href='/ui/ann/app:multi']");
    let index = browser.text("main");
    assert!(
        index.contains("2 images") && index.contains("linux/arm64/v8"),
        "{index}"
    );
    check(&mut browser);
    browser.click("tbody a");
    assert!(browser.text("h1").starts_with("ann/app@sha256:"));

    browser.go(&format!("http://{}/ui/ann/app:1.0", served.address));
    let image = browser.text("main");
    for part in [
        "2 layers, 3.0 kB",
        "ADD rootfs.tar /",
        &format!("RUN {HOSTILE}"),
        "org.example.note",
        "TOKEN",
        "linux/amd64",
        "1 referrer",
        &format!("docker pull {}/ann/app:1.0", served.address),
        &format!("docker pull {}/ann/app@sha256:", served.address),
        &format!("hull pull {}/ann/app:1.0", served.address),
    ] {
        assert!(image.contains(part), "{part}: {image}");
    }
    assert!(!image.contains("very-secret"), "{image}");
    let annotations = browser
        .ask("[...document.querySelectorAll('.pairs > div')].map(e => e.innerText.split('\\n'))");
    assert!(
        annotations
            .as_array()
            .unwrap()
            .contains(&json!([HOSTILE, HOSTILE])),
        "{annotations}"
    );
    check(&mut browser);

    for (path, words) in [
        ("bob/secret", "Not for you"),
        ("ann/nosuch", "No such repository"),
        ("ann/app:nosuch", "No such image"),
    ] {
        browser.go(&format!("http://{}/ui/{path}", served.address));
        assert_eq!(browser.text("h1"), words);
        check(&mut browser);
    }
}

#[test]
fn a_page_is_only_a_page() {
    let served = filled(AUTH);
    let page = served.curl("/ui/ann/app", &ANN);
    assert_eq!(page.status, 200);
    for line in [
        "Content-Type: text/html; charset=utf-8",
        "Content-Security-Policy: default-src 'none'; style-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
        "Cross-Origin-Opener-Policy: same-origin",
        "Cache-Control: private, no-cache",
    ] {
        page.has_header(line);
    }
    let tag = page
        .head
        .lines()
        .find_map(|line| line.strip_prefix("Etag: "));
    let again = format!("If-None-Match: {}", tag.unwrap());
    // Unless an age has moved on between the two.
    let settled = served.curl("/ui/_style.css", &[]);
    settled.has_header("Content-Type: text/css; charset=utf-8");
    let tag = settled
        .head
        .lines()
        .find_map(|line| line.strip_prefix("Etag: "));
    let known = format!("If-None-Match: {}", tag.unwrap());
    assert_eq!(
        served.curl("/ui/_style.css", &["--header", &known]).status,
        304
    );
    let again = served.curl("/ui/ann/app", &[&["--header", &again], &ANN[..]].concat());
    assert!([200, 304].contains(&again.status), "{again:?}");
    let head = served.curl("/ui/ann/app", &[&["--head"], &ANN[..]].concat());
    assert_eq!((head.status, head.body.len()), (200, 0));
    let length = head
        .head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    assert_ne!(length, Some("0"));
    served
        .curl("/ui/ann/app", &[&["--request", "POST"], &ANN[..]].concat())
        .has_header("Allow: GET, HEAD");
    for nothing in ["/ui/ANN", "/ui/ann/app@x", "/ui/a/"] {
        assert_eq!(served.curl(nothing, &ANN).status, 404, "{nothing}");
    }
}

#[test]
fn who_may_see_nothing_is_asked() {
    let tokens = format!("{AUTH}\n[auth.token]\nservice = \"here\"");
    for config in [AUTH, &tokens] {
        let served = filled(config);
        let asked = |path: &str, arguments: &[&str]| {
            let response = served.curl(path, arguments);
            assert_eq!(response.status, 401, "{path}: {response:?}");
            response.has_header("Www-Authenticate: Basic realm=\"Test\", charset=\"UTF-8\"");
            assert!(response.text().contains("<h1>Sign in</h1>"), "{response:?}");
        };
        asked("/ui/", &[]);
        asked("/ui/_sign-in", &[]);
        asked("/ui/ann/app", &[]);
        asked("/ui/ann/nosuch:1", &[]);
        asked("/ui/", &["--user", "ann:wrong"]);
        let signed_in = served.curl("/ui/_sign-in", &ANN);
        assert_eq!(signed_in.status, 303);
        signed_in.has_header("Location: /ui/");
        assert_eq!(served.curl("/ui/ann/app:1.0", &ANN).status, 200);
        let denied = served.curl("/ui/bob/secret:1", &ANN);
        assert_eq!(denied.status, 403);
        assert!(denied.text().contains("<h1>Not for you</h1>"));

        // What is open is there for everybody, and a way in beside it.
        let open = json!({"visibility": "public"}).to_string();
        let path = "/hull/v1/repositories/ann/app";
        assert_eq!(served.send(path, "PATCH", &open, &ANN).status, 200);
        let list = served.curl("/ui/", &[]);
        assert_eq!(list.status, 200);
        let text = list.text();
        assert!(
            text.contains("ann/app") && text.contains("/ui/_sign-in"),
            "{text}"
        );
        assert!(!text.contains("bob/secret"), "{text}");
        assert_eq!(served.curl("/ui/ann/app:1.0", &[]).status, 200);
    }
}

#[test]
fn programs_find_the_registry_as_ever() {
    let served = Served::with("metrics = true");
    served.push("a", "1", &[]);
    let root = served.curl("/", &[]);
    assert_eq!((root.status, root.body.len()), (200, 0));
    root.has_header("Cache-Control: no-cache");
    root.has_header("Content-Length: 0");
    let browser = [
        "--header",
        "Accept: text/html,application/xhtml+xml,*/*;q=0.8",
    ];
    let sent_on = served.curl("/", &browser);
    assert_eq!(sent_on.status, 303);
    sent_on.has_header("Location: /ui/");
    sent_on.has_header("Vary: Accept");
    assert_eq!(served.curl("/ui", &[]).status, 301);
    let list = served.curl("/ui/", &[]);
    assert!(list.text().contains("<bdi>a</bdi>") && !list.text().contains("Sign in"));
    let figures = served.curl("/metrics", &[]).text();
    let line = "hull_registry_requests_total{endpoint=\"page\",method=\"GET\",code=\"200\"} 1";
    assert!(figures.contains(line), "{figures}");
}

#[test]
fn the_pages_can_be_switched_off() {
    let served = Served::with("ui = false");
    served.push("a", "1", &[]);
    for path in ["/ui", "/ui/", "/ui/a", "/ui/a:1", "/ui/_style.css"] {
        let response = served.curl(path, &[]);
        assert_eq!(
            (response.status, response.text().as_str()),
            (404, "404 page not found\n")
        );
    }
    let browser = ["--header", "Accept: text/html"];
    assert_eq!(served.curl("/", &browser).status, 200);
}

#[test]
fn lists_come_by_pages() {
    let served = Served::open();
    let digest = served.push("many", "t00", &[]);
    let path = format!("/v2/many/manifests/{digest}");
    let header = format!("Accept: {OCI_MANIFEST}");
    let manifest = served.curl(&path, &["--header", &header]).text();
    let tags: String = (1..51).map(|number| format!("&tag=t{number:02}")).collect();
    let header = format!("Content-Type: {OCI_MANIFEST}");
    let path = format!("{path}?{}", &tags[1..]);
    let tagged = served.send(&path, "PUT", &manifest, &["--header", &header]);
    assert_eq!(tagged.status, 201, "{tagged:?}");
    let first = served.curl("/ui/many", &[]).text();
    assert!(
        first.contains("51 tags") && first.contains("Page 1 of 2"),
        "{first}"
    );
    // The newest is first.
    assert!(first.contains("/ui/many:t50\"") && !first.contains("/ui/many:t00\""));
    let second = served.curl("/ui/many?page=2", &[]).text();
    assert!(second.contains("/ui/many:t00\"") && second.contains("/ui/many?page=1\""));
    for odd in ["0", "-1", "x", "18446744073709551615", "3"] {
        let page = served.curl(&format!("/ui/many?page={odd}"), &[]);
        assert_eq!(page.status, 200, "{odd}");
        assert_eq!(
            served.curl(&format!("/ui/?page={odd}&q=many"), &[]).status,
            200
        );
    }
}
