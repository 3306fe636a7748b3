//! What the bodies of requests are made of, field by field, as Docker's Go types have it.
//!
//! Go's messages name these types. A field that is not here is left as it came: what takes the body
//! judges it.

use bollard_stubs::models::{ExecConfig, ExecStartConfig};
use hull_engine::api::{CreateSpec, HostConfig};
use serde::Deserialize;

use super::credentials::AuthConfig;
use crate::http::json::{Kind, Shape};
use crate::on_box::Wish;

type Fields = &'static [(&'static str, Kind)];

/// `POST /containers/{id}/update`: the part of a [`HostConfig`] that can change.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Changes(pub(super) HostConfig);

impl Shape for CreateSpec {
    const KIND: Kind = Kind::Struct("container.CreateRequest", CREATE_REQUEST);
    const NAME: &'static str = "";
}

impl Shape for Changes {
    const KIND: Kind = Kind::Struct("container.UpdateConfig", HOST_CONFIG);
    const NAME: &'static str = "UpdateConfig";
}

impl Shape for ExecConfig {
    const KIND: Kind = Kind::Struct("container.ExecOptions", EXEC_OPTIONS);
    const NAME: &'static str = "ExecOptions";
}

impl Shape for ExecStartConfig {
    const KIND: Kind = Kind::Struct("container.ExecStartOptions", EXEC_START_OPTIONS);
    const NAME: &'static str = "ExecStartOptions";
}

impl Shape for AuthConfig {
    const KIND: Kind = Kind::Struct("registry.AuthConfig", AUTH_CONFIG);
    const NAME: &'static str = "";
}

/// Ours alone.
impl Shape for Wish {
    const KIND: Kind = Kind::Any;
    const NAME: &'static str = "";
}

const CREATE_REQUEST: Fields = &[
    ("Hostname", Kind::STRING),
    ("Domainname", Kind::STRING),
    ("User", Kind::STRING),
    ("AttachStdin", Kind::Bool),
    ("AttachStdout", Kind::Bool),
    ("AttachStderr", Kind::Bool),
    ("ExposedPorts", Kind::Map("nat.PortSet", &NOTHING)),
    ("Tty", Kind::Bool),
    ("OpenStdin", Kind::Bool),
    ("StdinOnce", Kind::Bool),
    ("Env", Kind::STRINGS),
    ("Cmd", Kind::Words),
    ("Healthcheck", HEALTHCHECK),
    ("ArgsEscaped", Kind::Bool),
    ("Image", Kind::STRING),
    ("Volumes", Kind::Map("map[string]struct {}", &NOTHING)),
    ("WorkingDir", Kind::STRING),
    ("Entrypoint", Kind::Words),
    ("NetworkDisabled", Kind::Bool),
    ("MacAddress", Kind::STRING),
    ("OnBuild", Kind::STRINGS),
    ("Labels", Kind::STRING_MAP),
    ("StopSignal", Kind::STRING),
    ("StopTimeout", Kind::INT),
    ("Shell", Kind::Words),
    (
        "HostConfig",
        Kind::Struct("container.HostConfig", HOST_CONFIG),
    ),
    ("NetworkingConfig", NETWORKING),
];

const NOTHING: Kind = Kind::Struct("struct {}", &[]);
const DURATION: Kind = Kind::signed("time.Duration");
const CONSOLE_SIZE: Kind = Kind::Array("[2]uint", 2, &Kind::UINT);

const HEALTHCHECK: Kind = Kind::Struct(
    "v1.HealthcheckConfig",
    &[
        ("Test", Kind::STRINGS),
        ("Interval", DURATION),
        ("Timeout", DURATION),
        ("StartPeriod", DURATION),
        ("StartInterval", DURATION),
        ("Retries", Kind::INT),
    ],
);

const NETWORKING: Kind = Kind::Struct(
    "network.NetworkingConfig",
    &[(
        "EndpointsConfig",
        Kind::Map("map[string]*network.EndpointSettings", &ENDPOINT),
    )],
);

const ENDPOINT: Kind = Kind::Struct(
    "network.EndpointSettings",
    &[
        ("IPAMConfig", IPAM),
        ("Links", Kind::STRINGS),
        ("Aliases", Kind::STRINGS),
        ("MacAddress", Kind::STRING),
        ("DriverOpts", Kind::STRING_MAP),
        ("GwPriority", Kind::INT),
        ("NetworkID", Kind::STRING),
        ("EndpointID", Kind::STRING),
        ("Gateway", Kind::STRING),
        ("IPAddress", Kind::STRING),
        ("IPPrefixLen", Kind::INT),
        ("IPv6Gateway", Kind::STRING),
        ("GlobalIPv6Address", Kind::STRING),
        ("GlobalIPv6PrefixLen", Kind::INT),
        ("DNSNames", Kind::STRINGS),
    ],
);

const IPAM: Kind = Kind::Struct(
    "network.EndpointIPAMConfig",
    &[
        ("IPv4Address", Kind::STRING),
        ("IPv6Address", Kind::STRING),
        ("LinkLocalIPs", Kind::STRINGS),
    ],
);

const HOST_CONFIG: Fields = &[
    ("Binds", Kind::STRINGS),
    ("ContainerIDFile", Kind::STRING),
    ("LogConfig", LOG_CONFIG),
    ("NetworkMode", Kind::Text("container.NetworkMode")),
    ("PortBindings", Kind::Map("nat.PortMap", &PORT_BINDINGS)),
    ("RestartPolicy", RESTART_POLICY),
    ("AutoRemove", Kind::Bool),
    ("VolumeDriver", Kind::STRING),
    ("VolumesFrom", Kind::STRINGS),
    ("ConsoleSize", CONSOLE_SIZE),
    ("Annotations", Kind::STRING_MAP),
    ("CapAdd", Kind::Words),
    ("CapDrop", Kind::Words),
    ("CgroupnsMode", Kind::Text("container.CgroupnsMode")),
    ("Dns", Kind::STRINGS),
    ("DnsOptions", Kind::STRINGS),
    ("DnsSearch", Kind::STRINGS),
    ("ExtraHosts", Kind::STRINGS),
    ("GroupAdd", Kind::STRINGS),
    ("IpcMode", Kind::Text("container.IpcMode")),
    ("Cgroup", Kind::Text("container.CgroupSpec")),
    ("Links", Kind::STRINGS),
    ("OomScoreAdj", Kind::INT),
    ("PidMode", Kind::Text("container.PidMode")),
    ("Privileged", Kind::Bool),
    ("PublishAllPorts", Kind::Bool),
    ("ReadonlyRootfs", Kind::Bool),
    ("SecurityOpt", Kind::STRINGS),
    ("StorageOpt", Kind::STRING_MAP),
    ("Tmpfs", Kind::STRING_MAP),
    ("UTSMode", Kind::Text("container.UTSMode")),
    ("UsernsMode", Kind::Text("container.UsernsMode")),
    ("ShmSize", Kind::INT64),
    ("Sysctls", Kind::STRING_MAP),
    ("Runtime", Kind::STRING),
    ("Isolation", Kind::Text("container.Isolation")),
    ("CpuShares", Kind::INT64),
    ("Memory", Kind::INT64),
    ("NanoCpus", Kind::INT64),
    ("CgroupParent", Kind::STRING),
    ("BlkioWeight", Kind::UINT16),
    ("BlkioWeightDevice", WEIGHTS),
    ("BlkioDeviceReadBps", RATES),
    ("BlkioDeviceWriteBps", RATES),
    ("BlkioDeviceReadIOps", RATES),
    ("BlkioDeviceWriteIOps", RATES),
    ("CpuPeriod", Kind::INT64),
    ("CpuQuota", Kind::INT64),
    ("CpuRealtimePeriod", Kind::INT64),
    ("CpuRealtimeRuntime", Kind::INT64),
    ("CpusetCpus", Kind::STRING),
    ("CpusetMems", Kind::STRING),
    ("Devices", DEVICES),
    ("DeviceCgroupRules", Kind::STRINGS),
    ("DeviceRequests", DEVICE_REQUESTS),
    ("KernelMemory", Kind::INT64),
    ("KernelMemoryTCP", Kind::INT64),
    ("MemoryReservation", Kind::INT64),
    ("MemorySwap", Kind::INT64),
    ("MemorySwappiness", Kind::INT64),
    ("OomKillDisable", Kind::Bool),
    ("PidsLimit", Kind::INT64),
    ("Ulimits", ULIMITS),
    ("CpuCount", Kind::INT64),
    ("CpuPercent", Kind::INT64),
    ("IOMaximumIOps", Kind::UINT64),
    ("IOMaximumBandwidth", Kind::UINT64),
    ("Mounts", MOUNTS),
    ("MaskedPaths", Kind::STRINGS),
    ("ReadonlyPaths", Kind::STRINGS),
    ("Init", Kind::Bool),
];

const LOG_CONFIG: Kind = Kind::Struct(
    "container.LogConfig",
    &[("Type", Kind::STRING), ("Config", Kind::STRING_MAP)],
);

const RESTART_POLICY: Kind = Kind::Struct(
    "container.RestartPolicy",
    &[
        ("Name", Kind::Text("container.RestartPolicyMode")),
        ("MaximumRetryCount", Kind::INT),
    ],
);

const PORT_BINDINGS: Kind = Kind::List(
    "[]nat.PortBinding",
    &Kind::Struct(
        "nat.PortBinding",
        &[("HostIp", Kind::STRING), ("HostPort", Kind::STRING)],
    ),
);

const WEIGHTS: Kind = Kind::List(
    "[]*blkiodev.WeightDevice",
    &Kind::Struct(
        "blkiodev.WeightDevice",
        &[("Path", Kind::STRING), ("Weight", Kind::UINT16)],
    ),
);

const RATES: Kind = Kind::List(
    "[]*blkiodev.ThrottleDevice",
    &Kind::Struct(
        "blkiodev.ThrottleDevice",
        &[("Path", Kind::STRING), ("Rate", Kind::UINT64)],
    ),
);

const DEVICES: Kind = Kind::List(
    "[]container.DeviceMapping",
    &Kind::Struct(
        "container.DeviceMapping",
        &[
            ("PathOnHost", Kind::STRING),
            ("PathInContainer", Kind::STRING),
            ("CgroupPermissions", Kind::STRING),
        ],
    ),
);

const DEVICE_REQUESTS: Kind = Kind::List(
    "[]container.DeviceRequest",
    &Kind::Struct(
        "container.DeviceRequest",
        &[
            ("Driver", Kind::STRING),
            ("Count", Kind::INT),
            ("DeviceIDs", Kind::STRINGS),
            ("Capabilities", Kind::List("[][]string", &Kind::STRINGS)),
            ("Options", Kind::STRING_MAP),
        ],
    ),
);

const ULIMITS: Kind = Kind::List(
    "[]*units.Ulimit",
    &Kind::Struct(
        "units.Ulimit",
        &[
            ("Name", Kind::STRING),
            ("Hard", Kind::INT64),
            ("Soft", Kind::INT64),
        ],
    ),
);

/// What other kinds than a tmpfs can have further is not looked into: they are refused as a whole.
const MOUNTS: Kind = Kind::List(
    "[]mount.Mount",
    &Kind::Struct(
        "mount.Mount",
        &[
            ("Type", Kind::Text("mount.Type")),
            ("Source", Kind::STRING),
            ("Target", Kind::STRING),
            ("ReadOnly", Kind::Bool),
            ("Consistency", Kind::Text("mount.Consistency")),
            ("TmpfsOptions", TMPFS_OPTIONS),
        ],
    ),
);

const TMPFS_OPTIONS: Kind = Kind::Struct(
    "mount.TmpfsOptions",
    &[
        ("SizeBytes", Kind::INT64),
        ("Mode", Kind::Integer("fs.FileMode", 0, u32::MAX as i128)),
    ],
);

const EXEC_OPTIONS: Fields = &[
    ("User", Kind::STRING),
    ("Privileged", Kind::Bool),
    ("Tty", Kind::Bool),
    ("ConsoleSize", CONSOLE_SIZE),
    ("AttachStdin", Kind::Bool),
    ("AttachStderr", Kind::Bool),
    ("AttachStdout", Kind::Bool),
    ("DetachKeys", Kind::STRING),
    ("Env", Kind::STRINGS),
    ("WorkingDir", Kind::STRING),
    ("Cmd", Kind::STRINGS),
];

const EXEC_START_OPTIONS: Fields = &[
    ("Detach", Kind::Bool),
    ("Tty", Kind::Bool),
    ("ConsoleSize", CONSOLE_SIZE),
];

const AUTH_CONFIG: Fields = &[
    ("username", Kind::STRING),
    ("password", Kind::STRING),
    ("auth", Kind::STRING),
    ("email", Kind::STRING),
    ("serveraddress", Kind::STRING),
    ("identitytoken", Kind::STRING),
    ("registrytoken", Kind::STRING),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json::decode;

    fn said<T: Shape>(body: &str) -> String {
        match decode::<T>(body.as_bytes()) {
            Ok(_) => "taken".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// What Docker 28.5.2 said to each of these, less what they all begin with.
    #[test]
    fn what_does_not_fit_is_told_in_gos_words() {
        for (body, expected) in [
            ("[]", "array into Go value of type container.CreateRequest"),
            (
                r#""x""#,
                "string into Go value of type container.CreateRequest",
            ),
            (
                r#"{"Image":1}"#,
                "number into Go struct field .Image of type string",
            ),
            (
                r#"{"image":1}"#,
                "number into Go struct field .image of type string",
            ),
            (
                r#"{"Image":"x","Image":2}"#,
                "number into Go struct field .Image of type string",
            ),
            (
                r#"{"Image":1.5e400}"#,
                "number into Go struct field .Image of type string",
            ),
            (
                r#"{"Tty":"x"}"#,
                "string into Go struct field .Tty of type bool",
            ),
            (r#"{"Cmd":1}"#, "number into Go value of type string"),
            (r#"{"Cmd":[1]}"#, "array into Go value of type string"),
            (
                r#"{"Entrypoint":{"a":1}}"#,
                "object into Go value of type string",
            ),
            (
                r#"{"Env":"x"}"#,
                "string into Go struct field .Env of type []string",
            ),
            (r#"{"Env":["a",1]}"#, "number into .Env.1 of type string"),
            (
                r#"{"Labels":[]}"#,
                "array into Go struct field .Labels of type map[string]string",
            ),
            (
                r#"{"Labels":{"a":1}}"#,
                "number into Go struct field .Labels.a of type string",
            ),
            (
                r#"{"ExposedPorts":{"80/tcp":1}}"#,
                "number into Go struct field .ExposedPorts.80~1tcp of type struct {}",
            ),
            (
                r#"{"Healthcheck":{"Interval":1.5}}"#,
                "number 1.5 into Go struct field .Healthcheck.Interval of type time.Duration",
            ),
            (
                r#"{"NetworkingConfig":{"EndpointsConfig":{"a":{"IPAMConfig":1}}}}"#,
                "number into Go struct field .NetworkingConfig.EndpointsConfig.a.IPAMConfig of type network.EndpointIPAMConfig",
            ),
            (
                r#"{"HostConfig":1}"#,
                "number into Go struct field .HostConfig of type container.HostConfig",
            ),
            (
                r#"{"hostconfig":{"memory":"x"}}"#,
                "string into Go struct field .hostconfig.memory of type int64",
            ),
            (
                r#"{"HostConfig":{"Memory":99999999999999999999}}"#,
                "number 99999999999999999999 into Go struct field .HostConfig.Memory of type int64",
            ),
            (
                r#"{"HostConfig":{"Memory":1e2}}"#,
                "number 1e2 into Go struct field .HostConfig.Memory of type int64",
            ),
            (
                r#"{"HostConfig":{"BlkioWeight":70000}}"#,
                "number 70000 into Go struct field .HostConfig.BlkioWeight of type uint16",
            ),
            (
                r#"{"HostConfig":{"RestartPolicy":{"Name":1}}}"#,
                "number into Go struct field .HostConfig.RestartPolicy.Name of type container.RestartPolicyMode",
            ),
            (
                r#"{"HostConfig":{"RestartPolicy":[]}}"#,
                "array into Go struct field .HostConfig.RestartPolicy of type container.RestartPolicy",
            ),
            (
                r#"{"HostConfig":{"ConsoleSize":[-1,2]}}"#,
                "number -1 into .HostConfig.ConsoleSize.0 of type uint",
            ),
            (
                r#"{"HostConfig":{"Ulimits":[{"Name":1}]}}"#,
                "number into Go struct field .HostConfig.Ulimits.0.Name of type string",
            ),
            (
                r#"{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":80}]}}}"#,
                "number into Go struct field .HostConfig.PortBindings.80~1tcp.0.HostPort of type string",
            ),
            (
                r#"{"HostConfig":{"Mounts":[{"Type":1}]}}"#,
                "number into Go struct field .HostConfig.Mounts.0.Type of type mount.Type",
            ),
            (
                r#"{"HostConfig":{"Mounts":[{"TmpfsOptions":{"SizeBytes":"1m"}}]}}"#,
                "string into Go struct field .HostConfig.Mounts.0.TmpfsOptions.SizeBytes of type int64",
            ),
        ] {
            let expected = format!("invalid JSON: json: cannot unmarshal {expected}");
            assert_eq!(said::<CreateSpec>(body), expected, "{body}");
        }
        assert_eq!(
            said::<ExecConfig>(r#"{"Cmd":"x"}"#),
            "invalid JSON: json: cannot unmarshal string into Go struct field ExecOptions.Cmd of type []string"
        );
        assert_eq!(
            said::<ExecStartConfig>(r#"{"Detach":1}"#),
            "invalid JSON: json: cannot unmarshal number into Go struct field ExecStartOptions.Detach of type bool"
        );
        assert_eq!(
            said::<Changes>(r#"{"NanoCpus":1.5}"#),
            "invalid JSON: json: cannot unmarshal number 1.5 into Go struct field UpdateConfig.NanoCpus of type int64"
        );
    }

    #[test]
    fn what_go_takes_is_taken() {
        let create = |body: &str| decode::<CreateSpec>(body.as_bytes()).unwrap().unwrap();
        let spec = create(r#"{"image":"x","cmd":"ls","ENV":["A=1"],"hostconfig":{"memory":7}}"#);
        assert_eq!(spec.config.image, "x");
        assert_eq!(spec.config.cmd, Some(vec!["ls".to_owned()]));
        assert_eq!(spec.config.env, Some(vec!["A=1".to_owned()]));
        assert_eq!(spec.host_config.memory, 7);
        assert!(spec.config.other.is_empty() && spec.host_config.other.is_empty());

        let spec =
            create(r#"{"Image":"x","Image":"y","HostConfig":{"ConsoleSize":[1],"CapAdd":"ALL"}}"#);
        assert_eq!(spec.config.image, "y");
        assert_eq!(spec.host_config.console_size, [1, 0]);
        assert_eq!(spec.host_config.cap_add, Some(vec!["ALL".to_owned()]));

        for nothing in [
            "null",
            r#"{"Image":null,"Cmd":null,"Env":null,"Labels":null,"Tty":null,"StopTimeout":null,
                "Healthcheck":null,"HostConfig":null,"NetworkingConfig":null}"#,
            r#"{"HostConfig":{"LogConfig":{"Type":null,"Config":null},"Ulimits":null,"Memory":null,
                "RestartPolicy":{"Name":null},"ConsoleSize":null,"Init":null,"CapAdd":null}}"#,
        ] {
            assert_eq!(create(nothing), CreateSpec::default(), "{nothing}");
        }
        let unknown =
            create(r#"{"HostConfig":{"SomethingNew":{"a":[1,-2.5,18446744073709551615]}}}"#);
        assert_eq!(
            unknown.host_config.other["SomethingNew"],
            serde_json::json!({"a": [1, -2.5, u64::MAX]})
        );
    }

    #[test]
    fn every_field_that_the_engine_reads_is_in_the_table() {
        let names = |value: serde_json::Value| -> Vec<String> {
            value.as_object().unwrap().keys().cloned().collect()
        };
        let spec = CreateSpec::default();
        for (fields, table) in [
            (serde_json::to_value(&spec).unwrap(), CREATE_REQUEST),
            (
                serde_json::to_value(&spec.host_config).unwrap(),
                HOST_CONFIG,
            ),
        ] {
            for name in names(fields) {
                assert!(table.iter().any(|(known, _)| *known == name), "{name}");
            }
        }
    }
}
