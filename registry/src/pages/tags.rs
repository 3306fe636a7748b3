//! A repository: what it is for, and its tags.

use std::collections::HashMap;
use std::io::Read;

use hull_images::Platform;
use hull_images::repositories::{
    ContentDigest, Manifest, ManifestKey, Repositories, RepositoryName, Tagged, Window,
};

use super::Source;
use super::amounts::{self, size};
use super::document::{self, Document};
use super::elements::{
    brief, command, digest, facts, link, list, manifest_path, moment, pager, table,
};
use super::frame::Page;
use super::markup::Html;
use super::repositories::visibility;
use crate::refusal::Refusal;

/// Tags on a page.
const PAGE: usize = 50;
/// Images of an index that are looked at; the rest is only counted.
const MOST_IMAGES: usize = 16;
/// Bytes of a configuration that are read.
const MAX_CONFIG: u64 = 4 << 20;

pub(super) fn page(source: &Source, name: &RepositoryName, number: usize) -> Result<Page, Refusal> {
    let repositories = &source.registry.repositories;
    let record = repositories.record(name)?;
    let window = Window {
        skip: (number - 1).saturating_mul(PAGE),
        limit: PAGE,
    };
    let tags = repositories.newest_tags(name, window)?;
    let mut body = Html::new();
    body.raw(
        "<nav class=\"crumbs\" aria-label=\"Breadcrumb\"><a href=\"/ui/\">Repositories</a></nav>\n",
    );
    body.raw("<h1><bdi>").text(name.as_str()).raw("</bdi> ");
    body.html(&visibility(record.visibility)).raw("</h1>\n");
    if !record.description.is_empty() {
        body.raw("<p class=\"lead\"><bdi>")
            .text(&record.description)
            .raw("</bdi></p>\n");
    }
    let owner = record.owner.as_ref().map(Html::of).unwrap_or_default();
    body.html(&facts(&[
        ("Owner", owner),
        ("Size", Html::of(size(record.size))),
        ("Created", moment(record.created)),
        ("Pushed", record.pushed.map(moment).unwrap_or_default()),
    ]));
    if let Some(newest) = tags.items.first().filter(|_| number == 1) {
        body.raw("<h2>Pull</h2>\n");
        let host = &source.visitor.host;
        body.html(&command(format!(
            "docker pull {host}/{name}:{}",
            newest.tag
        )));
    }
    body.raw("<h2>Tags</h2>\n<p class=\"count\">");
    body.text(amounts::count(tags.total, "tag", "tags"))
        .raw("</p>\n");
    if !tags.items.is_empty() {
        let mut summaries = Summaries::default();
        let rows = tags.items.iter().map(|tagged| {
            let summary = summaries.of(repositories, name, &tagged.manifest);
            row(name, tagged, &summary)
        });
        let columns = &["Tag", "Digest", "Platforms", "Size", "Pushed"];
        body.html(&table("Tags", columns, rows));
    }
    let path = super::elements::repository_path(name);
    body.html(&pager(&path, &[], (number, PAGE, tags.total)));
    if !record.overview.is_empty() {
        body.raw("<h2>Overview</h2>\n<div class=\"overview\" dir=\"auto\">");
        body.text(&record.overview).raw("</div>\n");
    }
    let title = Html::of(name.as_str());
    Ok(Page { title, body })
}

fn row(name: &RepositoryName, tagged: &Tagged, summary: &Summary) -> Vec<Html> {
    let by_tag = manifest_path(name, &ManifestKey::Tag(tagged.tag.clone()));
    let by_digest = manifest_path(name, &ManifestKey::Digest(tagged.manifest.digest));
    let mut kinds: Vec<Html> = summary
        .images
        .iter()
        .map(|(kind, _)| Html::of(kind))
        .collect();
    if summary.more > 0 {
        kinds.push(Html::of(format!("and {} more", summary.more)));
    }
    let sizes = summary.images.iter().map(|(_, bytes)| brief(size(*bytes)));
    vec![
        link(by_tag, &Html::of(tagged.tag.as_str())),
        link(by_digest, &digest(tagged.manifest.digest)),
        list(kinds),
        list(sizes),
        moment(tagged.updated),
    ]
}

/// What the images under a name are for, and what they take.
#[derive(Debug, Clone, Default)]
pub(super) struct Summary {
    /// A platform, or an artifact's type, each with its bytes.
    pub(super) images: Vec<(String, u64)>,
    more: usize,
}

/// What was found before is not looked for again: many tags point to one thing.
#[derive(Default)]
struct Summaries(HashMap<ContentDigest, Summary>);

impl Summaries {
    fn of(
        &mut self,
        repositories: &Repositories,
        name: &RepositoryName,
        manifest: &Manifest,
    ) -> Summary {
        let known = self.0.entry(manifest.digest);
        known
            .or_insert_with(|| summary(repositories, name, manifest))
            .clone()
    }
}

/// What cannot be read is left out: a page that lacks a size is better than none.
pub(super) fn summary(
    repositories: &Repositories,
    name: &RepositoryName,
    manifest: &Manifest,
) -> Summary {
    let Some(document) = read(repositories, manifest) else {
        return Summary::default();
    };
    let images: Vec<_> = document
        .manifests
        .iter()
        .filter(|image| !image.is_attached())
        .collect();
    if images.is_empty() {
        let kind = kind(repositories, name, &document);
        return Summary {
            images: vec![(kind, document.size())],
            more: 0,
        };
    }
    let shown = images.iter().take(MOST_IMAGES).map(|image| {
        let found = image.digest().and_then(|digest| {
            let key = ManifestKey::Digest(digest);
            let child = repositories.manifest(name, &key).ok()?;
            read(repositories, &child)
        });
        let kind = match (&image.platform, &found) {
            (Some(platform), _) => platform.to_string(),
            (None, Some(found)) => kind(repositories, name, found),
            (None, None) => "unknown".to_owned(),
        };
        let bytes = found.map_or(image.size, |found| found.size());
        (kind, bytes)
    });
    Summary {
        images: shown.collect(),
        more: images.len().saturating_sub(MOST_IMAGES),
    }
}

fn read(repositories: &Repositories, manifest: &Manifest) -> Option<Document> {
    Document::read(&repositories.manifest_bytes(manifest).ok()?)
}

fn kind(repositories: &Repositories, name: &RepositoryName, document: &Document) -> String {
    if let Some(artifact) = document.artifact() {
        return artifact.to_owned();
    }
    let config = config(repositories, name, document);
    let platform = config.map(|config| config.platform);
    let known = platform.filter(|platform| *platform != Platform::default());
    known.map_or_else(|| "unknown".to_owned(), |platform| platform.to_string())
}

/// An image's configuration, if it is one's and is here.
pub(super) fn config(
    repositories: &Repositories,
    name: &RepositoryName,
    document: &Document,
) -> Option<hull_images::ImageConfig> {
    let digest = document.image_config()?;
    let blob = repositories.open_blob(name, &digest).ok()?;
    let mut bytes = Vec::new();
    blob.file.take(MAX_CONFIG).read_to_end(&mut bytes).ok()?;
    document::config(&bytes)
}
