//! Referrers: `GET /v2/<name>/referrers/<digest>`, what says that it is about a manifest.
//!
//! Clients of registries without this API list referrers in an index that is tagged
//! `sha256-<hex>`. What they name there was pushed with a subject too, so it is found here by
//! itself.

use hull_images::repositories::{
    About, ContentDigest, Page, Referrer, Repositories, RepositoryName,
};
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
    let last = call.query.get("last").map(str::to_owned);
    let upstream = match &call.registry.cache {
        Some(cache) => cache.referrers(&name, &digest).await?,
        None => None,
    };
    let page = match upstream {
        Some(found) => {
            let fits = |one: &Referrer| wanted.is_none() || one.artifact_type == wanted;
            cut(found.into_iter().filter(fits).collect(), last.as_deref())
        }
        None => {
            let (repository, filter) = (name.clone(), wanted.clone());
            let find = move |repositories: &Repositories| {
                let about = About {
                    subject: &digest,
                    artifact_type: filter.as_deref(),
                    last: last.as_deref(),
                    bytes: MAX_BYTES,
                };
                repositories.referrers(&repository, &about)
            };
            call.store(find).await?
        }
    };
    let descriptors: Vec<Value> = page.items.iter().map(describe).collect();
    let mut reply = Reply::new(StatusCode::OK);
    if let Some(last) = page.items.last().filter(|_| page.more) {
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

/// The part of a list that one answer has.
fn cut(found: Vec<Referrer>, last: Option<&str>) -> Page<Referrer> {
    let start = match last {
        None => 0,
        Some(last) => found
            .iter()
            .position(|referrer| referrer.digest.to_string() == last)
            .map_or(found.len(), |at| at + 1),
    };
    let count = found.len() - start;
    let (mut items, mut bytes) = (Vec::new(), 0);
    for referrer in found.into_iter().skip(start) {
        bytes += referrer.weight();
        if bytes > MAX_BYTES && !items.is_empty() {
            break;
        }
        items.push(referrer);
    }
    let more = items.len() < count;
    Page { items, more }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn referrer(number: u8, weight: usize) -> Referrer {
        Referrer {
            digest: hull_images::Digest::of(&[number]).into(),
            media_type: String::new(),
            size: 1,
            artifact_type: None,
            annotations: Some("x".repeat(weight)),
        }
    }

    #[test]
    fn a_list_is_cut_where_it_gets_too_long() {
        let large = MAX_BYTES / 2;
        let all: Vec<_> = (0..3).map(|number| referrer(number, large)).collect();
        let mut last = None;
        for number in 0..3 {
            let page = cut(all.clone(), last.as_deref());
            assert_eq!(page.items, all[number..=number]);
            assert_eq!(page.more, number < 2);
            last = Some(page.items[0].digest.to_string());
        }
        assert!(cut(all.clone(), last.as_deref()).items.is_empty());
        // One that is too long by itself is given all the same.
        assert_eq!(cut(vec![referrer(1, 2 * MAX_BYTES)], None).items.len(), 1);
        assert!(cut(all, Some("nosuch")).items.is_empty());
    }
}
