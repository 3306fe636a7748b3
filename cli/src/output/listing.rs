//! Lists: a table with headers, one JSON object a line, or a format of the user's.

use super::go;
use super::table;
use super::template::{ParseError, Template};
use super::value::Value;
use crate::failure::Failure;

/// How a list is shown.
#[derive(Debug)]
pub(crate) struct Listing {
    /// A format that cannot be read is told once there is something to show.
    template: Result<Template, ParseError>,
    /// Columns are aligned and have headers.
    tabular: bool,
    /// The rows' type, by its Go name.
    kind: &'static str,
}

impl Listing {
    /// From `--format`: nothing and `table` mean `default`, a table's format.
    pub(crate) fn new(format: Option<&str>, default: &str, kind: &'static str) -> Listing {
        let (text, tabular) = match format {
            None | Some("" | "table") => (default, true),
            Some("json") => ("{{json .}}", false),
            Some(format) => match format.strip_prefix("table") {
                Some(columns) => (columns, true),
                None => (format, false),
            },
        };
        let text = text.trim_matches(' ');
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        Listing {
            template: Template::parse(&text),
            tabular,
            kind,
        }
    }

    /// What the word `raw` stands for is of each list's own.
    pub(crate) fn or_raw<'a>(format: Option<&'a str>, raw: &'a str) -> Option<&'a str> {
        format.map(|format| if format == "raw" { raw } else { format })
    }

    /// A list of one field alone, as `-q` shows it.
    pub(crate) fn plain(format: &str, kind: &'static str) -> Listing {
        Listing {
            tabular: false,
            ..Listing::new(Some(format), "", kind)
        }
    }

    pub(crate) fn mentions(&self, field: &str) -> bool {
        let template = self.template.as_ref();
        template.is_ok_and(|template| template.mentions(field))
    }

    /// The whole list's text. `headers` has the same fields as each row.
    pub(crate) fn render(
        &self,
        headers: &[(&str, &str)],
        rows: &[Value],
    ) -> Result<String, Failure> {
        self.render_kinds(headers, rows.iter().map(|row| (self.kind, row)))
    }

    /// A list whose rows have types of their own.
    pub(crate) fn render_kinds<'a>(
        &self,
        headers: &[(&str, &str)],
        rows: impl Iterator<Item = (&'static str, &'a Value)>,
    ) -> Result<String, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(format!("template parsing error: {error}"))
        };
        let template = self.template.as_ref().map_err(|error| failed(error))?;
        let mut text = String::new();
        if self.tabular {
            text.push_str(&template.run_header(headers));
            text.push('\n');
        }
        for (kind, row) in rows {
            let row = match row {
                Value::Struct(fields) => go::Value::row(kind, fields),
                other => go::Value::plain(other),
            };
            text.push_str(&template.run(&row).map_err(|error| failed(&error))?);
            text.push('\n');
        }
        Ok(if self.tabular {
            table::align(&text, table::LIST)
        } else {
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Value> {
        let row = |id: &str, name: &str| {
            Value::Struct(vec![
                ("ID".into(), Value::text(id)),
                ("Name".into(), Value::text(name)),
            ])
        };
        vec![row("859aa5c61b64", "a<b"), row("b27ec311211f", "w1")]
    }

    fn render(format: Option<&str>) -> Result<String, String> {
        let headers = [("ID", "CONTAINER ID"), ("Name", "NAME")];
        Listing::new(format, "{{.ID}}\\t{{.Name}}", "row.Context")
            .render(&headers, &rows())
            .map_err(|failure| failure.text)
    }

    #[test]
    fn a_list_has_three_shapes() {
        let table = "CONTAINER ID   NAME\n859aa5c61b64   a<b\nb27ec311211f   w1\n";
        assert_eq!(render(None).as_deref(), Ok(table));
        assert_eq!(render(Some("table")).as_deref(), Ok(table));
        let names = "NAME\na<b\nw1\n";
        assert_eq!(render(Some("table {{.Name}}")).as_deref(), Ok(names));
        assert_eq!(
            render(Some("{{.Name}}\\t/t")).as_deref(),
            Ok("a<b\t/t\nw1\t/t\n")
        );
        let json = "{\"ID\":\"859aa5c61b64\",\"Name\":\"a\\u003cb\"}\n";
        assert_eq!(
            render(Some("json")).unwrap().lines().next(),
            json.lines().next()
        );
    }

    #[test]
    fn bad_formats_are_refused() {
        assert_eq!(
            render(Some("{{.ID")).unwrap_err(),
            "template parsing error: template: :1: unclosed action"
        );
        assert_eq!(
            render(Some("{{.Nope}}")).unwrap_err(),
            "template parsing error: template: :1:2: executing \"\" at <.Nope>: \
             can't evaluate field Nope in type *row.Context"
        );
    }
}
