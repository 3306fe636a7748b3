//! `--security-opt seccomp=…`: a profile in Docker's form becomes the filter of a runtime
//! specification, for this container: its capabilities, its kernel, its architecture.
//!
//! There is none unless the user gives one (decision 0007).

use oci_spec::runtime::{Capabilities, LinuxSeccomp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::capabilities;
use crate::api::HostConfig;
use crate::error::EngineError;

/// The version of the guests' kernel.
const KERNEL: (u32, u32) = (6, 12);

/// Go's name of this architecture, and libseccomp's.
const NATIVE: (&str, &str) = match cfg!(target_arch = "x86_64") {
    true => ("amd64", "SCMP_ARCH_X86_64"),
    false => ("arm64", "SCMP_ARCH_AARCH64"),
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: String,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<String>>,
    arch_map: Option<Vec<Architecture>>,
    syscalls: Option<Vec<Group>>,
    flags: Option<Vec<String>>,
    listener_path: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Architecture {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

/// What is done with some calls, and when these lines count.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    /// One name, as old profiles have it.
    #[serde(default)]
    name: String,
    names: Option<Vec<String>>,
    action: String,
    errno_ret: Option<u32>,
    args: Option<Vec<Argument>>,
    #[serde(default)]
    includes: Condition,
    #[serde(default)]
    excludes: Condition,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: usize,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// The text of the profile among a container's security options, if it has one.
pub(crate) fn profile(option: &str) -> Option<&str> {
    let (key, value) = option.split_once(['=', ':'])?;
    (key == "seccomp" && !["unconfined", "builtin"].contains(&value)).then_some(value)
}

/// The filter that a container is to have.
pub(crate) fn filter(host: &HostConfig) -> Result<Option<LinuxSeccomp>, EngineError> {
    let mut options = host.security_opt.iter().flatten();
    let Some(text) = options.find_map(|option| profile(option)) else {
        return Ok(None);
    };
    let profile: Profile = serde_json::from_str(text).map_err(|e| undecoded(&e))?;
    let filter = profile.resolve(&capabilities::allowed(host)?)?;
    serde_json::from_value(filter)
        .map(Some)
        .map_err(|e| undecoded(&e))
}

fn undecoded(error: &serde_json::Error) -> EngineError {
    invalid(&format!("Decoding seccomp profile failed: {error}"))
}

fn invalid(message: &str) -> EngineError {
    EngineError::Invalid(message.to_owned())
}

impl Profile {
    /// As the runtime specification says it.
    fn resolve(self, held: &Capabilities) -> Result<Value, EngineError> {
        let flags = self.flags.unwrap_or_default();
        if let Some(flag) = flags.first() {
            let what = format!("seccomp filter flag {flag}");
            return Err(EngineError::NotSupported(what));
        }
        let groups = self.syscalls.unwrap_or_default();
        let mut actions = groups.iter().map(|group| group.action.as_str());
        let notifies = |action: &str| action == "SCMP_ACT_NOTIFY";
        if self.listener_path.is_some_and(|path| !path.is_empty())
            || notifies(&self.default_action)
            || actions.any(notifies)
        {
            let what = "seccomp action SCMP_ACT_NOTIFY: nobody in the machine listens";
            return Err(EngineError::NotSupported(what.to_owned()));
        }
        let architectures = architectures(self.architectures, self.arch_map)?;
        let mut syscalls = Vec::new();
        for group in groups {
            if group.counts(held)? {
                syscalls.push(group.resolve()?);
            }
        }
        let mut filter = json!({
            "defaultAction": self.default_action,
            "architectures": architectures,
            "syscalls": syscalls,
        });
        if let Some(errno) = self.default_errno_ret {
            filter["defaultErrnoRet"] = errno.into();
        }
        Ok(filter)
    }
}

fn architectures(
    given: Option<Vec<String>>,
    map: Option<Vec<Architecture>>,
) -> Result<Vec<String>, EngineError> {
    match (given.unwrap_or_default(), map.unwrap_or_default()) {
        (given, map) if !given.is_empty() && !map.is_empty() => Err(invalid(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
        )),
        (given, map) if map.is_empty() => Ok(given),
        (_, map) => {
            let own = map.into_iter().find(|one| one.architecture == NATIVE.1);
            Ok(own.map_or(Vec::new(), |own| {
                let subs = own.sub_architectures.unwrap_or_default();
                [vec![own.architecture], subs].concat()
            }))
        }
    }
}

impl Group {
    /// Whether its conditions hold.
    fn counts(&self, held: &Capabilities) -> Result<bool, EngineError> {
        let (includes, excludes) = (&self.includes, &self.excludes);
        let arches = includes.arches.as_deref().unwrap_or_default();
        if !arches.is_empty() && !arches.iter().any(|arch| arch == NATIVE.0) {
            return Ok(false);
        }
        if excludes.arches.iter().flatten().any(|a| a == NATIVE.0) {
            return Ok(false);
        }
        let has = |name: &String| held.iter().any(|one| is_called(*one, name));
        if !includes.caps.iter().flatten().all(has) || excludes.caps.iter().flatten().any(has) {
            return Ok(false);
        }
        let reached = |condition: &Condition| condition.min_kernel.as_deref().map(has_kernel);
        let (wanted, unwanted) = (reached(includes), reached(excludes));
        Ok(wanted.transpose()?.unwrap_or(true) && !unwanted.transpose()?.unwrap_or(false))
    }

    fn resolve(self) -> Result<Value, EngineError> {
        let names = match (self.name, self.names.unwrap_or_default()) {
            (name, names) if name.is_empty() => names,
            (name, names) if names.is_empty() => vec![name],
            _ => {
                return Err(invalid(
                    "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
                ));
            }
        };
        let mut group = json!({ "names": names, "action": self.action });
        if let Some(errno) = self.errno_ret {
            group["errnoRet"] = errno.into();
        }
        let args = self.args.unwrap_or_default();
        if let Some(argument) = args.iter().find(|argument| argument.index > 5) {
            let index = argument.index;
            return Err(invalid(&format!(
                "seccomp profile: a system call has the arguments 0 to 5, and no {index}"
            )));
        }
        if !args.is_empty() {
            group["args"] = json!(args);
        }
        Ok(group)
    }
}

/// The capability's text has the prefix or not, depending on who asks.
fn is_called(one: oci_spec::runtime::Capability, name: &str) -> bool {
    let bare = |text: &str| text.strip_prefix("CAP_").unwrap_or(text).to_owned();
    bare(&one.to_string()) == bare(name)
}

fn has_kernel(version: &str) -> Result<bool, EngineError> {
    let parsed = version
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)));
    match parsed {
        Some(wanted) => Ok(KERNEL >= wanted),
        None => Err(invalid(&format!(
            "Decoding seccomp profile failed: invalid kernel version: \"{version}\""
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter_of(profile: &Value, add: &[&str]) -> Result<Value, String> {
        let host = HostConfig {
            security_opt: Some(vec![
                "no-new-privileges".into(),
                format!("seccomp={profile}"),
            ]),
            cap_add: Some(add.iter().map(|name| (*name).to_owned()).collect()),
            ..HostConfig::default()
        };
        let filter = filter(&host).map_err(|e| e.to_string())?;
        Ok(serde_json::to_value(filter.expect("a filter")).unwrap())
    }

    fn names(filter: &Value) -> Vec<&str> {
        let groups = filter["syscalls"].as_array().unwrap();
        let names = groups.iter().flat_map(|g| g["names"].as_array().unwrap());
        names.map(|name| name.as_str().unwrap()).collect()
    }

    #[test]
    fn lines_count_by_capability_architecture_and_kernel() {
        let group = |name: &str, more: Value| {
            let mut group = json!({ "names": [name], "action": "SCMP_ACT_ALLOW" });
            group
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            group
        };
        let profile = json!({
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
            "archMap": [
                { "architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"] },
                { "architecture": "SCMP_ARCH_AARCH64", "subArchitectures": [] },
            ],
            "syscalls": [
                group("read", json!({ "includes": {}, "excludes": {} })),
                group("mount", json!({ "includes": { "caps": ["CAP_SYS_ADMIN"] } })),
                group("clone", json!({ "excludes": { "caps": ["CAP_SYS_ADMIN"] } })),
                group("s390", json!({ "includes": { "arches": ["s390x"] } })),
                group("own", json!({ "includes": { "arches": ["amd64", "arm64"] } })),
                group("other", json!({ "excludes": { "arches": ["amd64", "arm64"] } })),
                group("old", json!({ "includes": { "minKernel": "4.8" } })),
                group("new", json!({ "includes": { "minKernel": "99.0" } })),
                group("gone", json!({ "excludes": { "minKernel": "4.8" } })),
                { "name": "single", "action": "SCMP_ACT_LOG",
                  "args": [{ "index": 0, "value": 7, "valueTwo": 0, "op": "SCMP_CMP_EQ" }] },
            ],
        });
        let usual = filter_of(&profile, &[]).unwrap();
        assert_eq!(names(&usual), ["read", "clone", "own", "old", "single"]);
        assert_eq!(usual["defaultErrnoRet"], 1);
        assert_eq!(usual["architectures"][0], NATIVE.1);
        assert_eq!(usual["syscalls"][4]["args"][0]["op"], "SCMP_CMP_EQ");
        let admin = filter_of(&profile, &["SYS_ADMIN"]).unwrap();
        assert_eq!(names(&admin), ["read", "mount", "own", "old", "single"]);
    }

    #[test]
    fn what_is_no_profile_is_refused() {
        let refused = |profile: Value| filter_of(&profile, &[]).unwrap_err();
        let undecoded = "Decoding seccomp profile failed: ";
        for profile in [
            json!("builtin"),
            json!({}),
            json!({ "defaultAction": "ALLOW" }),
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                { "names": ["a"], "action": "SCMP_ACT_KILL", "includes": { "minKernel": "x" } }
            ] }),
        ] {
            let error = refused(profile.clone());
            assert!(error.contains(undecoded), "{profile}: {error}");
        }
        let both = json!({ "defaultAction": "SCMP_ACT_KILL",
            "architectures": ["SCMP_ARCH_X86_64"],
            "archMap": [{ "architecture": "SCMP_ARCH_X86_64" }] });
        assert!(refused(both).contains("use either 'architectures' or 'archMap'"));
        let rule = |rule: Value| json!({ "defaultAction": "SCMP_ACT_KILL", "syscalls": [rule] });
        let both = json!({ "name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW" });
        assert!(refused(rule(both)).contains("use either 'name' or 'names'"));
        let sixth = json!({ "names": ["a"], "action": "SCMP_ACT_ALLOW",
            "args": [{ "index": 6, "value": 0, "op": "SCMP_CMP_EQ" }] });
        assert!(refused(rule(sixth)).contains("0 to 5"));
        let asks = json!({ "names": ["a"], "action": "SCMP_ACT_NOTIFY" });
        assert!(refused(rule(asks)).contains("nobody in the machine listens"));
        let flagged = json!({ "defaultAction": "SCMP_ACT_ALLOW", "flags": ["X"] });
        assert!(refused(flagged).contains("seccomp filter flag X"));
    }

    #[test]
    fn without_a_profile_there_is_no_filter() {
        for option in ["seccomp=unconfined", "seccomp:unconfined", "label=disable"] {
            let host = HostConfig {
                security_opt: Some(vec![option.into()]),
                ..HostConfig::default()
            };
            assert_eq!(filter(&host).unwrap(), None, "{option}");
        }
    }
}
