//! What becomes of every field of Docker's `HostConfig`: none is accepted and then ignored in
//! silence. A field that Docker adds, or one whose fate changes, fails here until the table says
//! what becomes of it.

use std::cell::Cell;

use serde::Deserialize;
use serde::de::value::Error;
use serde::de::{Deserializer, Visitor};
use serde_json::{Value, json};

use super::{discard, judge, tests::facts};
use crate::api::{CreateSpec, Defaults};
use crate::container::{Blueprint, create_request};
use crate::id::ContainerId;
use crate::images::RunImage;
use crate::vm::Limits;

/// What becomes of a field.
enum Fate {
    /// The VM or what the agent is asked for is another with it.
    Honoured,
    /// Accepted; the engine acts on it elsewhere.
    ByEngine,
    /// Kept for `inspect`; there is nothing to do for it.
    Noted,
    /// Not done, and said so in a warning.
    Warned,
    Refused,
}

use Fate::{ByEngine, Honoured, Noted, Refused, Warned};

/// Field, what it is set to, what else has to be set for it to count, its fate.
fn table() -> Vec<(&'static str, Value, Value, Fate)> {
    let none = || json!({});
    let throttle = || json!([{ "Path": "/dev/sda", "Rate": 1024 }]);
    let all = json!(["CAP_SYS_ADMIN"]);
    vec![
        ("Annotations", json!({ "a": "b" }), none(), Noted),
        ("AutoRemove", json!(true), none(), ByEngine),
        ("Binds", json!(["/a:/b"]), none(), Refused),
        ("BlkioDeviceReadBps", throttle(), none(), Honoured),
        ("BlkioDeviceReadIOps", throttle(), none(), Honoured),
        ("BlkioDeviceWriteBps", throttle(), none(), Honoured),
        ("BlkioDeviceWriteIOps", throttle(), none(), Honoured),
        ("BlkioWeight", json!(500), none(), Honoured),
        (
            "BlkioWeightDevice",
            json!([{ "Path": "/dev/sda", "Weight": 10 }]),
            none(),
            Refused,
        ),
        ("CapAdd", all, none(), Honoured),
        ("CapDrop", json!(["CAP_CHOWN"]), none(), Honoured),
        ("Cgroup", json!("x"), none(), Refused),
        ("CgroupParent", json!("/x"), none(), Refused),
        ("CgroupnsMode", json!("host"), none(), Refused),
        ("ConsoleSize", json!([24, 80]), none(), ByEngine),
        ("ContainerIDFile", json!("/x"), none(), Noted),
        ("CpuCount", json!(1), none(), Refused),
        ("CpuPercent", json!(1), none(), Refused),
        (
            "CpuPeriod",
            json!(50_000),
            json!({ "CpuQuota": 50_000 }),
            Honoured,
        ),
        ("CpuQuota", json!(50_000), none(), Honoured),
        ("CpuRealtimePeriod", json!(1), none(), Refused),
        ("CpuRealtimeRuntime", json!(1), none(), Refused),
        ("CpuShares", json!(512), none(), Honoured),
        ("CpusetCpus", json!("0-1"), none(), Honoured),
        ("CpusetMems", json!("0"), none(), Honoured),
        ("DeviceCgroupRules", json!(["c 1:1 r"]), none(), Refused),
        (
            "DeviceRequests",
            json!([{ "Driver": "nvidia" }]),
            none(),
            Refused,
        ),
        (
            "Devices",
            json!([{ "PathOnHost": "/dev/x" }]),
            none(),
            Refused,
        ),
        ("Dns", json!(["1.1.1.1"]), none(), Honoured),
        ("DnsOptions", json!(["debug"]), none(), Honoured),
        ("DnsSearch", json!(["example"]), none(), Honoured),
        ("ExtraHosts", json!(["a:1.1.1.1"]), none(), Honoured),
        ("GroupAdd", json!(["audio"]), none(), Honoured),
        ("IOMaximumBandwidth", json!(1), none(), Refused),
        ("IOMaximumIOps", json!(1), none(), Refused),
        ("Init", json!(true), none(), Honoured),
        ("IpcMode", json!("host"), none(), Refused),
        ("Isolation", json!("hyperv"), none(), Refused),
        ("KernelMemoryTCP", json!(1), none(), Refused),
        ("Links", json!(["a:b"]), none(), Refused),
        (
            "LogConfig",
            json!({ "Type": "json-file", "Config": {} }),
            none(),
            ByEngine,
        ),
        ("MaskedPaths", json!(["/proc/x"]), none(), Honoured),
        ("Memory", json!(64 << 20), none(), Honoured),
        ("MemoryReservation", json!(64 << 20), none(), Honoured),
        (
            "MemorySwap",
            json!(128 << 20),
            json!({ "Memory": 64 << 20 }),
            Warned,
        ),
        ("MemorySwappiness", json!(50), none(), Warned),
        (
            "Mounts",
            json!([{ "Type": "tmpfs", "Target": "/b" }]),
            none(),
            Honoured,
        ),
        ("NanoCpus", json!(500_000_000), none(), Honoured),
        ("NetworkMode", json!("none"), none(), ByEngine),
        ("OomKillDisable", json!(true), none(), Warned),
        ("OomScoreAdj", json!(-5), none(), Honoured),
        ("PidMode", json!("host"), none(), Refused),
        ("PidsLimit", json!(10), none(), Honoured),
        (
            "PortBindings",
            json!({ "80/tcp": [{ "HostPort": "80" }] }),
            none(),
            Refused,
        ),
        ("Privileged", json!(true), none(), Honoured),
        ("PublishAllPorts", json!(true), none(), Refused),
        ("ReadonlyPaths", json!(["/proc/x"]), none(), Honoured),
        ("ReadonlyRootfs", json!(true), none(), Honoured),
        (
            "RestartPolicy",
            json!({ "Name": "always" }),
            none(),
            ByEngine,
        ),
        ("Runtime", json!("other"), none(), Refused),
        (
            "SecurityOpt",
            json!(["no-new-privileges"]),
            none(),
            Honoured,
        ),
        ("ShmSize", json!(1 << 20), none(), Honoured),
        ("StorageOpt", json!({ "size": "64m" }), none(), Honoured),
        ("Sysctls", json!({ "vm.swappiness": "1" }), none(), Honoured),
        ("Tmpfs", json!({ "/x": "" }), none(), Honoured),
        ("UTSMode", json!("host"), none(), Refused),
        (
            "Ulimits",
            json!([{ "Name": "nofile", "Soft": 10, "Hard": 20 }]),
            none(),
            Honoured,
        ),
        ("UsernsMode", json!("host"), none(), Refused),
        ("VolumeDriver", json!("x"), none(), Refused),
        ("VolumesFrom", json!(["x"]), none(), Refused),
    ]
}

/// Takes down the names of the fields that a type reads.
struct Names<'a>(&'a Cell<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(serde::de::Error::custom("only names"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.set(fields);
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn spec(host: &Value) -> CreateSpec {
    let body = json!({
        "Image": "img", "Cmd": ["sh"], "Hostname": "h", "HostConfig": host,
    });
    serde_json::from_value(body).unwrap()
}

/// All that is done for a container that is asked for so, and the warnings.
fn outcome(host: &Value) -> Result<(String, Vec<String>), String> {
    let mut spec = spec(host);
    judge(&spec, &facts()).map_err(|e| e.to_string())?;
    let warnings = discard(&mut spec.host_config, &facts());
    let id = "55afcfd24cbe727036744fabdb7e831c85fe2baff826279d5e941780dcd96dbf";
    let id: ContainerId = id.parse().unwrap();
    let blueprint = Blueprint::new(id, spec, &RunImage::default()).unwrap();
    let limits = Limits::of(&blueprint.host_config, &Defaults::default());
    let request = create_request(&blueprint, 1).unwrap();
    let request = sorted(serde_json::to_value(request).unwrap());
    Ok((format!("{limits:?} {request}"), warnings))
}

/// Capabilities are sets, and come in any order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(list) => {
            let mut list: Vec<Value> = list.into_iter().map(sorted).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        Value::Object(map) => map.into_iter().map(|(k, v)| (k, sorted(v))).collect(),
        other => other,
    }
}

#[test]
fn the_table_has_every_field() {
    let names = Cell::new(&[][..]);
    bollard_stubs::models::HostConfig::deserialize(Names(&names)).unwrap_err();
    let mut docker: Vec<_> = names.get().to_vec();
    docker.sort_unstable();
    let mut ours: Vec<_> = table().iter().map(|(field, ..)| *field).collect();
    ours.sort_unstable();
    assert_eq!(ours, docker);
}

#[test]
fn no_field_is_ignored_in_silence() {
    for (field, value, base, fate) in table() {
        let mut with = base.clone();
        with[field] = value;
        let plain = outcome(&base).unwrap();
        let got = outcome(&with);
        match fate {
            Refused => {
                let message = got.expect_err(field);
                assert!(message.contains(field), "{field}: {message}");
            }
            Honoured => {
                let (done, warnings) = got.expect(field);
                assert_ne!(done, plain.0, "{field} changes nothing");
                assert_eq!(warnings, plain.1, "{field}");
            }
            Warned => {
                let (done, warnings) = got.expect(field);
                assert_eq!(done, plain.0, "{field}");
                assert!(warnings.len() > plain.1.len(), "{field}");
            }
            ByEngine | Noted => {
                let (_, warnings) = got.expect(field);
                assert_eq!(warnings, plain.1, "{field}");
            }
        }
    }
}
