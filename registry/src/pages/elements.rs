//! What pages are put together from: tables, facts, moments, names of content.

use hull_images::repositories::{ManifestKey, RepositoryName};
use jiff::Timestamp;

use super::amounts;
use super::markup::Html;

/// A table whose rows become blocks where there is no room for columns. Roles are spelled out since
/// such a layout takes them away.
pub(super) fn table(
    caption: &'static str,
    columns: &'static [&'static str],
    rows: impl IntoIterator<Item = Vec<Html>>,
) -> Html {
    let mut html = Html::new();
    html.raw("<table role=\"table\"><caption class=\"unseen\">")
        .raw(caption)
        .raw("</caption><thead role=\"rowgroup\"><tr role=\"row\">");
    for column in columns {
        html.raw("<th role=\"columnheader\" scope=\"col\">")
            .raw(column)
            .raw("</th>");
    }
    html.raw("</tr></thead>\n<tbody role=\"rowgroup\">\n");
    for row in rows {
        html.raw("<tr role=\"row\">");
        for (at, (cell, column)) in row.iter().zip(columns).enumerate() {
            // The first names the row.
            let (open, close) = match at {
                0 => ("<th role=\"rowheader\" scope=\"row\">", "</th>"),
                _ => (
                    "<td role=\"cell\"><span class=\"label\" aria-hidden=\"true\">",
                    "</td>",
                ),
            };
            html.raw(open);
            if at > 0 {
                html.raw(column).raw("</span>");
            }
            html.raw("<div>").html(cell).raw("</div>").raw(close);
        }
        html.raw("</tr>\n");
    }
    html.raw("</tbody></table>\n");
    html
}

/// Names and what they stand for; those that stand for nothing are left out.
pub(super) fn facts(facts: &[(&'static str, Html)]) -> Html {
    let mut html = Html::new();
    html.raw("<dl>\n");
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        html.raw("<div><dt>").raw(name).raw("</dt><dd>");
        html.html(value).raw("</dd></div>\n");
    }
    html.raw("</dl>\n");
    html
}

/// The same of what came with names of its own.
pub(super) fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> Html {
    let mut html = Html::new();
    html.raw("<dl class=\"pairs\">\n");
    for (name, value) in pairs {
        html.raw("<div><dt><bdi>")
            .text(name)
            .raw("</bdi></dt><dd><bdi>");
        html.text(value).raw("</bdi></dd></div>\n");
    }
    html.raw("</dl>\n");
    html
}

/// Something that programs read.
pub(super) fn code(text: impl std::fmt::Display) -> Html {
    let mut html = Html::new();
    html.raw("<code>").text(text).raw("</code>");
    html
}

/// A few words that stay on one line.
pub(super) fn brief(text: impl std::fmt::Display) -> Html {
    let mut html = Html::new();
    html.raw("<span class=\"brief\">").text(text).raw("</span>");
    html
}

/// A command as a whole, which one click selects.
pub(super) fn command(text: impl std::fmt::Display) -> Html {
    let mut html = Html::new();
    html.raw("<pre class=\"command\" tabindex=\"0\"><code>")
        .text(text)
        .raw("</code></pre>\n");
    html
}

/// A digest, short, whole where one points at it.
pub(super) fn digest(digest: impl std::fmt::Display) -> Html {
    let whole = digest.to_string();
    let (algorithm, hex) = whole.split_once(':').unwrap_or(("", &whole));
    let short: String = hex.chars().take(12).collect();
    let mut html = Html::new();
    html.raw("<code title=\"").text(&whole).raw("\">");
    if !algorithm.is_empty() {
        html.text(algorithm).raw(":");
    }
    html.text(short).raw("</code>");
    html
}

/// An age, and the moment where one points at it.
pub(super) fn moment(then: Timestamp) -> Html {
    let whole = then.strftime("%Y-%m-%dT%H:%M:%SZ");
    let shown = then.strftime("%Y-%m-%d %H:%M:%S UTC");
    let mut html = Html::new();
    html.raw("<time datetime=\"").text(whole).raw("\" title=\"");
    html.text(shown).raw("\">");
    html.text(amounts::age(then, Timestamp::now()))
        .raw("</time>");
    html
}

/// Nothing, if there are no items.
pub(super) fn list(items: impl IntoIterator<Item = Html>) -> Html {
    let mut items = items.into_iter().peekable();
    let mut html = Html::new();
    if items.peek().is_none() {
        return html;
    }
    html.raw("<ul>");
    for item in items {
        html.raw("<li>").html(&item).raw("</li>");
    }
    html.raw("</ul>");
    html
}

pub(super) fn link(href: impl std::fmt::Display, text: &Html) -> Html {
    let mut html = Html::new();
    html.raw("<a href=\"").text(href).raw("\">");
    html.html(text).raw("</a>");
    html
}

/// The address of a repository's page.
pub(super) fn repository_path(name: &RepositoryName) -> String {
    format!("/ui/{name}")
}

/// The address of a manifest's page.
pub(super) fn manifest_path(name: &RepositoryName, key: &ManifestKey) -> String {
    format!("/ui/{}", reference(name, key))
}

/// A manifest's name without a host.
pub(super) fn reference(name: &RepositoryName, key: &ManifestKey) -> String {
    match key {
        ManifestKey::Tag(tag) => format!("{name}:{tag}"),
        ManifestKey::Digest(digest) => format!("{name}@{digest}"),
    }
}

/// Links to the pages beside the `page`th (from 1) of `total` items, if there are more than one.
pub(super) fn pager(
    path: &str,
    query: &[(&str, &str)],
    (page, size, total): (usize, usize, usize),
) -> Html {
    let pages = total.div_ceil(size.max(1));
    let mut html = Html::new();
    if pages <= 1 {
        return html;
    }
    let address = |page: usize| {
        let mut out = form_urlencoded::Serializer::new(String::new());
        out.extend_pairs(query);
        out.append_pair("page", &page.to_string());
        format!("{path}?{}", out.finish())
    };
    html.raw("<nav class=\"pager\" aria-label=\"Pages\">");
    if page > 1 {
        html.raw("<a rel=\"prev\" href=\"")
            .text(address(page.min(pages + 1) - 1));
        html.raw("\">← Previous</a>");
    }
    html.raw("<span>Page ")
        .text(page)
        .raw(" of ")
        .text(pages)
        .raw("</span>");
    if page < pages {
        html.raw("<a rel=\"next\" href=\"").text(address(page + 1));
        html.raw("\">Next →</a>");
    }
    html.raw("</nav>\n");
    html
}
