//! `hull login`: shows a name and a password to a registry, and keeps them if it takes them.

use std::io::{Read, Write};

use crate::accounts::{Account, Accounts, HUB, server_of};
use crate::api::Client;
use crate::failure::Failure;
use crate::terminal::{prompt, stdin_is_terminal};

/// A password that is longer is none.
const MAX_PASSWORD: u64 = 1 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Password or Personal Access Token (PAT)
    #[arg(short = 'p', long, value_name = "string")]
    password: Option<String>,
    /// Take the Password or Personal Access Token (PAT) from stdin
    #[arg(long)]
    password_stdin: bool,
    /// Username
    #[arg(short = 'u', long, value_name = "string")]
    username: Option<String>,
    #[arg(value_name = "SERVER")]
    server: Option<String>,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let server = server(args.server.as_deref());
    let mut accounts = Accounts::open()?;
    let password = password(args)?;
    let username = args.username.clone().unwrap_or_default();
    if username.is_empty() && password.is_empty() {
        let known = accounts.get(&server)?;
        if !known.is_empty() && again(client, &mut accounts, (&server, known)).await? {
            return Ok(0);
        }
    }
    let account = match (username.is_empty(), password.is_empty()) {
        (false, false) => Account {
            username,
            password,
            identity_token: String::new(),
        },
        _ => asked(&server, username, password, &accounts)?,
    };
    login(client, &mut accounts, (&server, account)).await?;
    Ok(0)
}

/// Where to log in: what images' names begin with, or Docker Hub.
pub(super) fn server(named: Option<&str>) -> String {
    let named = named.unwrap_or_default().trim();
    let rest = named.strip_prefix("https://").unwrap_or(named);
    let rest = rest.strip_prefix("http://").unwrap_or(rest);
    match rest.split('/').next().unwrap_or_default() {
        "" => HUB.to_owned(),
        host => server_of(host).to_owned(),
    }
}

/// The password, from the command line or from stdin; empty where it has to be asked for.
fn password(args: &Args) -> Result<String, Failure> {
    let given = args.password.clone().unwrap_or_default();
    if !given.is_empty() {
        if args.password_stdin {
            return Err(Failure::new(
                "conflicting options: cannot specify both --password and --password-stdin",
            ));
        }
        let warning = "WARNING! Using --password via the CLI is insecure. Use --password-stdin.";
        writeln!(std::io::stderr(), "{warning}")?;
    }
    if !args.password_stdin {
        return Ok(given);
    }
    if args.username.as_deref().unwrap_or_default().is_empty() {
        return Err(Failure::new(
            "the --password-stdin option requires --username to be set",
        ));
    }
    let mut text = String::new();
    let read = std::io::stdin()
        .take(MAX_PASSWORD)
        .read_to_string(&mut text);
    read.map_err(|error| Failure::new(format!("cannot read the password: {error}")))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// Asks a person for what is missing.
fn asked(
    server: &str,
    username: String,
    password: String,
    accounts: &Accounts,
) -> Result<Account, Failure> {
    if !stdin_is_terminal() {
        return Err(Failure::new(
            "Error: Cannot perform an interactive login from a non TTY device",
        ));
    }
    let username = match username.as_str() {
        "" => {
            let usual = accounts.get(server)?.username;
            let question = match usual.as_str() {
                "" => "Username: ".to_owned(),
                usual => format!("Username ({usual}): "),
            };
            match prompt::line(&question)?.as_str() {
                "" => usual,
                typed => typed.to_owned(),
            }
        }
        _ => username,
    };
    if username.is_empty() {
        return Err(Failure::new("error: username is required"));
    }
    let password = match password.as_str() {
        "" => prompt::secret("Password: ")?,
        _ => password,
    };
    if password.is_empty() {
        return Err(Failure::new("error: password is required"));
    }
    Ok(Account {
        username,
        password,
        identity_token: String::new(),
    })
}

/// Tries what an earlier login left. Says whether it was still good.
async fn again(
    client: &Client,
    accounts: &mut Accounts,
    (server, known): (&str, Account),
) -> Result<bool, Failure> {
    let mut err = std::io::stderr();
    write!(err, "Authenticating with existing credentials...")?;
    match known.username.as_str() {
        "" => writeln!(err)?,
        name => writeln!(err, " [Username: {name}]")?,
    }
    match client.login(known.json(server)).await {
        Ok(logged) => {
            writeln!(
                err,
                "\n Info -> To login with a different account, run 'hull logout' followed by 'hull login'\n\n"
            )?;
            if !logged.identity_token.is_empty() && logged.identity_token != known.identity_token {
                let identity_token = logged.identity_token;
                let account = Account {
                    identity_token,
                    ..known
                };
                accounts.store(server, &account)?;
            }
            writeln!(std::io::stdout(), "{}", logged.status)?;
            Ok(true)
        }
        Err(error) if error.is_unreachable() => Err(error.into()),
        Err(error) => {
            writeln!(err, "Login did not succeed, error: {error}")?;
            Ok(false)
        }
    }
}

async fn login(
    client: &Client,
    accounts: &mut Accounts,
    (server, account): (&str, Account),
) -> Result<(), Failure> {
    let logged = client.login(account.json(server)).await?;
    let account = Account {
        identity_token: logged.identity_token,
        ..account
    };
    if let Some(path) = accounts.store(server, &account)? {
        let path = path.display();
        writeln!(
            std::io::stderr(),
            "\nWARNING! Your credentials are stored unencrypted in '{path}'.\n\
             Configure a credential helper to remove this warning. See\n\
             https://docs.docker.com/go/credential-store/\n"
        )?;
    }
    writeln!(std::io::stdout(), "{}", logged.status)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_one_name() {
        for (named, expected) in [
            (None, HUB),
            (Some(""), HUB),
            (Some("docker.io"), HUB),
            (Some("https://index.docker.io/v1/"), HUB),
            (Some("localhost:5000"), "localhost:5000"),
            (Some("http://localhost:5000/"), "localhost:5000"),
        ] {
            assert_eq!(server(named), expected, "{named:?}");
        }
    }
}
