//! The loads: each is timed from its first request to its last answer.

use std::fs::File;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::content::{Blob, Content, MANIFEST};
use super::http::{Answer, Connection};

/// Connections that push and pull the image's layers, as `docker` has them.
const LARGE: usize = 5;
/// Connections that push and pull small blobs: several clients.
const SMALL: usize = 16;
/// Small blobs that one client pushes one after the other.
const ALONE: usize = 200;
/// Connections that ask for a manifest, and how often each.
const HEADS: usize = 64;
const ASKED: usize = 400;

/// A load that gives seconds.
pub(super) type Load = fn(SocketAddr, &Content) -> Result<f64>;

pub(super) fn push_large(server: SocketAddr, content: &Content) -> Result<f64> {
    let time = each(server, LARGE, &content.large, push("bench/large"))?;
    let mut connection = Connection::open(server)?;
    let path = "/v2/bench/large/manifests/1";
    let (body, length) = (&mut &content.manifest[..], content.manifest.len() as u64);
    expect(
        &connection.send("PUT", path, MANIFEST, body, length)?,
        201,
        path,
    )?;
    Ok(time)
}

pub(super) fn pull_large(server: SocketAddr, content: &Content) -> Result<f64> {
    each(server, LARGE, &content.large, pull("bench/large"))
}

pub(super) fn push_small(server: SocketAddr, content: &Content) -> Result<f64> {
    let blobs = content.small.get(ALONE..).unwrap_or_default();
    each(server, SMALL, blobs, push("bench/small"))
}

pub(super) fn pull_small(server: SocketAddr, content: &Content) -> Result<f64> {
    let blobs = content.small.get(ALONE..).unwrap_or_default();
    each(server, SMALL, blobs, pull("bench/small"))
}

pub(super) fn push_alone(server: SocketAddr, content: &Content) -> Result<f64> {
    let blobs = content.small.get(..ALONE).unwrap_or_default();
    each(server, 1, blobs, push("bench/small"))
}

pub(super) fn heads(server: SocketAddr, _: &Content) -> Result<f64> {
    let asked = [(); HEADS * ASKED];
    let time = each(server, HEADS, &asked, |connection, ()| {
        let path = "/v2/bench/large/manifests/1";
        expect(&connection.ask("HEAD", path)?, 200, path)
    })?;
    Ok(time)
}

/// Requests of [`heads`].
pub(super) const HEAD_REQUESTS: usize = HEADS * ASKED;

fn push(repository: &'static str) -> impl Fn(&mut Connection, &Blob) -> Result<()> + Sync {
    move |connection, blob| {
        // Not with the blob in one request: Debian's registry does not know that.
        let path = format!("/v2/{repository}/blobs/uploads/");
        let begun = connection.ask("POST", &path)?;
        expect(&begun, 202, &path)?;
        let location = begun.location.context("an upload without a location")?;
        let joint = if location.contains('?') { '&' } else { '?' };
        let path = format!("{location}{joint}digest={}", blob.digest);
        let mut file = File::open(&blob.path)?;
        let media_type = "application/octet-stream";
        let ended = connection.send("PUT", &path, media_type, &mut file, blob.size)?;
        expect(&ended, 201, &path)
    }
}

fn pull(repository: &'static str) -> impl Fn(&mut Connection, &Blob) -> Result<()> + Sync {
    move |connection, blob| {
        let path = format!("/v2/{repository}/blobs/{}", blob.digest);
        let answer = connection.ask("GET", &path)?;
        expect(&answer, 200, &path)?;
        match answer.length == blob.size {
            true => Ok(()),
            false => bail!("{path} has {} bytes, not {}", answer.length, blob.size),
        }
    }
}

fn expect(answer: &Answer, status: u16, path: &str) -> Result<()> {
    match answer.status == status {
        true => Ok(()),
        false => bail!("{path} was answered with {}", answer.status),
    }
}

/// Does all the work on so many connections at once. Connecting is not timed.
fn each<T: Sync>(
    server: SocketAddr,
    connections: usize,
    work: &[T],
    act: impl Fn(&mut Connection, &T) -> Result<()> + Sync,
) -> Result<f64> {
    let next = AtomicUsize::new(0);
    let open = (0..connections).map(|_| Connection::open(server));
    let open = open.collect::<Result<Vec<_>>>()?;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let worker = |mut connection: Connection| {
            let (next, act) = (&next, &act);
            scope.spawn(move || -> Result<()> {
                while let Some(item) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    act(&mut connection, item)?;
                }
                Ok(())
            })
        };
        let workers: Vec<_> = open.into_iter().map(worker).collect();
        for worker in workers {
            match worker.join() {
                Ok(done) => done?,
                Err(_) => bail!("a worker panicked"),
            }
        }
        Ok(())
    })?;
    Ok(begun.elapsed().as_secs_f64())
}
