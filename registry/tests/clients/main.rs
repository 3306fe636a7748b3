//! A configured registry and the clients that people have: curl, skopeo, buildah, a browser.

mod browser;
mod cache;
mod copy;
mod figures;
mod full;
mod issuer;
mod pages;
#[path = "../../../images/src/remote/peer.rs"]
mod peer;
mod records;
mod rights;
mod served;
mod tls;
mod tokens;
mod upstream;
mod webhooks;
