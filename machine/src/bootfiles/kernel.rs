//! The ELF kernel inside a `bzImage`, see the kernel's `Documentation/arch/x86/boot.rst`.

use std::fs;
use std::path::Path;

use super::BootFilesError;

const SETUP_SECTORS: usize = 0x1f1;
const MAGIC: usize = 0x202;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The unpacked kernel; the image as it is where its packing is another than Debian's:
/// QEMU boots that too, only slower.
pub(super) fn unpacked(image: &Path) -> Result<Vec<u8>, BootFilesError> {
    let bytes = fs::read(image).map_err(|source| BootFilesError::Read {
        path: image.to_owned(),
        source,
    })?;
    let Some(packed) = payload(&bytes).filter(|payload| payload.starts_with(&ZSTD)) else {
        return Ok(bytes);
    };
    let unpack = |reason: String| BootFilesError::Unpack {
        path: image.to_owned(),
        reason,
    };
    // The payload ends with its unpacked size, which is no part of the frame.
    let (frame, size) = packed
        .split_last_chunk::<4>()
        .map_or((packed, 0), |(frame, size)| {
            (frame, u32::from_le_bytes(*size))
        });
    let mut kernel = Vec::with_capacity(size.min(1 << 28) as usize);
    zstd::stream::copy_decode(frame, &mut kernel).map_err(|e| unpack(e.to_string()))?;
    if !kernel.starts_with(b"\x7fELF") {
        return Err(unpack("no ELF kernel inside".to_owned()));
    }
    Ok(kernel)
}

fn payload(image: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| {
        let bytes = image.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    if image.get(MAGIC..MAGIC + 4)? != b"HdrS" {
        return None;
    }
    let sectors = match *image.get(SETUP_SECTORS)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = ((sectors + 1) * 512).checked_add(word(PAYLOAD_OFFSET)?)?;
    image.get(start..start.checked_add(word(PAYLOAD_LENGTH)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 1024];
        image[SETUP_SECTORS] = 1;
        image[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
        image[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4]
            .copy_from_slice(&(payload.len() as u32).to_le_bytes());
        image.extend(payload);
        image
    }

    fn unpack(image: &[u8]) -> Result<Vec<u8>, BootFilesError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), image).unwrap();
        unpacked(file.path())
    }

    #[test]
    fn kernel_is_found_in_its_image() {
        let kernel = b"\x7fELF and more";
        let mut packed = zstd::encode_all(&kernel[..], 3).unwrap();
        packed.extend((kernel.len() as u32).to_le_bytes());
        assert_eq!(unpack(&image(&packed)).unwrap(), kernel);
    }

    #[test]
    fn image_of_another_kind_is_left_as_it_is() {
        for other in [image(b"\x1f\x8b packed by gzip"), b"short".to_vec()] {
            assert_eq!(unpack(&other).unwrap(), other);
        }
    }

    #[test]
    fn damaged_image_is_an_error() {
        let mut packed = ZSTD.to_vec();
        packed.extend([0xff; 20]);
        unpack(&image(&packed)).unwrap_err();
        let mut lying = image(b"");
        lying[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&[0xff; 4]);
        assert_eq!(payload(&lying), None);
    }
}
