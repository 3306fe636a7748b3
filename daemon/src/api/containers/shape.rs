//! Objects as Docker's types write them: their fields in a fixed order, some left out when there is
//! nothing in them and some `null`.
//!
//! People read `inspect` and scripts compare its text, so the order is part of the answer. What a
//! table does not name comes after what it names, in the order in which it came.

mod tables;

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// What a field is when nothing is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Empty {
    /// As it came.
    Kept,
    /// `null`, also if the field did not come at all.
    Null,
    Omitted,
    /// As it came; if it did not, what Go has for nothing of its type.
    Text,
    Number,
    Switch,
    Pointer,
}

use Empty::{Kept, Null, Number, Omitted, Pointer, Switch, Text};
use tables::{
    CONFIG, CONTAINER, DRIVER_DATA, ENDPOINT, GRAPH_DRIVER, HOST_CONFIG, NETWORK_SETTINGS,
};

impl Empty {
    /// What stands for a field that did not come, where anything does.
    fn zero(self) -> Option<Value> {
        match self {
            Text => Some("".into()),
            Number => Some(0.into()),
            Switch => Some(false.into()),
            Pointer => Some(Value::Null),
            Kept | Null | Omitted => None,
        }
    }
}

type Table = &'static [(&'static str, Empty)];

/// JSON with the order of its fields kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Object(Vec<(String, Json)>),
    List(Vec<Json>),
    Plain(Value),
}

impl Json {
    /// What is shown of a container, as Docker shapes it.
    pub(super) fn of_container(shown: &impl Serialize) -> serde_json::Result<Self> {
        let text = serde_json::to_string(shown)?;
        let mut shaped = serde_json::from_str::<Self>(&text)?.shaped(CONTAINER);
        shaped.shape("Config", CONFIG);
        shaped.shape("HostConfig", HOST_CONFIG);
        shaped.shape("NetworkSettings", NETWORK_SETTINGS);
        shaped.shape("GraphDriver", GRAPH_DRIVER);
        if let Some(driver) = shaped.field("GraphDriver") {
            driver.shape("Data", DRIVER_DATA);
        }
        shaped.shape_networks();
        Ok(shaped)
    }

    /// A row of a list of containers, likewise.
    pub(super) fn of_row(shown: &impl Serialize) -> serde_json::Result<Self> {
        let text = serde_json::to_string(shown)?;
        let mut shaped = serde_json::from_str::<Self>(&text)?;
        if let Some(labels) = shaped.field("Labels") {
            labels.sort();
        }
        shaped.shape_networks();
        Ok(shaped)
    }

    fn shape_networks(&mut self) {
        let Some(settings) = self.field("NetworkSettings") else {
            return;
        };
        if let Some(ports) = settings.field("Ports") {
            ports.sort();
        }
        if let Some(Self::Object(networks)) = settings.field("Networks") {
            for (_, endpoint) in networks {
                endpoint.become_shaped(ENDPOINT);
            }
        }
    }

    /// As Go writes a map.
    fn sort(&mut self) {
        if let Self::Object(fields) = self {
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
    }

    fn field(&mut self, name: &str) -> Option<&mut Self> {
        match self {
            Self::Object(fields) => fields.iter_mut().find(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    fn shape(&mut self, name: &str, table: Table) {
        if let Some(field) = self.field(name) {
            field.become_shaped(table);
        }
    }

    fn become_shaped(&mut self, table: Table) {
        *self = std::mem::replace(self, Self::Plain(Value::Null)).shaped(table);
    }

    fn shaped(self, table: Table) -> Self {
        let Self::Object(mut rest) = self else {
            return self;
        };
        let mut fields = Vec::with_capacity(rest.len());
        for (name, empty) in table {
            let at = rest.iter().position(|(known, _)| known == name);
            let value = at.map(|at| rest.remove(at).1);
            match (empty, value) {
                (Null, value) if value.as_ref().is_none_or(Self::is_empty) => {
                    fields.push(((*name).to_owned(), Self::Plain(Value::Null)));
                }
                (Omitted, Some(value)) if value.is_empty() => {}
                (_, Some(value)) => fields.push(((*name).to_owned(), value)),
                (_, None) => {
                    let zero = empty
                        .zero()
                        .map(|zero| ((*name).to_owned(), Self::Plain(zero)));
                    fields.extend(zero);
                }
            }
        }
        fields.append(&mut rest);
        Self::Object(fields)
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Object(fields) => fields.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Plain(Value::String(text)) => text.is_empty(),
            Self::Plain(value) => value.is_null(),
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
            Self::List(items) => items.serialize(serializer),
            Self::Plain(value) => value.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Plain(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            fields.push(entry);
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_have_dockers_order_and_emptiness() {
        let shown = json!({
            "Name": "/web", "Id": "ff", "SizeRw": null, "Unknown": 1,
            "Config": {
                "WorkingDir": "", "Env": [], "Cmd": ["sh"], "StopTimeout": null, "Volumes": {},
                "Hostname": "h",
            },
            "NetworkSettings": {"Networks": {"bridge": {"NetworkID": "b1"}}, "Bridge": ""},
            "HostConfig": {"Init": null, "LogConfig": {"Type": "local"}, "Binds": null},
        });
        let shaped = Json::of_container(&shown).unwrap();
        assert_eq!(
            serde_json::to_string(&shaped).unwrap(),
            concat!(
                r#"{"Id":"ff","Name":"/web","ExecIDs":null,"HostConfig":{"Binds":null,"#,
                r#""ContainerIDFile":"","LogConfig":{"Type":"local"},"PortBindings":null,"#,
                r#""VolumeDriver":"","VolumesFrom":null,"CapAdd":null,"CapDrop":null,"#,
                r#""CgroupnsMode":"","ExtraHosts":null,"GroupAdd":null,"IpcMode":"","#,
                r#""Cgroup":"","Links":null,"PidMode":"","PublishAllPorts":false,"#,
                r#""SecurityOpt":null,"UTSMode":"","UsernsMode":"","Runtime":"","#,
                r#""Isolation":"","CgroupParent":"","BlkioWeightDevice":null,"#,
                r#""CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"Devices":null,"#,
                r#""DeviceCgroupRules":null,"DeviceRequests":null,"CpuCount":0,"#,
                r#""CpuPercent":0,"IOMaximumIOps":0,"IOMaximumBandwidth":0},"#,
                r#""Config":{"Hostname":"h","#,
                r#""Env":null,"Cmd":["sh"],"Volumes":null,"WorkingDir":"","Entrypoint":null,"#,
                r#""OnBuild":null},"NetworkSettings":{"Bridge":"","SecondaryIPAddresses":null,"#,
                r#""SecondaryIPv6Addresses":null,"Networks":{"bridge":{"IPAMConfig":null,"#,
                r#""Links":null,"Aliases":null,"DriverOpts":null,"NetworkID":"b1","#,
                r#""DNSNames":null}}},"Unknown":1}"#,
            )
        );
    }
}
