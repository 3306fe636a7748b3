//! What the goldens of `testdata/formats` cannot show: rows, headers, names, and that nothing panics.

use super::*;
use crate::output::go::plain::plain;
use crate::output::value::Value as Json;

const OBJECT: &str = r#"{
    "Id": "55afcfd24cbe", "Tags": ["x:1", "x:2"], "Size": 27380000, "Empty": "",
    "State": {"Status": "running", "Running": true, "Pid": 1334}
}"#;

fn run(format: &str) -> Result<String, String> {
    let value = plain(OBJECT).expect("valid JSON");
    let template = Template::parse(format).map_err(|error| error.to_string())?;
    template.run(&value).map_err(|error| error.to_string())
}

#[test]
fn plain_json_prints_as_maps_and_lists() {
    for (format, expected) in [
        ("{{.Id}} {{.State.Pid}}", "55afcfd24cbe 1334"),
        ("{{.State}}", "map[Pid:1334 Running:true Status:running]"),
        ("{{.Nope}} {{.Nope.x}}", "<no value> <no value>"),
        (
            "{{range $i, $t := .Tags}}{{$i}}={{$t}} {{end}}",
            "0=x:1 1=x:2 ",
        ),
        (
            "{{define \"t\"}}<{{.}}>{{end}}{{range .Tags}}{{template \"t\" .}}{{end}}",
            "<x:1><x:2>",
        ),
    ] {
        assert_eq!(run(format).as_deref(), Ok(expected), "{format}");
    }
}

#[test]
fn a_mistake_keeps_what_was_written_before_it() {
    let template = Template::parse_named("version", "a{{.Id}}b{{index .Tags 7}}c").unwrap();
    let error = template.run(&plain(OBJECT).unwrap()).unwrap_err();
    assert_eq!(error.written, "a55afcfd24cbeb");
    assert_eq!(
        error.to_string(),
        "template: version:1:11: executing \"version\" at <index .Tags 7>: error calling index: index out of range: 7"
    );
}

#[test]
fn what_has_no_end_is_given_up() {
    let endless = "{{define \"x\"}}{{template \"x\" .}}{{end}}{{template \"x\" .}}";
    let error = run(endless).expect_err("refused");
    assert!(
        error.ends_with("exceeded maximum template depth (100000)"),
        "{error}"
    );
    for deep in ["(", "{{if 1}}"] {
        let format = match deep {
            "(" => format!("{{{{{}1", "(".repeat(10_000)),
            block => block.repeat(10_000),
        };
        let error = run(&format).expect_err("refused");
        assert_eq!(error, "template: :1: max expression depth exceeded");
    }
}

fn row(fields: &[(String, Json)]) -> Value {
    Value::row("row.Context", fields)
}

#[test]
fn a_row_names_its_type() {
    let template = Template::parse("{{.Nope}}").unwrap();
    let error = template.run(&row(&[])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "template: :1:2: executing \"\" at <.Nope>: can't evaluate field Nope in type *row.Context"
    );
}

#[test]
fn a_method_takes_its_key() {
    let labels = Json::Lookup(vec![("a".into(), "b".into())]);
    let row = row(&[("Label".into(), labels)]);
    let run = |format| Template::parse(format).unwrap().run(&row);
    assert_eq!(
        run("{{.Label \"a\"}}|{{.Label \"z\"}}|{{\"a\" | .Label}}").as_deref(),
        Ok("b||b")
    );
    let error = run("{{.Label}}").unwrap_err().to_string();
    assert!(
        error.ends_with("wrong number of args for Label: want 1 got 0"),
        "{error}"
    );
}

#[test]
fn headers_pass_through_functions_unchanged() {
    let columns = [("ID", "CONTAINER ID"), ("Name", "NAME")];
    let run = |format| Template::parse(format).unwrap().run_header(&columns);
    assert_eq!(
        run("{{lower .ID}} {{json .ID}} {{truncate .ID 3}} {{.Label \"com.ex.my-key\"}}"),
        "CONTAINER ID CONTAINER ID CONTAINER ID my key"
    );
    assert_eq!(run("{{.Name}} {{.Nope}} {{lower 3}}x"), "NAME <no value> ");
}

#[test]
fn mentioned_fields_are_found_at_any_depth() {
    let template =
        Template::parse("{{if .A}}{{range .B}}{{upper (printf \"%s\" $.Size)}}{{end}}{{end}}")
            .unwrap();
    assert!(template.mentions("Size") && template.mentions("B") && !template.mentions("C"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_it_panic(format in "(\\{\\{-? ?|-? ?\\}\\}|[.$a-zA-Z(){}|:=,\"`' 0-9\\\\-]|\\.Id|\\.State|\\.Tags|range |if |end|else|with |json |index |slice |printf |define |template |/\\*|\\*/|%[+#0 -]?[0-9.*]*[a-zA-Z]|é){0,24}") {
        if let Ok(template) = Template::parse(&format) {
            let _outcome_does_not_matter = template.run(&plain(OBJECT).unwrap());
            template.run_header(&[("ID", "ID")]);
        }
    }

    #[test]
    fn no_verb_of_printf_makes_it_panic(verb in "%[+#0 -]{0,3}[0-9*]{0,4}(\\.[0-9*]{0,3})?(\\[[0-9]\\])?[a-zA-Z%]") {
        let format = format!("{{{{range .Tags}}}}{{{{printf `{verb}` . 1 2.5 true nil $ $.State}}}}{{{{end}}}}");
        let _outcome_does_not_matter = run(&format);
    }
}
