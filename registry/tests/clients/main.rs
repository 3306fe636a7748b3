//! A configured registry and the clients that people have: curl, skopeo, buildah.

mod cache;
mod copy;
mod figures;
mod full;
mod issuer;
#[path = "../../../images/src/remote/peer.rs"]
mod peer;
mod records;
mod rights;
mod served;
mod tls;
mod tokens;
mod upstream;
mod webhooks;
