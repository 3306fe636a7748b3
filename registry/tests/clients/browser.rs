//! Chromium without a window, driven by its DevTools protocol over two pipes: no driver, no port.
//!
//! Pages' scripts are switched off; what a test asks the page goes past that switch.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Far more than anything takes, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    /// Events that nobody has looked at.
    events: Vec<Value>,
    count: u64,
    session: Option<String>,
    credentials: (String, String),
    profile: TempDir,
}

impl Browser {
    /// Starts one that answers with these credentials when it is asked who it is.
    pub(crate) fn start(user: &str, password: &str) -> Browser {
        let profile = tempfile::tempdir().unwrap();
        let log = File::create(profile.path().join("log")).unwrap();
        // The protocol's pipes are descriptors 3 and 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null"])
            .args(["chromium", "--headless", "--no-sandbox", "--disable-gpu"])
            .args([
                "--disable-dev-shm-usage",
                "--disable-quic",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .args([
                "--disable-sync",
                "--no-proxy-server",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("sh runs");
        let commands = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let (send, messages) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while answers
                .read_until(0, &mut bytes)
                .is_ok_and(|count| count > 0)
            {
                bytes.pop();
                let message = serde_json::from_slice(&bytes).expect("a message is JSON");
                if send.send(message).is_err() {
                    return;
                }
                bytes.clear();
            }
        });
        let mut browser = Browser {
            child,
            commands,
            messages,
            events: Vec::new(),
            count: 0,
            session: None,
            credentials: (user.to_owned(), password.to_owned()),
            profile,
        };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", &attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        browser.call("Page.enable", &json!({}));
        browser.call("Fetch.enable", &json!({"handleAuthRequests": true}));
        browser.call(
            "Emulation.setScriptExecutionDisabled",
            &json!({"value": true}),
        );
        browser
    }

    /// Goes to an address and waits until all of it is there.
    pub(crate) fn go(&mut self, url: &str) {
        self.events.clear();
        let gone = self.call("Page.navigate", &json!({"url": url}));
        assert!(gone.get("errorText").is_none(), "{url}: {gone}");
        self.wait("Page.loadEventFired");
    }

    /// Clicks on what leads to another page, and waits until all of it is there.
    #[track_caller]
    pub(crate) fn click(&mut self, selector: &str) {
        let found = self.ask(&format!(
            "(() => {{ const found = document.querySelector({}); \
             if (!found) return false; found.scrollIntoView(); found.click(); return true }})()",
            json!(selector)
        ));
        assert_eq!(found, true, "no {selector} in {}", self.text("body"));
        self.wait("Page.loadEventFired");
    }

    /// Types into the field that has the focus, and sends the form.
    pub(crate) fn type_and_enter(&mut self, selector: &str, text: &str) {
        self.ask(&format!(
            "document.querySelector({}).focus()",
            json!(selector)
        ));
        self.call("Input.insertText", &json!({"text": text}));
        self.events.clear();
        for kind in ["keyDown", "keyUp"] {
            let key = json!({"type": kind, "key": "Enter", "code": "Enter", "text": "\r",
                "windowsVirtualKeyCode": 13});
            self.call("Input.dispatchKeyEvent", &key);
        }
        self.wait("Page.loadEventFired");
    }

    /// What a person reads there.
    pub(crate) fn text(&mut self, selector: &str) -> String {
        let text = self.ask(&format!(
            "document.querySelector({})?.innerText ?? null",
            json!(selector)
        ));
        let text = text.as_str().map(str::to_owned);
        text.unwrap_or_else(|| panic!("no {selector}"))
    }

    /// What an expression comes to.
    pub(crate) fn ask(&mut self, expression: &str) -> Value {
        let answer = self.call(
            "Runtime.evaluate",
            &json!({"expression": expression, "returnByValue": true}),
        );
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// Makes the window so wide, and says what does not fit into it.
    pub(crate) fn overflow(&mut self, width: u32, mobile: bool) -> Vec<String> {
        let screen =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": mobile});
        self.call("Emulation.setDeviceMetricsOverride", &screen);
        let found = self.ask(&format!(
            "[...document.querySelectorAll('body, body *')] \
             .filter(e => e.getBoundingClientRect().right > {width} + 1 || \
             document.documentElement.scrollWidth > {width}) \
             .map(e => e.outerHTML.slice(0, 200))"
        ));
        serde_json::from_value(found).unwrap()
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        let id = self.send(method, params);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.next(deadline, method);
            if message["id"] == id {
                let error = message.get("error");
                assert!(error.is_none(), "{method}: {error:?}");
                return message["result"].clone();
            }
            self.take(message);
        }
    }

    fn send(&mut self, method: &str, params: &Value) -> u64 {
        self.count += 1;
        let mut message = json!({"id": self.count, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        if let Err(error) = self.commands.write_all(&bytes) {
            panic!("chromium does not listen: {error}\n{}", self.log());
        }
        self.count
    }

    fn wait(&mut self, event: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.events.iter().position(|one| one["method"] == event) {
                self.events.remove(at);
                return;
            }
            let message = self.next(deadline, event);
            self.take(message);
        }
    }

    fn next(&mut self, deadline: Instant, what: &str) -> Value {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.messages.recv_timeout(left) {
            Ok(message) => message,
            Err(error) => panic!("chromium: {what}: {error}\n{}", self.log()),
        }
    }

    /// Keeps an event for who waits for it. Requests wait to be let go.
    fn take(&mut self, message: Value) {
        let request = &message["params"]["requestId"];
        match message["method"].as_str() {
            Some("Fetch.requestPaused") => {
                self.send("Fetch.continueRequest", &json!({"requestId": request}));
            }
            Some("Fetch.authRequired") => {
                let (username, password) = &self.credentials;
                let answer = json!({"response": "ProvideCredentials", "username": username,
                    "password": password});
                let answer = json!({"requestId": request, "authChallengeResponse": answer});
                self.send("Fetch.continueWithAuth", &answer);
                self.events.push(message);
            }
            Some(_) => self.events.push(message),
            // The answer to one of those.
            None => {}
        }
    }

    fn log(&self) -> String {
        let path = self.profile.path().join("log");
        std::fs::read_to_string(path).unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its other processes go with it. One that has ended already is only waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
