//! `POST /images/prune?filters=`

use bollard_stubs::models::ImagePruneResponse;
use hull_engine::PruneOptions;

use super::filter::boolean;
use super::name::item;
use crate::api::{App, time};
use crate::http::filters::Filters;
use crate::http::{ApiError, Reply, Request};

pub(super) async fn prune(app: App, request: Request) -> Result<Reply, ApiError> {
    let options = options(request.filters()?)?;
    let pruned = app.engine.images().prune(options).await?;
    let removed: Vec<_> = pruned.removals.into_iter().map(item).collect();
    Reply::json(&ImagePruneResponse {
        // Docker says `null` for nothing.
        images_deleted: Some(removed).filter(|removed| !removed.is_empty()),
        space_reclaimed: i64::try_from(pruned.reclaimed).ok(),
    })
}

fn options(filters: Filters) -> Result<PruneOptions, ApiError> {
    let mut options = PruneOptions::default();
    for (key, values) in filters.into_map() {
        match key.as_str() {
            "dangling" => options.all = !boolean(&key, &values)?,
            "label" => options.labels = values,
            "label!" => options.not_labels = values,
            "until" => options.until = Some(time::filter(&values)?),
            _ => return Err(ApiError::bad_request(format!("invalid filter '{key}'"))),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<PruneOptions, String> {
        Filters::parse(Some(text))
            .and_then(options)
            .map_err(|error| error.message)
    }

    #[test]
    fn filters_say_what_goes() {
        assert!(!check("").unwrap().all);
        assert!(check(r#"{"dangling":{"false":true}}"#).unwrap().all);
        let labels = check(r#"{"label":["a=b"],"label!":["c"]}"#).unwrap();
        assert_eq!(
            (&labels.labels[0][..], &labels.not_labels[0][..]),
            ("a=b", "c")
        );
        assert!(check(r#"{"until":["24h"]}"#).unwrap().until.is_some());
        for (text, message) in [
            (r#"{"bogus":["x"]}"#, "invalid filter 'bogus'"),
            (r#"{"dangling":["x"]}"#, "invalid filter 'dangling=[x]'"),
            (
                r#"{"until":["1h","2h"]}"#,
                "more than one until filter specified",
            ),
        ] {
            assert_eq!(check(text).unwrap_err(), message);
        }
    }
}
