//! `hull top`: the processes of a container, as `ps` in it would list them.

use std::io::Write;

use serde::Deserialize;

use super::named;
use crate::api::Client;
use crate::failure::Failure;
use crate::output::table;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The container; all that follows it is for `ps`, dashes and all.
    #[arg(
        value_names = ["CONTAINER", "ps OPTIONS"],
        required = true,
        num_args = 1..,
        trailing_var_arg = true
    )]
    container_and_options: Vec<String>,
}

/// Wider than a list's, as Docker has it.
const LEAST_WIDTH: usize = 20;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Processes {
    titles: Option<Vec<String>>,
    processes: Option<Vec<Vec<String>>>,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let (name, options) = args
        .container_and_options
        .split_first()
        .map_or(("", &[][..]), |(name, options)| (name, options));
    let options = options.join(" ");
    let query: &[(&str, &str)] = match options.as_str() {
        "" => &[],
        options => &[("ps_args", options)],
    };
    let path = format!("/containers/{}/top", named::container(name)?);
    let found: Processes = client.get_as(&path, query).await?;
    std::io::stdout().write_all(shown(&found).as_bytes())?;
    Ok(0)
}

fn shown(found: &Processes) -> String {
    let titles = found.titles.iter();
    let rows = titles.chain(found.processes.iter().flatten());
    let lines: String = rows.map(|cells| cells.join("\t") + "\n").collect();
    table::align(&lines, LEAST_WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_twenty_wide() {
        let found = serde_json::from_str(
            r#"{"Titles":["UID","PID","STIME","CMD"],"Processes":[["root","2599","03:29","sleep 100"]]}"#,
        );
        assert_eq!(
            shown(&found.expect("processes")),
            "UID                 PID                 STIME               CMD\n\
             root                2599                03:29               sleep 100\n"
        );
        assert_eq!(shown(&Processes::default()), "");
    }
}
