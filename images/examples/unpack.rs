//! Times the unpacking of a layer: `unpack LAYER.tar[.gz] OUT.layer`. To be compared with
//! `tar -xzf` on the same disk; build it with `--release`.

use std::fs::File;
use std::io::BufReader;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(layer), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: unpack LAYER.tar[.gz] OUT.layer".into());
    };
    let out = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(out)?;
    let file = BufReader::with_capacity(128 << 10, File::open(&layer)?);
    let begun = Instant::now();
    let summary = match layer.to_string_lossy().ends_with("gz") {
        true => hull_images::unpack(
            flate2::bufread::MultiGzDecoder::new(file),
            out,
            hull_layer::Limits::default(),
        )?,
        false => hull_images::unpack(file, out, hull_layer::Limits::default())?,
    };
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{} bytes of files in {seconds:.2} s: {:.0} MB/s",
        summary.bytes,
        summary.bytes as f64 / seconds / 1e6
    );
    Ok(())
}
