//! What is around every page: head, header, footer, and the headers that keep a browser from doing
//! more with it than show it.

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};

use hull_images::Digest;

use super::Visitor;
use super::markup::Html;
use crate::http::body::{self, Body};
use crate::http::condition::{self, Condition};
use crate::refusal::{Code, Refusal};
use crate::reply::Reply;

/// A page has nothing but itself and one stylesheet.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";
const STYLE: &str = include_str!("style.css");

/// A page's own part.
pub(super) struct Page {
    /// What the browser calls it.
    pub(super) title: Html,
    pub(super) body: Html,
}

/// An answer that carries a page, or says that the client has it.
pub(super) fn answer(headers: &HeaderMap, visitor: &Visitor, page: &Page) -> Response<Body> {
    let text = whole(visitor, page);
    let tag = condition::entity_tag(&Digest::of(text.as_bytes()));
    let reply = |status| guarded(Reply::new(status)).header(ETAG, &tag);
    match condition::check(headers, &tag) {
        Condition::NotModified => reply(StatusCode::NOT_MODIFIED).empty(),
        Condition::Failed => reply(StatusCode::PRECONDITION_FAILED).empty(),
        Condition::Met => reply(StatusCode::OK)
            .header(CONTENT_TYPE, "text/html; charset=utf-8")
            .body(body::whole(text)),
    }
}

/// The stylesheet, which is the same for everybody.
pub(super) fn style(headers: &HeaderMap) -> Response<Body> {
    let tag = condition::entity_tag(&Digest::of(STYLE.as_bytes()));
    let reply = |status| {
        Reply::new(status)
            .header(ETAG, &tag)
            .header(CACHE_CONTROL, "public, no-cache")
    };
    match condition::check(headers, &tag) {
        Condition::NotModified => reply(StatusCode::NOT_MODIFIED).empty(),
        _ => reply(StatusCode::OK)
            .header(CONTENT_TYPE, "text/css; charset=utf-8")
            .body(body::whole(STYLE)),
    }
}

/// A refusal as a page. Who is to say who he is is asked in the one way that browsers know.
pub(super) fn refused(
    refusal: &Refusal,
    challenge: Option<&str>,
    visitor: &Visitor,
) -> Response<Body> {
    let known = [
        (
            Code::Unauthorized,
            "Sign in",
            "This registry shows its repositories to people it knows.",
        ),
        (
            Code::Denied,
            "Not for you",
            "You may not see this repository, or there is none.",
        ),
        (
            Code::NameUnknown,
            "No such repository",
            "There is no repository of this name.",
        ),
        (
            Code::ManifestUnknown,
            "No such image",
            "The repository has no image of this name.",
        ),
    ];
    let found = known.iter().find(|(code, ..)| refusal.has(*code));
    let (_, title, words) = found.copied().unwrap_or((
        Code::Unknown,
        "Something went wrong",
        "The registry cannot answer this.",
    ));
    let mut body = Html::new();
    body.raw("<h1>").raw(title).raw("</h1>\n<p>").raw(words);
    body.raw("</p>\n<p><a href=\"/ui/\">All repositories</a></p>\n");
    let title = Html::of(title);
    let text = whole(visitor, &Page { title, body });
    let status = refusal.status_code();
    let mut response = guarded(Reply::new(status))
        .header(CONTENT_TYPE, "text/html; charset=utf-8")
        .body(body::whole(text));
    let headers = response.headers_mut();
    headers.extend(refusal.headers().clone());
    // Where no passwords are known the API's own way of asking stays.
    let challenge = challenge.and_then(|text| HeaderValue::from_str(text).ok());
    if let (StatusCode::UNAUTHORIZED, Some(challenge)) = (status, challenge) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

fn guarded(reply: Reply) -> Reply {
    let name = HeaderName::from_static;
    reply
        .header(CONTENT_SECURITY_POLICY, POLICY)
        .header(REFERRER_POLICY, "no-referrer")
        .header(name("cross-origin-opener-policy"), "same-origin")
        .header(name("cross-origin-resource-policy"), "same-origin")
        // Who sees it depends on who asks.
        .header(CACHE_CONTROL, "private, no-cache")
}

fn whole(visitor: &Visitor, page: &Page) -> String {
    let mut html = Html::new();
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>");
    html.html(&page.title).raw(" · ").text(&visitor.host);
    html.raw(
        "</title>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"stylesheet\" href=\"/ui/_style.css\">\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to content</a>\n\
         <header><a class=\"brand\" href=\"/ui/\">Hull registry <span>",
    );
    html.text(&visitor.host).raw("</span></a>");
    match (&visitor.name, visitor.may_sign_in) {
        (Some(name), _) => {
            html.raw("<span class=\"who\">Signed in as <bdi>")
                .text(name);
            html.raw("</bdi></span>");
        }
        (None, true) => {
            html.raw("<a class=\"who\" href=\"/ui/_sign-in\">Sign in</a>");
        }
        (None, false) => {}
    }
    html.raw("</header>\n<main id=\"main\">\n").html(&page.body);
    html.raw("</main>\n</body>\n</html>\n");
    html.into_string()
}
