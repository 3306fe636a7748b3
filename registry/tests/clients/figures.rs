//! Metrics and the access log.

use crate::served::Served;

#[test]
fn requests_are_counted_and_logged() {
    let served = Served::with("metrics = true\naccess_log = \"@/access.log\"");
    served.push("a", "1", &[]);
    served.curl("/v2/a/manifests/nosuch", &["--user-agent", "x \"y\""]);
    let metrics = served.curl("/metrics", &[]);
    assert_eq!(metrics.status, 200);
    metrics.has_header("Content-Type: text/plain; version=0.0.4; charset=utf-8");
    for line in [
        "hull_registry_requests_total{endpoint=\"manifest\",method=\"PUT\",code=\"201\"} 1",
        "hull_registry_requests_total{endpoint=\"manifest\",method=\"GET\",code=\"404\"} 1",
        "hull_registry_requests_total{endpoint=\"uploads\",method=\"POST\",code=\"201\"} 2",
        "hull_registry_requests_in_flight 1",
    ] {
        let text = metrics.text();
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    let log = std::fs::read_to_string(served.path("access.log")).unwrap();
    let line = log.lines().find(|line| line.contains("nosuch")).unwrap();
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    let expected = "\"GET /v2/a/manifests/nosuch HTTP/1.1\" 404 ";
    assert!(
        line.contains(expected) && line.contains("\"x \\\"y\\\"\""),
        "{line}"
    );
}

#[test]
fn metrics_are_not_shown_unasked_nor_to_strangers() {
    assert_eq!(Served::open().curl("/metrics", &[]).status, 404);
    let served = Served::with("metrics = true\n[auth]\nhtpasswd = \"@/htpasswd\"");
    served.curl("/metrics", &[]).refused(401, "UNAUTHORIZED");
    assert_eq!(served.curl("/metrics", &["--user", "ann:nna"]).status, 200);
}
