//! An image, an index or an artifact: what it is made of, how it runs, what refers to it.

use hull_images::ImageConfig;
use hull_images::repositories::{
    About, ContentDigest, Manifest, ManifestKey, RepositoryError, RepositoryName,
};

use super::Source;
use super::amounts::{self, size};
use super::document::{self, Descriptor, Document};
use super::elements::{
    brief, code, command, digest, facts, link, list, manifest_path, moment, pairs, reference,
    repository_path, table,
};
use super::frame::Page;
use super::markup::Html;
use super::tags;
use crate::refusal::Refusal;

/// Referrers that are shown.
const MOST_REFERRERS: usize = 100;
/// What is read for them, annotations and all.
const REFERRER_BYTES: usize = 256 << 10;
/// Parts that are shown; images have 127 layers at most.
const MOST_PARTS: usize = 1000;
/// Characters of a command.
const MOST_WORDS: usize = 500;

pub(super) fn page(
    source: &Source,
    name: &RepositoryName,
    key: &ManifestKey,
) -> Result<Page, Refusal> {
    let repositories = &source.registry.repositories;
    let found = repositories.manifest(name, key);
    let manifest = found.map_err(|error| match error {
        RepositoryError::NoRepository(_) | RepositoryError::NoManifest(_) => super::missing(),
        error => error.into(),
    })?;
    let bytes = repositories.manifest_bytes(&manifest)?;
    let document = Document::read(&bytes).unwrap_or_default();
    let config = tags::config(repositories, name, &document);
    let mut body = Html::new();
    body.raw(
        "<nav class=\"crumbs\" aria-label=\"Breadcrumb\"><a href=\"/ui/\">Repositories</a> / ",
    );
    body.html(&link(repository_path(name), &Html::of(name.as_str())));
    body.raw("</nav>\n<h1><bdi>")
        .text(heading(name, key))
        .raw("</bdi></h1>\n");
    body.html(&about(
        source,
        name,
        (&manifest, &document),
        config.as_ref(),
    )?);
    body.html(&pulling(&source.visitor.host, name, key, &manifest.digest));
    if !document.manifests.is_empty() {
        body.html(&images(source, name, &document));
    }
    if !document.layers.is_empty() {
        body.html(&layers(&document, config.as_ref()));
    }
    if let Some(config) = &config {
        body.html(&configuration(config));
    }
    let annotations = document.annotations();
    if !annotations.is_empty() {
        body.raw("<h2>Annotations</h2>\n")
            .html(&pairs(&annotations));
    }
    body.html(&referrers(source, name, &manifest.digest)?);
    let title = Html::of(heading(name, key));
    Ok(Page { title, body })
}

/// A digest is shown whole below.
fn heading(name: &RepositoryName, key: &ManifestKey) -> String {
    match key {
        ManifestKey::Tag(_) => reference(name, key),
        ManifestKey::Digest(digest) => {
            let digest: String = digest
                .to_string()
                .chars()
                .take("sha256:".len() + 12)
                .collect();
            format!("{name}@{digest}")
        }
    }
}

fn about(
    source: &Source,
    name: &RepositoryName,
    (manifest, document): (&Manifest, &Document),
    config: Option<&ImageConfig>,
) -> Result<Html, Refusal> {
    let tags = source
        .registry
        .repositories
        .tags_of(name, &manifest.digest)?;
    let tags = tags.into_iter().take(MOST_REFERRERS).map(|tag| {
        let text = Html::of(tag.as_str());
        link(manifest_path(name, &ManifestKey::Tag(tag)), &text)
    });
    let subject = document.subject.as_ref().and_then(Descriptor::digest);
    let subject = subject.map(|subject| {
        let path = manifest_path(name, &ManifestKey::Digest(subject));
        link(path, &digest(subject))
    });
    let bytes = match document.manifests.is_empty() {
        true => Html::of(size(document.size())),
        false => Html::new(),
    };
    let text = |text: Option<String>| text.map(Html::of).unwrap_or_default();
    Ok(facts(&[
        ("Digest", code(manifest.digest)),
        ("Tags", list(tags)),
        (
            "Platform",
            text(config.map(|config| config.platform.to_string())),
        ),
        (
            "Artifact type",
            text(document.artifact().map(str::to_owned)),
        ),
        ("About", subject.unwrap_or_default()),
        ("Size", bytes),
        (
            "Created",
            config
                .and_then(|config| config.created)
                .map(moment)
                .unwrap_or_default(),
        ),
        ("Pushed", moment(manifest.pushed)),
        ("Media type", code(&manifest.media_type)),
    ]))
}

fn pulling(host: &str, name: &RepositoryName, key: &ManifestKey, digest: &ContentDigest) -> Html {
    let by_digest = ManifestKey::Digest(*digest);
    let mut html = Html::new();
    html.raw("<h2>Pull</h2>\n<div class=\"commands\">\n");
    for (keys, program) in [(key, "docker"), (&by_digest, "docker"), (key, "hull")] {
        let command_line = format!("{program} pull {host}/{}", reference(name, keys));
        // Without a tag both are the same.
        if program == "docker" && keys == key && *key == by_digest {
            continue;
        }
        html.html(&command(command_line));
    }
    html.raw("</div>\n");
    html
}

fn images(source: &Source, name: &RepositoryName, index: &Document) -> Html {
    let repositories = &source.registry.repositories;
    let rows = index.manifests.iter().take(MOST_PARTS).map(|part| {
        let here = part.digest().and_then(|digest| {
            let key = ManifestKey::Digest(digest);
            let manifest = repositories.manifest(name, &key).ok()?;
            Some((key, manifest))
        });
        let summary = here.as_ref().map(|(_, manifest)| {
            let summary = tags::summary(repositories, name, manifest);
            summary.images.into_iter().next().unwrap_or_default()
        });
        let kind = match (&part.platform, &summary) {
            _ if part.is_attached() => "attestation".to_owned(),
            (Some(platform), _) => platform.to_string(),
            (None, Some((kind, _))) => kind.clone(),
            (None, None) => "unknown".to_owned(),
        };
        let shown = digest(&part.digest);
        vec![
            Html::of(kind),
            match &here {
                Some((key, _)) => link(manifest_path(name, key), &shown),
                None => shown,
            },
            brief(size(summary.map_or(part.size, |(_, bytes)| bytes))),
        ]
    });
    let mut html = Html::new();
    html.raw("<h2>Images</h2>\n<p class=\"count\">");
    html.text(amounts::count(index.manifests.len(), "image", "images"));
    html.raw("</p>\n");
    html.html(&table("Images", &["Platform", "Digest", "Size"], rows));
    html
}

fn layers(document: &Document, config: Option<&ImageConfig>) -> Html {
    let count = document.layers.len();
    let made = config.map_or_else(
        || vec![String::new(); count],
        |config| document::makers(config, count),
    );
    let rows = document
        .layers
        .iter()
        .zip(&made)
        .enumerate()
        .take(MOST_PARTS);
    let rows = rows.map(|(at, (layer, made))| {
        let mut command = Html::new();
        let words: String = made.chars().take(MOST_WORDS).collect();
        if !words.is_empty() {
            command
                .raw("<code class=\"made\">")
                .text(&words)
                .raw("</code>");
        }
        if words.len() < made.len() {
            command.raw("…");
        }
        vec![
            Html::of(at + 1),
            command,
            digest(&layer.digest),
            short_type(&layer.media_type),
            brief(size(layer.size)),
        ]
    });
    let mut html = Html::new();
    html.raw("<h2>Layers</h2>\n<p class=\"count\">");
    html.text(amounts::count(count, "layer", "layers"));
    let bytes = document
        .layers
        .iter()
        .fold(0_u64, |sum, layer| sum.saturating_add(layer.size));
    html.raw(", ").text(size(bytes)).raw("</p>\n");
    html.html(&table(
        "Layers",
        &["Layer", "Made by", "Digest", "Type", "Size"],
        rows,
    ));
    html
}

/// `tar+gzip` for what layers mostly are; others whole.
fn short_type(media_type: &str) -> Html {
    let known = [
        "application/vnd.oci.image.layer.v1.",
        "application/vnd.docker.image.rootfs.diff.",
    ];
    let short = known
        .iter()
        .find_map(|prefix| media_type.strip_prefix(prefix));
    short.map_or_else(|| Html::of(media_type), brief)
}

fn configuration(config: &ImageConfig) -> Html {
    let run = &config.config;
    let words = |words: &Option<Vec<String>>| match words.as_deref() {
        None | Some([]) => Html::new(),
        Some(words) => code(serde_json::json!(words)),
    };
    let text = |text: &str| match text {
        "" => Html::new(),
        text => code(text),
    };
    let several = |items: Vec<&str>| list(items.into_iter().map(code));
    let names = |map: &Option<std::collections::BTreeMap<String, serde_json::Value>>| {
        several(
            map.iter()
                .flat_map(|map| map.keys().map(String::as_str))
                .collect(),
        )
    };
    let shown = facts(&[
        ("Entrypoint", words(&run.entrypoint)),
        ("Command", words(&run.cmd)),
        ("User", text(&run.user)),
        ("Working directory", text(&run.working_dir)),
        ("Environment", several(document::variables(config))),
        ("Ports", names(&run.exposed_ports)),
        ("Volumes", names(&run.volumes)),
        ("Stop signal", text(&run.stop_signal)),
        ("Author", text(&config.author)),
    ]);
    let mut html = Html::new();
    html.raw("<h2>Configuration</h2>\n").html(&shown);
    if let Some(labels) = run.labels.as_ref().filter(|labels| !labels.is_empty()) {
        html.raw("<h3>Labels</h3>\n").html(&pairs(labels));
    }
    html
}

fn referrers(
    source: &Source,
    name: &RepositoryName,
    subject: &ContentDigest,
) -> Result<Html, Refusal> {
    let about = About {
        subject,
        artifact_type: None,
        last: None,
        bytes: REFERRER_BYTES,
    };
    let page = source.registry.repositories.referrers(name, &about)?;
    let found = page.items;
    let mut html = Html::new();
    if found.is_empty() {
        return Ok(html);
    }
    html.raw("<h2>Referrers</h2>\n<p class=\"count\">");
    html.text(amounts::count(found.len(), "referrer", "referrers"));
    if page.more {
        html.text(" and more");
    }
    html.raw("</p>\n");
    let rows = found.iter().take(MOST_REFERRERS).map(|referrer| {
        let kind = referrer
            .artifact_type
            .as_deref()
            .unwrap_or(&referrer.media_type);
        let annotations = referrer.annotations.as_deref().map(document::annotations);
        let path = manifest_path(name, &ManifestKey::Digest(referrer.digest));
        vec![
            Html::of(kind),
            link(path, &digest(referrer.digest)),
            brief(size(referrer.size)),
            annotations.map(|found| pairs(&found)).unwrap_or_default(),
        ]
    });
    let columns = &["Type", "Digest", "Size", "Annotations"];
    html.html(&table("Referrers", columns, rows));
    Ok(html)
}
