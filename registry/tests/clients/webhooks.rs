//! Webhooks: what they are told, again if need be, and chains of them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::served::{OCI_MANIFEST, Served};

/// Takes what a webhook is sent.
struct Hook {
    url: String,
    told: Receiver<(String, Value)>,
}

impl Hook {
    /// Answers with these statuses, one after the other, and then with 200.
    fn start(statuses: &'static [u16]) -> Hook {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (send, told) = channel();
        std::thread::spawn(move || {
            let mut statuses = statuses.iter();
            for connection in listener.incoming() {
                let mut reader = BufReader::new(connection.unwrap());
                let (mut head, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    let lower = line.to_ascii_lowercase();
                    if let Some(number) = lower.strip_prefix("content-length:") {
                        length = number.trim().parse().unwrap();
                    }
                    head.push_str(&lower);
                    if line == "\r\n" {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let status = statuses.next().unwrap_or(&200);
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
                if send
                    .send((head, serde_json::from_slice(&body).unwrap()))
                    .is_err()
                {
                    return;
                }
            }
        });
        Hook { url, told }
    }

    fn next(&self) -> (String, Value) {
        self.told
            .recv_timeout(Duration::from_secs(20))
            .expect("the hook is told")
    }

    fn is_silent(&self) -> bool {
        self.told.recv_timeout(Duration::from_millis(300)) == Err(RecvTimeoutError::Timeout)
    }
}

#[test]
fn a_hook_is_told_in_distribution_s_envelope() {
    let hook = Hook::start(&[]);
    let served = Served::with(&format!(
        "[auth]\nhtpasswd = \"@/htpasswd\"\n[[webhooks]]\nurl = \"{}\"\nrepositories = [\"team/*\"]\nheaders = {{ Authorization = \"Bearer x\" }}",
        hook.url
    ));
    let ann = ["--user", "ann:nna"];
    served.push("other", "1", &ann);
    let digest = served.push("team/app", "1", &ann);
    let mut actions = Vec::new();
    let event = loop {
        let (head, body) = hook.next();
        assert!(head.contains("authorization: bearer x"), "{head}");
        assert!(head.contains("content-type: application/vnd.docker.distribution.events.v1+json"));
        let event = body["events"][0].clone();
        assert_eq!(event["target"]["repository"], "team/app");
        actions.push(event["action"].as_str().unwrap().to_owned());
        if event["target"]["tag"] == "1" {
            break event;
        }
    };
    assert!(actions.iter().all(|action| action == "push"), "{actions:?}");
    assert_eq!(event["target"]["digest"], digest);
    assert_eq!(event["target"]["mediaType"], OCI_MANIFEST);
    assert_eq!(event["actor"]["name"], "ann");
    assert_eq!(event["request"]["method"], "PUT");
    assert_eq!(
        event["target"]["url"],
        format!("http://{}/v2/team/app/manifests/{digest}", served.address)
    );
}

#[test]
fn a_hook_is_told_again_until_it_listens() {
    let hook = Hook::start(&[500, 503]);
    let config = "[[webhooks]]\nevents = [\"delete\", \"pull\"]\nurl = ";
    let served = Served::with(&format!("{config}\"{}\"", hook.url));
    served.push("a", "1", &[]);
    served.curl("/v2/a/manifests/1", &[]);
    let tries = [hook.next(), hook.next(), hook.next()].map(|(_, body)| body);
    assert!(tries.iter().all(|body| *body == tries[0]));
    assert_eq!(tries[0]["events"][0]["action"], "pull");
    served.curl("/v2/a/manifests/1", &["--request", "DELETE"]);
    let (_, body) = hook.next();
    let event = &body["events"][0];
    assert_eq!(
        (&event["action"], &event["target"]["tag"]),
        (&json!("delete"), &json!("1"))
    );
    assert!(hook.is_silent());
}

#[test]
fn a_chain_goes_on_when_it_is_called_back() {
    let (first, second) = (Hook::start(&[]), Hook::start(&[]));
    let hook = |hook: &Hook| format!("[[webhooks]]\nform = \"hub\"\nurl = \"{}\"\n", hook.url);
    let served = Served::with(&(hook(&first) + &hook(&second)));
    let call_back = |body: &Value, state: &str| {
        let url = body["callback_url"].as_str().unwrap();
        let path = url
            .strip_prefix(&format!("http://{}", served.address))
            .unwrap();
        let outcome = json!({"state": state, "description": "it is so"}).to_string();
        served.send(path, "POST", &outcome, &[]).status
    };
    served.push("team/app", "v1", &[]);
    let (_, body) = first.next();
    assert_eq!(body["push_data"]["tag"], "v1");
    assert_eq!(body["push_data"]["pusher"], "anonymous");
    let repository = &body["repository"];
    let named = ["name", "namespace", "repo_name"].map(|key| repository[key].clone());
    assert_eq!(named, ["app", "team", "team/app"]);
    assert_eq!(repository["is_private"], true);
    assert!(second.is_silent());
    assert_eq!(call_back(&body, "nonsense"), 400);
    assert_eq!(call_back(&body, "success"), 200);
    let (_, last) = second.next();
    assert_eq!(last["repository"], body["repository"]);
    // An address counts once.
    assert_eq!(call_back(&body, "success"), 404);
    served.push("team/app", "v2", &[]);
    let (_, body) = first.next();
    assert_eq!(call_back(&body, "failure"), 200);
    assert!(second.is_silent());
}
