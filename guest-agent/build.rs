//! Links the guest's init at a fixed address.
//!
//! A static position-independent program relocates itself before `main`: in a guest, that is boot
//! time, and pages that would otherwise be shared with the file. Nothing else runs in its address
//! space that could make use of knowing where it is.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let features = std::env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    if features.split(',').any(|f| f == "crt-static") {
        // The last of these words wins over the compiler's own -static-pie.
        println!("cargo::rustc-link-arg-bin=hull-agent=-no-pie");
        println!("cargo::rustc-link-arg-bin=hull-agent=-static");
    }
}
