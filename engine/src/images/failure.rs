//! The store's errors as the engine's: whose fault it is decides about the kind.

use hull_images::remote::FetchError;
use hull_images::{
    FindError, ImageError, ImportError, LayerError, LoadError, RemoveError, SaveError, StoreError,
    UnpackError,
};

use crate::error::{EngineError, ErrorKind};

pub(super) fn store_failed(error: &StoreError) -> EngineError {
    let kind = match error.is_disk_full() {
        true => ErrorKind::Unavailable,
        false => ErrorKind::System,
    };
    EngineError::Image(error.to_string(), kind)
}

pub(super) fn find_failed(error: FindError) -> EngineError {
    let kind = match error {
        FindError::Store(error) => return store_failed(&error),
        FindError::NotFound(_) => ErrorKind::NotFound,
        FindError::Reference(_) => ErrorKind::InvalidParameter,
    };
    EngineError::Image(error.to_string(), kind)
}

pub(super) fn image_failed(error: ImageError) -> EngineError {
    match error {
        ImageError::Layer(LayerError::Store(error)) => store_failed(&error),
        // The disk's, not the archive's.
        ref error @ ImageError::Layer(LayerError::Unpack {
            source: UnpackError::Write(_),
            ..
        }) => EngineError::Image(error.to_string(), ErrorKind::System),
        other => EngineError::Image(other.to_string(), ErrorKind::InvalidParameter),
    }
}

pub(super) fn load_failed(error: LoadError) -> EngineError {
    match error {
        LoadError::Image(error) => image_failed(error),
        other => EngineError::Image(other.to_string(), ErrorKind::InvalidParameter),
    }
}

pub(super) fn import_failed(error: ImportError) -> EngineError {
    match error {
        ImportError::Image(error) => image_failed(error),
        other => EngineError::Image(other.to_string(), ErrorKind::InvalidParameter),
    }
}

pub(super) fn fetch_failed(error: &FetchError) -> EngineError {
    let kind = match error {
        FetchError::Address { .. } => ErrorKind::InvalidParameter,
        FetchError::Status(_) | FetchError::Remote(_) => ErrorKind::System,
    };
    EngineError::Image(error.to_string(), kind)
}

pub(super) fn save_failed(error: SaveError) -> EngineError {
    let kind = match error {
        SaveError::Find(error) => return find_failed(error),
        SaveError::Store(error) => return store_failed(&error),
        SaveError::NotFound(_) | SaveError::Platform { .. } => ErrorKind::NotFound,
        SaveError::Document(_) | SaveError::Layer { .. } | SaveError::Write(_) => ErrorKind::System,
    };
    EngineError::Image(error.to_string(), kind)
}

pub(super) fn remove_failed(error: RemoveError) -> EngineError {
    match error {
        RemoveError::Find(error) => find_failed(error),
        conflict => EngineError::Image(conflict.to_string(), ErrorKind::Conflict),
    }
}

#[cfg(test)]
mod tests {
    use hull_images::{DiffId, Digest};

    use super::*;

    fn of_layer(source: UnpackError) -> ErrorKind {
        let diff = DiffId(Digest::of(b""));
        let layer = LayerError::Unpack { diff, source };
        load_failed(LoadError::Image(ImageError::Layer(layer))).kind()
    }

    #[test]
    fn a_disk_that_cannot_be_written_is_not_the_archive_s_fault() {
        let error = std::io::Error::from_raw_os_error(5);
        assert_eq!(of_layer(UnpackError::Write(error)), ErrorKind::System);
        let path = ".wh.".to_owned();
        let hostile = UnpackError::Whiteout { path };
        assert_eq!(of_layer(hostile), ErrorKind::InvalidParameter);
    }
}
