//! A connection for files: what is wanted, archive in or out, how it went.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;

use hull_protocol::agent::{AgentError, User};
use hull_protocol::files::{Closed, Open, Opened, PathStat};
use hull_protocol::frame;

use super::changes::{self, Lower};
use super::chunk::{ChunkReader, ChunkWriter};
use super::look::Wanted;
use super::pack::{Packer, Whiteouts};
use super::unpack::{self, Rules, unpack};
use super::{FilesError, Trees, cage};
use crate::agent::Agent;
use crate::container::user::Accounts;
use crate::server::opening;

/// Serves a connection until its one archive is through.
pub(crate) fn serve(agent: &Agent, connection: &UnixStream) {
    if let Ok(open) = opening::<Open>(connection) {
        // A connection that breaks has nobody left to tell.
        let _ = match agent.files() {
            Ok(trees) => answer(agent, &trees, &open, connection),
            Err(refused) => refuse(connection, refused),
        };
    }
    // It may be closed already.
    let _ = connection.shutdown(Shutdown::Both);
}

fn answer(
    agent: &Agent,
    trees: &Trees,
    open: &Open,
    connection: &UnixStream,
) -> Result<(), FilesError> {
    match open {
        Open::Stat { path } => {
            let wanted = Wanted::new(path);
            match cage::inside(&trees.root, || wanted.stat()) {
                Ok(stat) => accept(connection, Some(stat)),
                Err(error) => refuse(connection, error.into()),
            }
        }
        Open::Read { path } => {
            let wanted = Wanted::new(path);
            let looked = || Ok((wanted.stat()?, wanted.place()?.0));
            let (stat, place) = match cage::inside(&trees.root, looked) {
                Ok(found) => found,
                Err(error) => return refuse(connection, error.into()),
            };
            let name = stat.name.clone().into_bytes();
            accept(connection, Some(stat))?;
            let packed = send(connection, &trees.root, |out| {
                let mut packer = Packer::new(out, Whiteouts::None);
                packer.tree(&place, &name)?;
                packer.finish()
            });
            close(connection, packed)
        }
        Open::Export => {
            accept(connection, None)?;
            close(
                connection,
                contents(connection, &trees.root, Whiteouts::None),
            )
        }
        Open::Layer { freeze } => {
            let _frozen = match freeze.then(|| agent.freeze()).transpose() {
                Ok(frozen) => frozen,
                Err(refused) => return refuse(connection, refused),
            };
            accept(connection, None)?;
            close(
                connection,
                contents(connection, &trees.upper, Whiteouts::Oci),
            )
        }
        Open::Changes => {
            let lower = match Lower::open(&trees.lower) {
                Ok(lower) => lower,
                Err(error) => return refuse(connection, error.into()),
            };
            accept(connection, None)?;
            let told = send(connection, &trees.upper, |mut out| {
                changes::write(&lower, &mut out)?;
                Ok(out)
            });
            close(connection, told)
        }
        Open::Write {
            path,
            replace,
            owner,
        } => {
            let wanted = Wanted::new(path);
            let found = cage::inside(&trees.root, || {
                let rules = Rules {
                    replace: *replace,
                    owner: owner.as_deref().map(resolve).transpose()?,
                };
                Ok((unpack::folder(&wanted.path)?, rules))
            });
            let (place, rules) = match found {
                Ok(found) => found,
                Err(error) => return refuse(connection, error.into()),
            };
            accept(connection, None)?;
            let mut chunks = ChunkReader::new(connection);
            let unpacked = cage::inside(&trees.root, || unpack(&mut chunks, &place, rules));
            // To the last chunk, whatever has become of it: the host sends before it listens.
            io::copy(&mut chunks, &mut io::sink()).map_err(FilesError::Connection)?;
            close(connection, unpacked)
        }
    }
}

/// Numbers of a user by the container's own account files.
fn resolve(name: &str) -> Result<(u32, u32), FilesError> {
    let user = User {
        name: name.to_owned(),
        groups: Vec::new(),
    };
    let found = Accounts::read().resolve(&user)?;
    Ok((found.uid, found.gid))
}

fn contents(connection: &UnixStream, root: &Path, whiteouts: Whiteouts) -> Result<(), FilesError> {
    send(connection, root, |out| {
        let mut packer = Packer::new(out, whiteouts);
        packer.contents(Path::new("/"))?;
        packer.finish()
    })
}

type Out<'c> = ChunkWriter<&'c UnixStream>;

/// Sends what the work writes, and the last chunk even where it fails.
fn send<'c>(
    connection: &'c UnixStream,
    root: &Path,
    work: impl FnOnce(Out<'c>) -> Result<Out<'c>, FilesError> + Send,
) -> Result<(), FilesError> {
    let out = ChunkWriter::new(connection);
    match cage::inside(root, || work(out)) {
        Ok(out) => out.finish().map_err(FilesError::Connection),
        Err(error @ FilesError::Connection(_)) => Err(error),
        Err(error) => {
            let last = ChunkWriter::new(connection).finish();
            last.map_err(FilesError::Connection)?;
            Err(error)
        }
    }
}

fn accept(mut connection: &UnixStream, stat: Option<PathStat>) -> Result<(), FilesError> {
    let opened: Opened = Ok(stat);
    frame::write(&mut connection, &opened).map_err(FilesError::Connection)
}

fn refuse(mut connection: &UnixStream, refused: AgentError) -> Result<(), FilesError> {
    let opened: Opened = Err(refused);
    frame::write(&mut connection, &opened).map_err(FilesError::Connection)
}

fn close(mut connection: &UnixStream, result: Result<(), FilesError>) -> Result<(), FilesError> {
    let closed: Closed = match result {
        Err(FilesError::Connection(gone)) => return Err(FilesError::Connection(gone)),
        other => other.map_err(AgentError::from),
    };
    frame::write(&mut connection, &closed).map_err(FilesError::Connection)
}
