//! Lists: a table with headers, one JSON object a line, or a format of the user's.

use super::table;
use super::template::{Subject, Template};
use super::value::Value;
use crate::failure::Failure;

/// How a list is shown.
#[derive(Debug)]
pub(crate) struct Listing {
    template: Template,
    /// Columns are aligned and have headers.
    tabular: bool,
    /// The rows' type, for messages.
    subject: Subject,
}

impl Listing {
    /// From `--format`: nothing and `table` mean `default`, a table's format.
    pub(crate) fn new(
        format: Option<&str>,
        default: &str,
        kind: &'static str,
    ) -> Result<Listing, Failure> {
        let format = format.map(str::trim).filter(|format| !format.is_empty());
        let (text, tabular) = match format {
            None | Some("table") => (default, true),
            Some("json") => ("{{json .}}", false),
            Some(format) => match format.strip_prefix("table ") {
                Some(columns) => (columns.trim(), true),
                None => (format, false),
            },
        };
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        let template = Template::parse(&text)
            .map_err(|error| Failure::new(format!("failed to parse template: {error}")))?;
        Ok(Listing {
            template,
            tabular,
            subject: Subject::Row(kind),
        })
    }

    /// A list of one field alone, as `-q` shows it.
    pub(crate) fn plain(format: &str, kind: &'static str) -> Result<Listing, Failure> {
        let listing = Listing::new(Some(format), "", kind)?;
        Ok(Listing {
            tabular: false,
            ..listing
        })
    }

    pub(crate) fn mentions(&self, field: &str) -> bool {
        self.template.mentions(field)
    }

    /// The whole list's text. `headers` has the same fields as each row.
    pub(crate) fn render(
        &self,
        headers: &[(&str, &str)],
        rows: &[Value],
    ) -> Result<String, Failure> {
        let failed = |error| Failure::new(format!("failed to execute template: {error}"));
        let mut text = String::new();
        if self.tabular {
            let headers = headers
                .iter()
                .map(|(name, header)| ((*name).into(), Value::text(*header)));
            let headers = Value::Struct(headers.collect());
            text.push_str(
                &self
                    .template
                    .run_header(self.subject, &headers)
                    .map_err(failed)?,
            );
            text.push('\n');
        }
        for row in rows {
            text.push_str(&self.template.run(self.subject, row).map_err(failed)?);
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
        Listing::new(format, "{{.ID}}\\t{{.Name}}", "row")
            .and_then(|listing| listing.render(&headers, &rows()))
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
            "failed to parse template: template: :1: unclosed action"
        );
        assert_eq!(
            render(Some("{{.Nope}}")).unwrap_err(),
            "failed to execute template: template: :1:2: executing \"\" at <.Nope>: \
             can't evaluate field Nope in type row"
        );
    }
}
