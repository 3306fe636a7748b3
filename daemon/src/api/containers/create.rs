//! `POST /containers/create`

use bollard_stubs::models::ContainerCreateResponse;
use hull_engine::api::{Config, CreateSpec};
use hyper::StatusCode;

use crate::api::App;
use crate::http::{ApiError, Reply, Request};

pub(super) async fn create(app: App, mut request: Request) -> Result<Reply, ApiError> {
    let spec: CreateSpec = request.json().await?;
    if spec.config == Config::default() {
        let message = "config cannot be empty in order to create a container";
        return Err(ApiError::bad_request(message));
    }
    check_platform(request.query.text("platform"))?;
    let created = app.engine.create(request.query.text("name"), spec).await?;
    let (id, warnings) = (created.id.to_string(), created.warnings);
    Reply::json_with(
        StatusCode::CREATED,
        &ContainerCreateResponse { id, warnings },
    )
}

/// A VM runs what its host runs; the engine checks the image, this what the user says.
fn check_platform(platform: Option<&str>) -> Result<(), ApiError> {
    let Some(platform) = platform else {
        return Ok(());
    };
    let mut parts = platform.split('/');
    let (os, arch) = match (parts.next().unwrap_or_default(), parts.next()) {
        (os, Some(arch)) => (os, arch),
        ("linux", None) => return Ok(()),
        (arch, None) => ("linux", arch),
    };
    match (os, arch) {
        ("linux", "amd64" | "x86_64") if cfg!(target_arch = "x86_64") => Ok(()),
        ("linux", "arm64" | "aarch64") if cfg!(target_arch = "aarch64") => Ok(()),
        _ => Err(ApiError::not_supported(&format!(
            "--platform {platform} on this host"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_s_platform_runs() {
        for own in ["linux/amd64", "amd64", "linux/amd64/v2"] {
            assert_eq!(
                check_platform(Some(own)).is_ok(),
                cfg!(target_arch = "x86_64")
            );
        }
        for other in ["windows", "windows/amd64", "linux/s390x"] {
            assert_eq!(check_platform(Some(other)).unwrap_err().status, 501);
        }
    }
}
