//! An engine and nothing else, for tests that kill one: it opens the data root in the folder that
//! is its first argument, with the `hull-vmm` that is its second, says a byte, and waits.

use std::io::Write;
use std::path::PathBuf;

use hull_engine::Engine;
use hull_engine::api::Options;

#[tokio::main]
async fn main() {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let dir = args.next().expect("a folder");
    let mut options = Options::new(dir.join("data"), dir.join("run"), &dir, &dir);
    options.vmm = args.next().expect("a hull-vmm");
    options.kvm = dir.join("kvm");
    options.cgroup_root = None;
    options.defaults.scratch_bytes = 32 << 20;
    let _engine = Engine::open(options).await.expect("an engine");
    std::io::stdout().write_all(b"+").expect("said");
    std::io::stdout().flush().expect("said");
    std::future::pending::<()>().await;
}
