//! A table of formats, what they print and what they are refused with.

use super::*;
use crate::output::shape::typed;

const CONTAINER: &str = r#"{
    "Id": "55afcfd24cbe", "Name": "/simple1",
    "State": {"Status": "running", "Running": true, "Pid": 1334, "ExitCode": 0},
    "Config": {"Cmd": ["go", "run", "hello.go"], "Env": null, "ExposedPorts": {"80/tcp": {}},
               "Labels": {"b": "2", "a": "1"}},
    "HostConfig": {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}, "PidsLimit": null},
    "RepoTags": ["x:1", "x:2"], "Size": 27380000, "Empty": "", "Ratio": 0.5
}"#;

fn run(format: &str) -> Result<String, String> {
    let value = typed(serde_json::from_str(CONTAINER).expect("valid JSON"));
    let template = Template::parse(format).map_err(|error| error.to_string())?;
    template
        .run(Subject::Json, &value)
        .map_err(|error| error.to_string())
}

#[test]
fn formats_print_what_go_prints() {
    for (format, expected) in [
        ("plain", "plain"),
        ("{{.Id}}", "55afcfd24cbe"),
        ("{{ .ID }}", "55afcfd24cbe"),
        ("{{.State.Pid}} {{.State.Running}}", "1334 true"),
        ("{{.Config.Cmd}}", "[go run hello.go]"),
        ("{{.Config.ExposedPorts}}", "map[80/tcp:{}]"),
        ("{{.HostConfig.RestartPolicy}}", "{always 0}"),
        ("{{.HostConfig.PidsLimit}}{{.Config.Env}}", "<nil>[]"),
        ("{{json .Config.Labels}}", r#"{"a":"1","b":"2"}"#),
        ("{{.Config.Labels.a}}{{.Config.Labels.c}}", "1<no value>"),
        ("{{index .Config.Labels \"b\"}}", "2"),
        ("{{index .RepoTags 1}}", "x:2"),
        ("{{(index .RepoTags 0) | upper}}", "X:1"),
        ("{{len .RepoTags}}", "2"),
        ("{{range .RepoTags}}<{{.}}>{{end}}", "<x:1><x:2>"),
        (
            "{{range $t := .RepoTags}}TAG: {{$t}}{{println}}{{end}}Total: {{len .RepoTags}}",
            "TAG: x:1\nTAG: x:2\nTotal: 2",
        ),
        (
            "{{range $i, $t := .RepoTags}}{{$i}}={{$t}} {{end}}",
            "0=x:1 1=x:2 ",
        ),
        (
            "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}},{{end}}",
            "a=1,b=2,",
        ),
        ("{{range .Config.Env}}x{{else}}none{{end}}", "none"),
        (
            "{{range .RepoTags}}{{if eq . \"x:2\"}}{{break}}{{end}}{{.}}{{end}}",
            "x:1",
        ),
        (
            "{{range .RepoTags}}{{if eq . \"x:1\"}}{{continue}}{{end}}{{.}}{{end}}",
            "x:2",
        ),
        (
            "{{if .Empty}}a{{else if .State.Running}}b{{else}}c{{end}}",
            "b",
        ),
        ("{{if and .Id (eq .State.ExitCode 0)}}ok{{end}}", "ok"),
        ("{{if or .Empty .Id}}ok{{end}}{{not .Empty}}", "oktrue"),
        (
            "{{with .State}}{{.Status}} {{$.Id}}{{end}}",
            "running 55afcfd24cbe",
        ),
        ("{{with .Empty}}x{{else}}y{{end}}", "y"),
        ("{{$x := .State.Pid}}{{$x}}{{$x = 5}}/{{$x}}", "1334/5"),
        ("{{with $s := .State}}{{$s.Status}}{{end}}", "running"),
        ("{{join .RepoTags \", \"}}", "x:1, x:2"),
        ("{{split .Name \"/\"}}", "[ simple1]"),
        ("{{title \"ab cd\"}} {{lower \"AB\"}}", "Ab Cd ab"),
        ("{{pad .Id 1 2}}|{{truncate .Id 4}}", " 55afcfd24cbe  |55af"),
        (
            "{{printf \"%-8s|%5d|%q|%%\" .State.Status 42 \"a\"}}",
            "running |   42|\"a\"|%",
        ),
        ("{{.Id | printf \"%s!\"}}", "55afcfd24cbe!"),
        ("{{slice .Id 0 4}}", "55af"),
        ("{{print 1 2 \"x\"}}", "1 2x"),
        ("a {{- /* gone */ -}} b", "ab"),
        ("a {{- .State.Pid -}} b", "a1334b"),
        ("{{`raw\\n`}}{{\"\\t\"}}", "raw\\n\t"),
        ("{{true}}{{nil | not}}{{1.5}}{{'a'}}", "truetrue1.597"),
        ("{{lt 1 2}}{{ge 1 2}}{{ne 1 2}}", "truefalsetrue"),
        (
            "{{json .}}",
            &typed(serde_json::from_str(CONTAINER).unwrap()).to_json(),
        ),
    ] {
        assert_eq!(run(format).as_deref(), Ok(expected), "{format}");
    }
}

#[test]
fn bad_formats_are_refused_in_gos_words() {
    for (format, expected) in [
        ("{{.Id", "template: :1: unclosed action"),
        ("{{$n}}", "template: :1: undefined variable \"$n\""),
        ("x\n{{$n}}", "template: :2: undefined variable \"$n\""),
        ("{{if .Id}}", "template: :1: unexpected EOF"),
        ("{{end}}", "template: :1: unexpected {{end}}"),
        (
            "{{bogus .Id}}",
            "template: :1: function \"bogus\" not defined",
        ),
        ("{{\"x}}", "template: :1: unterminated quoted string"),
        ("{{}}", "template: :1: missing value for command"),
        (
            "{{range .RepoTags}}{{$t := .}}{{end}}{{$t}}",
            "template: :1: undefined variable \"$t\"",
        ),
        (
            "{{define \"x\"}}{{end}}",
            "template: :1: {{define}} is not supported in a format",
        ),
        (
            "{{.Nope}}",
            "template: :1:2: executing \"\" at <.Nope>: map has no entry for key \"Nope\"",
        ),
        (
            "{{.State.Nope}}",
            "template: :1:2: executing \"\" at <.State.Nope>: map has no entry for key \"Nope\"",
        ),
        (
            "ab{{ .Nope -}}",
            "template: :1:5: executing \"\" at <.Nope>: map has no entry for key \"Nope\"",
        ),
        (
            "{{index .RepoTags 7}}",
            "template: :1:2: executing \"\" at <index>: error calling index: index out of range: 7",
        ),
    ] {
        assert_eq!(run(format).unwrap_err(), expected, "{format}");
    }
}

#[test]
fn a_row_names_its_type() {
    let template = Template::parse("{{.Nope}}").unwrap();
    let error = template
        .run(Subject::Row("container"), &Value::Struct(vec![]))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "template: :1:2: executing \"\" at <.Nope>: can't evaluate field Nope in type container"
    );
}

#[test]
fn a_method_takes_its_key() {
    let labels = Value::Lookup(vec![("a".into(), "b".into())]);
    let row = Value::Struct(vec![("Label".into(), labels)]);
    let run = |format| {
        Template::parse(format)
            .unwrap()
            .run(Subject::Row("row"), &row)
    };
    assert_eq!(
        run("{{.Label \"a\"}}|{{.Label \"z\"}}").as_deref(),
        Ok("b|")
    );
}

#[test]
fn headers_pass_through_functions_unchanged() {
    let header = Value::Struct(vec![("ID".into(), Value::text("CONTAINER ID"))]);
    let run = |format| {
        Template::parse(format)
            .unwrap()
            .run_header(Subject::Row("row"), &header)
    };
    assert_eq!(
        run("{{lower .ID}} {{json .ID}} {{truncate .ID 3}}").as_deref(),
        Ok("CONTAINER ID CONTAINER ID CONTAINER ID")
    );
}

#[test]
fn mentioned_fields_are_found_at_any_depth() {
    let template =
        Template::parse("{{if .A}}{{range .B}}{{upper (printf \"%s\" $.Size)}}{{end}}{{end}}")
            .unwrap();
    assert!(template.mentions("Size") && template.mentions("B") && !template.mentions("C"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_makes_it_panic(format in "(\\{\\{-? ?|-? ?\\}\\}|[.$a-zA-Z(){}|:=,\"`' 0-9\\\\-]|\\.Id|range |if |end|else|with |json |index |slice |é){0,24}") {
        let value = typed(serde_json::from_str(CONTAINER).unwrap());
        if let Ok(template) = Template::parse(&format) {
            let _outcome_does_not_matter = template.run(Subject::Json, &value);
        }
    }
}
