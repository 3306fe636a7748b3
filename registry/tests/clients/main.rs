//! A configured registry and the clients that people have: curl, skopeo, buildah.

mod copy;
mod figures;
mod records;
mod rights;
mod served;
mod tls;
mod tokens;
mod webhooks;
