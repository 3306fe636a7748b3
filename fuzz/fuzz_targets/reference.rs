//! What a user or an archive can give as an image's name: it parses and shows itself as the same
//! name, or is refused.
#![no_main]

use hull_images::{AnyReference, Reference};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let _ = input.parse::<AnyReference>();
    if let Ok(reference) = input.parse::<Reference>() {
        assert_eq!(reference.to_string().parse(), Ok(reference.clone()));
        assert_eq!(reference.familiar().parse(), Ok(reference));
    }
});
