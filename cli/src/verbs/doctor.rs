//! `hull doctor`: whether this host can run Hull.

use std::path::PathBuf;

use hull_machine::doctor::{self, Check, Place, Report, Status};
use std::io::Write;

use crate::failure::Failure;

/// The status where Hull runs, but not on this host's own KVM.
const ONLY_IN_MACHINE: u8 = 3;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    /// Where the daemon's state is to be
    #[arg(long, value_name = "DIR", default_value = "/var/lib/hull")]
    data_root: PathBuf,
}

pub(crate) async fn run(args: Args) -> Result<u8, Failure> {
    let report = doctor::examine(&args.data_root);
    let text = if args.json {
        serde_json::to_string_pretty(&report)
            .map(|text| text + "\n")
            .map_err(|error| Failure::new(error.to_string()))?
    } else {
        render(&report)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(match report.place {
        Place::Host => 0,
        Place::Machine => ONLY_IN_MACHINE,
        Place::Nowhere => 1,
    })
}

fn render(report: &Report) -> String {
    let width = report
        .checks
        .iter()
        .map(|check| check.name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for check in &report.checks {
        text += &line(check, width);
    }
    text += "\n";
    text += match report.place {
        Place::Host => "Hull can run here.\n",
        Place::Machine => {
            "Hull can run here, in an emulated machine: slow, and for trying and testing only.\n"
        }
        Place::Nowhere => "Hull cannot run here.\n",
    };
    text
}

fn line(check: &Check, width: usize) -> String {
    let status = match check.status {
        Status::Ok => "ok",
        Status::Missing => "missing",
    };
    let mut text = format!("{status:<8} {:<width$}  {}\n", check.name, check.found);
    if let Some(advice) = &check.advice {
        text += &format!("{:9}{:width$}  -> {advice}\n", "", "");
    }
    text
}

#[cfg(test)]
mod tests {
    use hull_machine::doctor::Need;

    use super::*;

    #[test]
    fn each_check_is_a_line_and_advice_another() {
        let checks = vec![
            Check {
                name: "kernel",
                status: Status::Ok,
                need: Need::Host,
                found: "Linux 6.1".into(),
                advice: None,
            },
            Check {
                name: "TUN",
                status: Status::Missing,
                need: Need::Host,
                found: "no /dev/net/tun".into(),
                advice: Some("modprobe tun".into()),
            },
        ];
        let report = Report {
            place: Place::Nowhere,
            checks,
        };
        let expected = "\
ok       kernel  Linux 6.1
missing  TUN     no /dev/net/tun
                 -> modprobe tun

Hull cannot run here.
";
        assert_eq!(render(&report), expected);
    }
}
