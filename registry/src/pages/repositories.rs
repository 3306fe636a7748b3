//! The list of repositories, with a search.

use hull_images::repositories::{Record, Visibility, Window};

use super::Source;
use super::amounts::{self, size};
use super::elements::{brief, link, moment, pager, repository_path, table};
use super::frame::Page;
use super::markup::Html;
use crate::access::Actor;
use crate::refusal::Refusal;

/// Repositories on a page.
const PAGE: usize = 50;
/// Characters of a search; more fit no name and no description.
const MAX_SEARCH: usize = 255;

pub(super) fn page(source: &Source, wanted: &str, number: usize) -> Result<Page, Refusal> {
    let wanted: String = wanted.chars().take(MAX_SEARCH).collect();
    let registry = &source.registry;
    let sight = registry
        .access
        .sight(&registry.repositories, &source.actor)?;
    let window = Window {
        skip: (number - 1).saturating_mul(PAGE),
        limit: PAGE,
    };
    let mut sees_any = false;
    let found = registry
        .repositories
        .search(&wanted.trim().to_lowercase(), window, |name| {
            let sees = sight.sees(name);
            sees_any |= sees;
            sees
        })?;
    // Who may see nothing yet, and nothing was said by him of who he is, is asked.
    if !sees_any && wanted.is_empty() && source.actor == Actor::Anonymous {
        registry.access.check_known(&source.actor)?;
    }
    let mut body = Html::new();
    body.raw("<h1>Repositories</h1>\n").html(&search(&wanted));
    body.raw("<p class=\"count\">");
    body.text(amounts::count(found.total, "repository", "repositories"));
    if !wanted.is_empty() {
        body.raw(" with <q><bdi>")
            .text(&wanted)
            .raw("</bdi></q> · ");
        body.raw("<a href=\"/ui/\">Show all</a>");
    }
    body.raw("</p>\n");
    match (found.items.is_empty(), wanted.is_empty()) {
        (true, true) if found.total == 0 => {
            body.html(&nothing(source));
        }
        (true, _) => {}
        (false, _) => {
            let columns = &[
                "Repository",
                "Description",
                "Visibility",
                "Tags",
                "Size",
                "Pushed",
            ];
            let rows = found.items.iter().map(row);
            body.html(&table("Repositories", columns, rows));
        }
    }
    let query: &[_] = match wanted.is_empty() {
        true => &[],
        false => &[("q", &*wanted)],
    };
    body.html(&pager("/ui/", query, (number, PAGE, found.total)));
    let title = Html::of("Repositories");
    Ok(Page { title, body })
}

fn search(wanted: &str) -> Html {
    let mut html = Html::new();
    html.raw(
        "<form class=\"search\" role=\"search\" action=\"/ui/\" method=\"get\">\
         <label for=\"q\">Search names and descriptions</label>\
         <input type=\"search\" id=\"q\" name=\"q\" maxlength=\"255\" autocomplete=\"off\" \
         spellcheck=\"false\" value=\"",
    );
    html.text(wanted);
    html.raw("\"><button>Search</button></form>\n");
    html
}

/// What to do in a registry that has nothing.
fn nothing(source: &Source) -> Html {
    let mut html = Html::new();
    html.raw("<p>Nothing has been pushed here that you may see. To push an image:</p>\n");
    let host = &source.visitor.host;
    html.html(&super::elements::command(format!(
        "docker tag busybox {host}/busybox\ndocker push {host}/busybox"
    )));
    html
}

fn row(record: &Record) -> Vec<Html> {
    let mut name = Html::new();
    name.raw("<bdi>").text(record.name.as_str()).raw("</bdi>");
    let mut description = Html::new();
    description
        .raw("<bdi>")
        .text(&record.description)
        .raw("</bdi>");
    vec![
        link(repository_path(&record.name), &name),
        description,
        visibility(record.visibility),
        Html::of(record.tags),
        brief(size(record.size)),
        record.pushed.map(moment).unwrap_or_default(),
    ]
}

pub(super) fn visibility(visibility: Visibility) -> Html {
    let mut html = Html::new();
    html.raw(match visibility {
        Visibility::Public => "<span class=\"badge public\">public</span>",
        Visibility::Private => "<span class=\"badge\">private</span>",
    });
    html
}
