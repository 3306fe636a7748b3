//! `--mount type=tmpfs,target=/cache,tmpfs-size=64m`: what a container sees besides its image's
//! files, as one record of comma-separated values.
//!
//! What kinds there are is the daemon's business; the messages are the ones that Docker gives for
//! the same slip.

use bollard::models::{
    Mount, MountBindOptions, MountTmpfsOptions, MountTypeEnum, MountVolumeOptions,
};

use super::units;

pub(super) fn parse(text: &str) -> Result<Mount, String> {
    if text.is_empty() {
        return Err("EOF".to_owned());
    }
    let mut mount = Mount {
        typ: Some(MountTypeEnum::VOLUME),
        ..Mount::default()
    };
    for field in fields(text)? {
        set(&mut mount, &field)?;
    }
    let kind = mount.typ.unwrap_or(MountTypeEnum::VOLUME);
    let mixed = |options: &str| {
        Err(format!(
            "cannot mix '{options}' options with mount type '{kind}'"
        ))
    };
    if mount.volume_options.is_some() && kind != MountTypeEnum::VOLUME {
        return mixed("volume-*");
    }
    if mount.bind_options.is_some() && kind != MountTypeEnum::BIND {
        return mixed("bind-*");
    }
    if mount.tmpfs_options.is_some() && kind != MountTypeEnum::TMPFS {
        return mixed("tmpfs-*");
    }
    if mount.target.as_deref().is_none_or(str::is_empty) {
        return Err("target is required".to_owned());
    }
    Ok(mount)
}

fn set(mount: &mut Mount, field: &str) -> Result<(), String> {
    let (key, value) = match field.split_once('=') {
        Some((key, value)) => (key.to_ascii_lowercase(), Some(value)),
        None => (field.to_ascii_lowercase(), None),
    };
    let alone = ["readonly", "ro", "volume-nocopy", "bind-nonrecursive"];
    if value.is_none() && !alone.contains(&key.as_str()) {
        return Err(format!("invalid field '{field}' must be a key=value pair"));
    }
    let text = value.unwrap_or_default();
    let invalid = || format!("invalid value for {key}: {text}");
    let switch = || match value {
        None => Ok(true),
        Some(_) => units::switch(text).map_err(|_| invalid()),
    };
    match key.as_str() {
        "type" if text.is_empty() => return Err("type is required".to_owned()),
        "type" => {
            let kind = text.to_ascii_lowercase().parse();
            mount.typ = Some(kind.map_err(|_| format!("mount type unknown: {text}"))?);
        }
        "source" | "src" => mount.source = Some(text.to_owned()),
        "target" | "dst" | "destination" => mount.target = Some(text.to_owned()),
        "readonly" | "ro" => mount.read_only = Some(switch()?),
        "consistency" => mount.consistency = Some(text.to_ascii_lowercase()),
        "bind-propagation" | "bind-recursive" => {
            mount.bind_options.get_or_insert_default();
        }
        "bind-nonrecursive" => {
            let options: &mut MountBindOptions = mount.bind_options.get_or_insert_default();
            options.non_recursive = Some(switch()?);
        }
        "volume-subpath" | "volume-label" | "volume-driver" | "volume-opt" => {
            mount.volume_options.get_or_insert_default();
        }
        "volume-nocopy" => {
            let options: &mut MountVolumeOptions = mount.volume_options.get_or_insert_default();
            options.no_copy = Some(switch()?);
        }
        "tmpfs-size" => {
            let size = units::bytes(text).map_err(|_| invalid())?;
            tmpfs(mount).size_bytes = Some(size);
        }
        "tmpfs-mode" => {
            let mode = u32::from_str_radix(text, 8).map_err(|_| invalid())?;
            tmpfs(mount).mode = Some(i64::from(mode));
        }
        _ => return Err(format!("unexpected key '{key}' in '{field}'")),
    }
    Ok(())
}

fn tmpfs(mount: &mut Mount) -> &mut MountTmpfsOptions {
    mount.tmpfs_options.get_or_insert_default()
}

/// The values of a record; one in quotes may hold commas, and quotes as two of them.
fn fields(text: &str) -> Result<Vec<String>, String> {
    let wrong = |at: usize, what: &str| format!("parse error on line 1, column {at}: {what}");
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let column = text.len() - rest.len() + 1;
        let (field, after) = match rest.strip_prefix('"') {
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (field, after) = rest.split_at(end);
                if let Some(quote) = field.find('"') {
                    return Err(wrong(column + quote, "bare \" in non-quoted-field"));
                }
                (field.to_owned(), after)
            }
            Some(inner) => {
                let missing = |at| wrong(at, "extraneous or missing \" in quoted-field");
                let (mut field, mut left) = (String::new(), inner);
                loop {
                    let quote = left.find('"').ok_or_else(|| missing(text.len() + 1))?;
                    let (before, after) = left.split_at(quote);
                    field.push_str(before);
                    match after.strip_prefix("\"\"") {
                        Some(after) => {
                            field.push('"');
                            left = after;
                        }
                        None => {
                            left = after;
                            break;
                        }
                    }
                }
                let at = text.len() - left.len() + 1;
                let after = left.strip_prefix('"').unwrap_or(left);
                if !after.is_empty() && !after.starts_with(',') {
                    return Err(missing(at));
                }
                (field, after)
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tmpfs_with_all_it_can_have() {
        let mount =
            parse("type=tmpfs,\"dst=/a,b\"\"c\",tmpfs-size=64m,tmpfs-mode=0700,ro").unwrap();
        assert_eq!(mount.typ, Some(MountTypeEnum::TMPFS));
        assert_eq!(mount.target.as_deref(), Some("/a,b\"c"));
        assert_eq!(mount.read_only, Some(true));
        let options = mount.tmpfs_options.unwrap();
        assert_eq!(
            (options.size_bytes, options.mode),
            (Some(64 << 20), Some(0o700))
        );
        let volume = parse("Target=/a,readonly=false,src=data").unwrap();
        assert_eq!(volume.typ, Some(MountTypeEnum::VOLUME));
        assert_eq!(
            (volume.read_only, volume.source.as_deref()),
            (Some(false), Some("data"))
        );
    }

    #[test]
    fn slips_are_worded_as_docker_words_them() {
        for (text, error) in [
            ("", "EOF"),
            ("type=,dst=/a", "type is required"),
            ("type=tmpfs", "target is required"),
            ("type=nonsense,dst=/a", "mount type unknown: nonsense"),
            ("dst=/a,foo", "invalid field 'foo' must be a key=value pair"),
            ("dst=/a,,ro", "invalid field '' must be a key=value pair"),
            ("dst=/a,foo=1", "unexpected key 'foo' in 'foo=1'"),
            ("type=tmpfs, dst=/a", "unexpected key ' dst' in ' dst=/a'"),
            (
                "type=tmpfs,dst=/a,tmpfs-size=x",
                "invalid value for tmpfs-size: x",
            ),
            (
                "type=tmpfs,dst=/a,tmpfs-mode=9",
                "invalid value for tmpfs-mode: 9",
            ),
            ("dst=/a,ro=x", "invalid value for ro: x"),
            (
                "type=tmpfs,dst=/a,volume-nocopy",
                "cannot mix 'volume-*' options with mount type 'tmpfs'",
            ),
            (
                "type=bind,dst=/a,tmpfs-mode=1",
                "cannot mix 'tmpfs-*' options with mount type 'bind'",
            ),
            (
                "type=tmpfs,ds\"t=/a",
                "parse error on line 1, column 14: bare \" in non-quoted-field",
            ),
            (
                "\"type=tmpfs,dst=/a",
                "parse error on line 1, column 19: extraneous or missing \" in quoted-field",
            ),
            (
                "\"dst=/a\"b",
                "parse error on line 1, column 8: extraneous or missing \" in quoted-field",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text}");
        }
    }
}
