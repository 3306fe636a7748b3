//! The container's root filesystem: the image's layers under a writable directory.
//!
//! ```text
//!  /run/layers   virtio-fs, read-only: folders 0, 1, …     ─┐
//!  /run/scratch  ext4 on the scratch disk, or a tmpfs        ├─► overlay on /run/root, and another
//!                upper/ work/                              ─┘   mount of it for the container
//!  /run/lower    the layers alone, once changes are asked for
//! ```

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use hull_protocol::LAYERS_TAG;
use hull_protocol::agent::RootFs;
use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags,
};

use super::Step;
use crate::files::Trees;
use crate::platform::PlatformError;

const UPPER: &str = "upper";
const LAYERS: &str = "/run/layers";
const SCRATCH: &str = "/run/scratch";
/// The root without what the container mounts in its own, for the agent's work on its files.
const ROOT: &str = "/run/root";
const LOWER: &str = "/run/lower";
/// As Docker's; the kernel would take 500.
const MAX_LAYERS: u32 = 128;

/// Mounts what the root is made of and puts it together.
pub(super) fn assemble(root: &RootFs) -> Result<OwnedFd, PlatformError> {
    if root.layers == 0 {
        return Err(PlatformError::NoLayers);
    }
    if root.layers > MAX_LAYERS {
        return Err(PlatformError::TooManyLayers {
            count: root.layers,
            most: MAX_LAYERS,
        });
    }
    // A Create that failed half way has left its mounts behind.
    release()?;
    let sealed = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    fs::create_dir_all(LAYERS).step("make", LAYERS)?;
    rustix::mount::mount(LAYERS_TAG, LAYERS, "virtiofs", sealed, c"")
        .step("mount layers", LAYERS_TAG)?;
    fs::create_dir_all(SCRATCH).step("make", SCRATCH)?;
    let flags = MountFlags::NOATIME | MountFlags::NOSUID | MountFlags::NODEV;
    match &root.scratch {
        Some(disk) => rustix::mount::mount(&**disk, SCRATCH, "ext4", flags, c"")
            .step("mount scratch disk", disk)?,
        None => rustix::mount::mount("tmpfs", SCRATCH, "tmpfs", flags, c"mode=755")
            .step("mount", "scratch tmpfs")?,
    }
    let overlay = overlay(Path::new(LAYERS), root.layers, Path::new(SCRATCH))?;
    fs::create_dir_all(ROOT).step("make", ROOT)?;
    attach(&overlay, ROOT)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    rustix::mount::open_tree(CWD, ROOT, flags).step("clone", ROOT)
}

fn attach(mount: &OwnedFd, at: &str) -> Result<(), PlatformError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", CWD, at, flags).step("mount at", at)
}

/// Where the files of the assembled root are.
pub(super) fn trees() -> Result<Trees, PlatformError> {
    Ok(Trees {
        root: ROOT.into(),
        upper: Path::new(SCRATCH).join(UPPER),
        lower: lower()?,
    })
}

/// The layers without the upper folder. One layer is that already; an overlay wants two.
fn lower() -> Result<PathBuf, PlatformError> {
    static ONCE: Mutex<()> = Mutex::new(());
    let _once = ONCE.lock().unwrap_or_else(PoisonError::into_inner);
    let layers = Path::new(LAYERS);
    let mut count = 0;
    while count < MAX_LAYERS && layers.join(count.to_string()).is_dir() {
        count += 1;
    }
    if count < 2 {
        return Ok(layers.join("0"));
    }
    if !Path::new(LOWER).is_dir() {
        let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
            .step("open", "overlay")?;
        stack(&context, layers, count)?;
        let overlay = mounted(&context, MountAttrFlags::MOUNT_ATTR_RDONLY)?;
        fs::create_dir(LOWER).step("make", LOWER)?;
        attach(&overlay, LOWER)?;
    }
    Ok(LOWER.into())
}

/// An overlay of the folders `0` to `count - 1` in `layers`, the highest number on top.
pub(crate) fn overlay(layers: &Path, count: u32, scratch: &Path) -> Result<OwnedFd, PlatformError> {
    let upper = scratch.join(UPPER);
    let work = scratch.join("work");
    for folder in [&upper, &work] {
        if !folder.is_dir() {
            fs::create_dir(folder).step("make", folder.display())?;
        }
    }
    let context =
        rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).step("open", "overlay")?;
    stack(&context, layers, count)?;
    for (key, path) in [("upperdir", &upper), ("workdir", &work)] {
        rustix::mount::fsconfig_set_string(&context, key, path).step("set", path.display())?;
    }
    mounted(&context, MountAttrFlags::MOUNT_ATTR_RELATIME)
}

/// Says what the layers are, the highest first.
fn stack(context: &OwnedFd, layers: &Path, count: u32) -> Result<(), PlatformError> {
    rustix::mount::fsconfig_set_string(context, "source", "overlay").step("set", "source")?;
    for layer in (0..count).rev() {
        let path = layers.join(layer.to_string());
        rustix::mount::fsconfig_set_string(context, "lowerdir+", &path)
            .step("set", path.display())?;
    }
    Ok(())
}

fn mounted(context: &OwnedFd, attributes: MountAttrFlags) -> Result<OwnedFd, PlatformError> {
    rustix::mount::fsconfig_create(context).step("make", "overlay")?;
    rustix::mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .step("mount", "overlay")
}

/// Takes everything apart again and leaves the disk clean.
pub(super) fn release() -> Result<(), PlatformError> {
    rustix::fs::sync();
    for place in [LOWER, ROOT, SCRATCH, LAYERS] {
        match rustix::mount::unmount(place, UnmountFlags::empty()) {
            // Not mounted, or not even there.
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
            // Still in use: by a process that could not be killed, or an archive under way.
            Err(rustix::io::Errno::BUSY) if place == SCRATCH => {
                let flags = MountFlags::RDONLY;
                rustix::mount::mount_remount(place, flags, c"").step("make read-only", place)?;
            }
            Err(rustix::io::Errno::BUSY) => {}
            Err(e) => return Err(e).step("unmount", place),
        }
    }
    rustix::fs::sync();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    use rustix::fs::{FileType, Mode, OFlags};

    fn layers(count: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for layer in 0..count {
            let layer_folder = folder.path().join("l").join(layer.to_string());
            fs::create_dir_all(&layer_folder).unwrap();
            fs::write(layer_folder.join("top"), layer.to_string()).unwrap();
            fs::write(layer_folder.join(format!("of-{layer}")), "").unwrap();
        }
        fs::create_dir(folder.path().join("scratch")).unwrap();
        folder
    }

    fn read(root: &OwnedFd, name: &str) -> rustix::io::Result<Vec<u8>> {
        let file = rustix::fs::openat(root, name, OFlags::RDONLY, Mode::empty())?;
        let mut buffer = vec![0; 16];
        let length = rustix::io::read(&file, &mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    }

    #[test]
    fn the_last_layer_is_on_top_and_hides_what_it_whites_out() {
        let folder = layers(3);
        let whiteout = folder.path().join("l/2/of-0");
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &whiteout,
            FileType::CharacterDevice,
            mode,
            0,
        )
        .unwrap();
        let scratch = folder.path().join("scratch");
        let root = overlay(&folder.path().join("l"), 3, &scratch).unwrap();
        assert_eq!(read(&root, "top").unwrap(), b"2");
        assert_eq!(read(&root, "of-1").unwrap(), b"");
        assert_eq!(read(&root, "of-0"), Err(rustix::io::Errno::NOENT));
        let flags = OFlags::WRONLY | OFlags::CREATE;
        let file = rustix::fs::openat(&root, "new", flags, mode).unwrap();
        rustix::io::write(&file, b"x").unwrap();
        assert_eq!(fs::read(scratch.join("upper/new")).unwrap(), b"x");
    }

    #[test]
    fn as_many_layers_as_docker_allows_fit() {
        let folder = layers(MAX_LAYERS);
        let scratch = folder.path().join("scratch");
        let root = overlay(&folder.path().join("l"), MAX_LAYERS, &scratch).unwrap();
        assert_eq!(read(&root, "top").unwrap(), b"127");
        assert_eq!(read(&root, "of-0").unwrap(), b"");
    }

    #[test]
    fn no_layers_or_too_many_are_refused() {
        let root = |layers| {
            assemble(&RootFs {
                layers,
                scratch: None,
            })
        };
        assert!(matches!(root(0), Err(PlatformError::NoLayers)));
        assert!(matches!(
            root(MAX_LAYERS + 1),
            Err(PlatformError::TooManyLayers { .. })
        ));
    }
}
