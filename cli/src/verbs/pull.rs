//! Fetching an image before a container is made of it. All of it is told on stderr: stdout is
//! the container's.

use crate::api::Client;
use crate::failure::Failure;
use crate::output::progress;
use crate::reference::Reference;
use http_body_util::Empty;
use std::io::IsTerminal;

pub(super) struct Wanted<'a> {
    pub(super) image: &'a Reference,
    pub(super) platform: Option<&'a str>,
    pub(super) quiet: bool,
}

pub(super) async fn pull(client: &Client, wanted: Wanted<'_>) -> Result<(), Failure> {
    let name = wanted.image.full_name();
    let mut query = vec![
        ("fromImage", name.as_str()),
        ("tag", wanted.image.version()),
    ];
    query.extend(wanted.platform.map(|platform| ("platform", platform)));
    let mut lines = client
        .post_lines("/images/create", &query, "text/plain", Empty::new())
        .await?;
    let stderr = std::io::stderr();
    let terminal = stderr.is_terminal();
    if wanted.quiet {
        return progress::show(&mut lines, &mut std::io::sink(), false).await;
    }
    progress::show(&mut lines, &mut { stderr }, terminal).await
}
