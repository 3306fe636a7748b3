//! What differs between any two runs is made the same: ids, moments, ages, names nobody chose,
//! sizes of stand-in images, widths of columns.
//!
//! Ids keep who is who: the first one of a step is `<id 1>` wherever and however long it is
//! shown, so that a container's row must name the container that was made. In what our own client
//! prints its name is `docker`.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::remarks::Client;

/// The rules in their order; what one has replaced, a later one may take up.
const RULES: [(&str, &str); 25] = [
    // A terminal's marks, and a shell's questions to it.
    (r"\r+\n", "\n"),
    (r"\x1b?\[(6n|\?2004[hl])", ""),
    (r"\x1b", ""),
    (r"BusyBox v\S+ \(.*?\)", "BusyBox <version>"),
    // Moments, as the API, lists, `tar`, `ls` and HTTP have them.
    (
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
        "<time>",
    ),
    (
        r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?( [+-]\d{4} [A-Z]+)?",
        "<time>",
    ),
    (
        r"\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT",
        "<time>",
    ),
    (r"\b[A-Z][a-z]{2} +\d+ \d\d:\d\d\b", "<time>"),
    (
        r"\b(Less than a second|About an? (minute|hour)|\d+ (second|minute|hour)s?)\b",
        "<age>",
    ),
    (r#""Pid": [1-9]\d*"#, r#""Pid": <pid>"#),
    // A row of `ps` on the host's side, and of `stats`.
    (
        r"(?m)^(\S+) +\d+ +\d+ +\d+ +\d\d:\d\d +(\S+) +\d\d:\d\d:\d\d +",
        "$1 <process> $2 ",
    ),
    (r"\d+(\.\d+)?%", "<share>%"),
    (r"\S+B / \S+B", "<use> / <use>"),
    // Sizes; that there is nothing stays.
    (r"\b[1-9]\d*(\.\d+)?([kKMGT]i?)?B\b", "<size>"),
    (r"\b0\.\d+([kKMGT]i?)?B\b", "<size>"),
    (r#""([sS]ize)":( ?)[1-9]\d*"#, r#""$1":$2<size>"#),
    (
        r"(?m)^([-dl][-rwxsStT]{9} \d+/\d+) +[1-9]\d* ",
        "$1 <size> ",
    ),
    (r"(?m)^\d+(\.\d+)?[KMG]\t", "<size>\t"),
    // Names that were made up.
    (r"(?m)^(<id \d+>.* )[a-z]+_[a-z]+$", "$1<name>"),
    (r"\bname=[a-z]+_[a-z]+\b", "name=<name>"),
    // Addresses.
    (r"\b([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\b", "<mac>"),
    (r"(?m)^Server: \S+ \(linux\)$", "Server: <server>"),
    // Widths of columns; what a line begins with is layout.
    (r"(\S)[ \t]{2,}", "$1  "),
    (r"(?m)[ \t]+$", ""),
    (r"\n{2,}\z", "\n"),
];

static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let compile = |(pattern, to): &(&str, &'static str)| {
        (Regex::new(pattern).expect("a rule is a valid pattern"), *to)
    };
    RULES.iter().map(compile).collect()
});

/// What our client calls itself, and Docker's calls itself.
static OURSELVES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(^|[\s'])hull([ :])").expect("a valid pattern"));

static ID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b([0-9a-f]{64}|[0-9a-f]{12})\b").expect("a valid pattern"));

/// Makes the texts of one step comparable.
#[derive(Debug, Default)]
pub struct Normal {
    /// Whose output it is; none for a recording's.
    client: Option<Client>,
    /// Texts of this place and what they are called in the recording.
    places: Vec<(String, String)>,
    /// Short ids and their numbers.
    ids: HashMap<String, usize>,
}

impl Normal {
    /// For what a client printed here, where each first text stands for the second.
    pub fn new<'a>(client: Client, places: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let places = places.into_iter();
        Self {
            client: Some(client),
            places: places
                .map(|(ours, theirs)| (ours.into(), theirs.into()))
                .collect(),
            ids: HashMap::new(),
        }
    }

    /// One text; ids that an earlier one had keep their numbers.
    pub fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (ours, theirs) in &self.places {
            text = text.replace(ours, theirs);
        }
        if self.client == Some(Client::Hull) {
            text = OURSELVES.replace_all(&text, "${1}docker$2").into_owned();
        }
        let numbered = ID.replace_all(&text, |found: &Captures<'_>| {
            // As short as they are ever shown.
            let short: String = found[0].chars().take(12).collect();
            let next = self.ids.len() + 1;
            format!("<id {}>", self.ids.entry(short).or_insert(next))
        });
        let mut text = numbered.into_owned();
        for (pattern, to) in COMPILED.iter() {
            text = pattern.replace_all(&text, *to).into_owned();
        }
        rows_in_order(&headers_in_order(&text))
    }
}

static ROW: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\S+  \S+  (<id \d+>)  <age> ago").expect("a valid pattern"));

/// The names of one image, sorted: `docker images` shows them in any order.
fn rows_in_order(text: &str) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let image = |line: &str| ROW.captures(line).map(|found| found[1].to_owned());
    for run in lines.chunk_by_mut(|a, b| image(a).is_some() && image(a) == image(b)) {
        run.sort_unstable();
    }
    lines.concat()
}

/// The headers of HTTP answers, which have no order, sorted.
fn headers_in_order(text: &str) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut at = 0;
    while at < lines.len() {
        let answers = lines[at].contains("HTTP/1.1 ");
        at += 1;
        if answers {
            let rest = &mut lines[at..];
            let end = rest.iter().position(|line| !line.contains(": "));
            let end = end.unwrap_or(rest.len());
            rest[..end].sort_unstable();
            at += end;
        }
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(Normal::default().text(text), expected);
    }

    #[test]
    fn an_id_is_the_same_whole_and_short() {
        let long = "859aa5c61b64f0263f417aa0f3a98f7ca254d30ccb93b887c2546d469f6aaae2";
        check(
            &format!("{long}\n859aa5c61b64\nb27ec311211f\nsha256:{long}\n"),
            "<id 1>\n<id 1>\n<id 2>\nsha256:<id 1>\n",
        );
        let mut normal = Normal::default();
        assert_eq!(normal.text("859aa5c61b64"), "<id 1>");
        assert_eq!(normal.text("b27ec311211f"), "<id 2>");
        check("deadbeef", "deadbeef");
    }

    #[test]
    fn rows_of_lists_lose_widths_ages_and_made_up_names() {
        check(
            "859aa5c61b64   busybox   \"sh\"   1 second ago   Exited (0) Less than a second ago             hardcore_feynman\n",
            "<id 1>  busybox  \"sh\"  <age> ago  Exited (0) <age> ago  <name>\n",
        );
        check(
            "b27ec311211f  x  Up 26 seconds (Paused)  w1\n",
            "<id 1>  x  Up <age> (Paused)  w1\n",
        );
        check(
            "busybox   latest   866a1c9de797   About a minute ago   2.07MB\n",
            "busybox  latest  <id 1>  <age> ago  <size>\n",
        );
        check(
            "python   3   b27ec311211f   5 seconds ago   174MB\n",
            "python  3  <id 1>  <age> ago  <size>\n",
        );
        check("0B (virtual 2.07MB)", "0B (virtual <size>)");
        check("new_busybox   ver_1\n", "new_busybox  ver_1\n");
    }

    #[test]
    fn moments_have_many_forms() {
        check("2026-11-21T03:29:20.466836606Z o1", "<time> o1");
        check("2026-11-21 02:50:38 +0000 UTC", "<time>");
        check(
            "-rw-r--r-- 0/0             399 1970-01-01 00:00 oci-layout",
            "-rw-r--r-- 0/0 <size> <time> oci-layout",
        );
        check(
            "-rw-r--r--    1 root     root             3 Nov 21 03:28 f",
            "-rw-r--r--  1 root  root  3 <time> f",
        );
        check("Date: Sat, 21 Nov 2026 02:46:28 GMT", "Date: <time>");
    }

    #[test]
    fn figures_that_no_two_runs_share_go() {
        check(
            "w1   0.00%     624KiB / 23.54GiB   0.00%     266B / 84B   0B / 0B     1",
            "w1  <share>%  <use> / <use>  <share>%  <use> / <use>  <use> / <use>  1",
        );
        check(
            "root      2599    2575   27   03:29   ?     00:00:00   sleep 100",
            "root <process> ? sleep 100",
        );
        check(
            "    \"Pid\": 1334,\n    \"ExitCode\": 0,\n    \"Size\": 2066795",
            "    \"Pid\": <pid>,\n    \"ExitCode\": 0,\n    \"Size\": <size>",
        );
        check("684K\t/x", "<size>\t/x");
    }

    #[test]
    fn places_are_called_as_in_the_recording() {
        let mut normal = Normal::new(Client::Hull, [("/var/t/oracle", "/oracle")]);
        assert_eq!(
            normal.text("hull: open /var/t/oracle/x: no"),
            "docker: open /oracle/x: no"
        );
        let mut normal = Normal::new(Client::Docker, []);
        assert_eq!(normal.text("overlay hull"), "overlay hull");
    }

    #[test]
    fn headers_have_no_order() {
        check(
            "OKHTTP/1.1 200 OK\r\nServer: Hull/0.1.0 (linux)\r\nB: 2\r\n\r\nz: b\na: a\n",
            "OKHTTP/1.1 200 OK\nB: 2\nServer: <server>\n\nz: b\na: a\n",
        );
    }

    #[test]
    fn names_of_one_image_have_no_order() {
        let row = |name: &str, id: &str| format!("{name}   latest   {id}   2 hours ago   2MB\n");
        check(
            &[
                row("b", "c61e1ec8d266"),
                row("a", "c61e1ec8d266"),
                row("A", "74f48f4f988c"),
            ]
            .concat(),
            "a  latest  <id 1>  <age> ago  <size>\nb  latest  <id 1>  <age> ago  <size>\n\
             A  latest  <id 2>  <age> ago  <size>\n",
        );
    }

    #[test]
    fn a_terminal_leaves_only_its_text() {
        check("/ # \u{1b}[6necho hi\r\nhi\r\n", "/ # echo hi\nhi\n");
        check(
            "BusyBox v1.38.0 (Debian 1:1.38.0-3+b1) built-in shell (ash)",
            "BusyBox <version> built-in shell (ash)",
        );
    }
}
