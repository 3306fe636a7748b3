//! Referrers: `GET /v2/<name>/referrers/<digest>`, what says that it is about a manifest.
//!
//! Clients of registries without this API list referrers in an index that is tagged
//! `sha256-<hex>`. What they name there was pushed with a subject too, so it is found here by
//! itself.

use hull_images::repositories::{ContentDigest, Referrer, Repositories, RepositoryName};
use hyper::StatusCode;
use hyper::header::LINK;
use serde_json::{Map, Value, json};

use super::Call;
use crate::manifest::OCI_INDEX;
use crate::reply::{Answer, OCI_FILTERS_APPLIED, Reply};

/// Bytes of descriptors in one answer, at most: an index should not be larger than a manifest may.
const MAX_BYTES: usize = 3 << 20;

pub(crate) async fn list(call: &Call<'_>, name: RepositoryName, digest: ContentDigest) -> Answer {
    let wanted = call.query.get("artifactType").map(str::to_owned);
    let upstream = match &call.registry.cache {
        Some(cache) => cache.referrers(&name, &digest).await?,
        None => None,
    };
    let (repository, filter) = (name.clone(), wanted.clone());
    let found = match upstream {
        Some(found) => {
            let fits = |one: &Referrer| filter.is_none() || one.artifact_type == filter;
            found.into_iter().filter(fits).collect()
        }
        None => {
            let find = move |repositories: &Repositories| {
                repositories.referrers(&repository, &digest, filter.as_deref())
            };
            call.store(find).await?
        }
    };
    let start = match call.query.get("last") {
        None => 0,
        Some(last) => found
            .iter()
            .position(|referrer| referrer.digest.to_string() == last)
            .map_or(found.len(), |at| at + 1),
    };
    let (mut bytes, mut descriptors) = (0, Vec::new());
    for referrer in found.iter().skip(start) {
        let descriptor = describe(referrer);
        bytes += descriptor.to_string().len();
        if bytes > MAX_BYTES && !descriptors.is_empty() {
            break;
        }
        descriptors.push(descriptor);
    }
    let mut reply = Reply::new(StatusCode::OK);
    if let Some(last) = (start + descriptors.len())
        .checked_sub(1)
        .and_then(|at| found.get(at))
        && start + descriptors.len() < found.len()
    {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("last", &last.digest.to_string());
        if let Some(wanted) = &wanted {
            query.append_pair("artifactType", wanted);
        }
        let query = query.finish();
        let link = format!("</v2/{name}/referrers/{digest}?{query}>; rel=\"next\"");
        reply = reply.header(LINK, link);
    }
    if wanted.is_some() {
        reply = reply.header(OCI_FILTERS_APPLIED, "artifactType");
    }
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors});
    reply.json_of(OCI_INDEX, &index)
}

fn describe(referrer: &Referrer) -> Value {
    let mut descriptor = Map::new();
    descriptor.insert("mediaType".into(), json!(referrer.media_type));
    descriptor.insert("digest".into(), json!(referrer.digest.to_string()));
    descriptor.insert("size".into(), json!(referrer.size));
    if let Some(kind) = &referrer.artifact_type {
        descriptor.insert("artifactType".into(), json!(kind));
    }
    let annotations = referrer.annotations.as_deref();
    if let Some(Ok(annotations)) = annotations.map(serde_json::from_str::<Value>) {
        descriptor.insert("annotations".into(), annotations);
    }
    Value::Object(descriptor)
}
