//! A runtime specification, checked and turned into what the child process does with it, so that
//! a bad specification is refused before anything is made.

use std::path::PathBuf;

use hull_protocol::agent::{Exec, ProvidedFile, User};

use crate::container::limits::{CapabilitySets, LimitError, Rlimit};
use crate::container::mounts::{self, MountError};
use crate::container::seccomp::{self, Filter, SeccompError};
use crate::container::user::Credentials;
use crate::request::Create;
use crate::spec::{self, Linux, Process, Resources};

/// What in a request contradicts itself or is not supported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlueprintError {
    #[error("the specification has no process")]
    NoProcess,
    #[error("no command specified")]
    NoCommand,
    #[error("working directory {0:?} is not an absolute path")]
    RelativeCwd(String),
    #[error("path {0:?} is not absolute")]
    RelativePath(String),
    #[error("too many {what}: at most {most}")]
    TooMany { what: &'static str, most: usize },
    #[error("device {} is of no kind that can be made", .0.display())]
    Device(PathBuf),
    #[error("sysctl {0:?} is not a name")]
    Sysctl(String),
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
}

/// The most of anything else a specification lists.
const MAX_LIST: usize = 1024;

/// The container around its first process.
pub(crate) struct Blueprint {
    pub(crate) hostname: Option<String>,
    pub(crate) domainname: Option<String>,
    pub(crate) mounts: Vec<mounts::Entry>,
    pub(crate) devices: Vec<Device>,
    pub(crate) files: Vec<ProvidedFile>,
    /// Paths below `/proc/sys` and what to write there.
    pub(crate) sysctls: Vec<(PathBuf, String)>,
    pub(crate) masked: Vec<PathBuf>,
    pub(crate) readonly: Vec<PathBuf>,
    pub(crate) readonly_root: bool,
    pub(crate) resources: Resources,
    pub(crate) init: bool,
    pub(crate) process: ProcessPlan,
}

/// A device node beyond the standard ones.
pub(crate) struct Device {
    pub(crate) path: PathBuf,
    pub(crate) mode: libc::mode_t,
    pub(crate) device: libc::dev_t,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// One process, first or exec.
#[derive(Clone)]
pub(crate) struct ProcessPlan {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) cwd: String,
    pub(crate) user: UserPlan,
    pub(crate) umask: u32,
    pub(crate) capabilities: CapabilitySets,
    pub(crate) rlimits: Vec<Rlimit>,
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp: Option<Filter>,
    pub(crate) oom_score_adj: Option<i32>,
}

/// Who it runs as.
#[derive(Clone)]
pub(crate) enum UserPlan {
    /// By the container's account files.
    Named(User),
    /// As these numbers.
    Known(Credentials),
}

impl Blueprint {
    pub(crate) fn new(create: Create) -> Result<Self, BlueprintError> {
        let Create {
            spec,
            user,
            init,
            files,
            ..
        } = create;
        let process = spec.process.ok_or(BlueprintError::NoProcess)?;
        let linux = spec.linux;
        for file in &files {
            absolute(&file.path)?;
        }
        bounded("files", files.len())?;
        Ok(Self {
            hostname: spec.hostname.filter(|n| !n.is_empty()),
            domainname: spec.domainname.filter(|n| !n.is_empty()),
            mounts: mounts::plan(&spec.mounts)?,
            devices: devices(&linux.devices)?,
            files,
            sysctls: sysctls(&linux)?,
            masked: paths("masked paths", &linux.masked_paths)?,
            readonly: paths("readonly paths", &linux.readonly_paths)?,
            readonly_root: spec.root.is_some_and(|root| root.readonly),
            process: ProcessPlan::first(process, &linux, user)?,
            resources: linux.resources,
            init,
        })
    }
}

impl ProcessPlan {
    fn first(process: Process, linux: &Linux, user: User) -> Result<Self, BlueprintError> {
        bounded("resource limits", process.rlimits.len())?;
        let user = if user.name.is_empty() && user.groups.is_empty() {
            let mut groups = vec![process.user.gid];
            groups.extend(&process.user.additional_gids);
            groups.sort_unstable();
            groups.dedup();
            UserPlan::Known(Credentials {
                uid: process.user.uid,
                gid: process.user.gid,
                groups,
            })
        } else {
            UserPlan::Named(user)
        };
        let rlimits = process.rlimits.iter().map(Rlimit::of);
        let plan = Self {
            args: process.args,
            env: process.env,
            cwd: or_root(process.cwd),
            user,
            umask: process.user.umask.unwrap_or(0o022),
            capabilities: CapabilitySets::of(&process.capabilities)?,
            rlimits: rlimits.collect::<Result<_, _>>()?,
            no_new_privileges: process.no_new_privileges,
            seccomp: linux.seccomp.as_ref().map(seccomp::compile).transpose()?,
            oom_score_adj: process.oom_score_adj,
        };
        plan.check()
    }

    /// An exec in a container whose first process had this plan and became `first`.
    pub(crate) fn exec(&self, exec: Exec, first: &Credentials) -> Result<Self, BlueprintError> {
        let named = !exec.user.name.is_empty() || !exec.user.groups.is_empty();
        let plan = Self {
            args: exec.args,
            env: exec.env,
            cwd: or_root(exec.cwd),
            user: if named {
                UserPlan::Named(exec.user)
            } else {
                UserPlan::Known(first.clone())
            },
            capabilities: match exec.privileged {
                true => CapabilitySets::all(),
                false => self.capabilities,
            },
            seccomp: match exec.privileged {
                true => None,
                false => self.seccomp.clone(),
            },
            ..self.clone()
        };
        plan.check()
    }

    fn check(self) -> Result<Self, BlueprintError> {
        if self.args.first().is_none_or(String::is_empty) {
            return Err(BlueprintError::NoCommand);
        }
        if !self.cwd.starts_with('/') {
            return Err(BlueprintError::RelativeCwd(self.cwd));
        }
        Ok(self)
    }
}

fn or_root(cwd: String) -> String {
    if cwd.is_empty() { "/".to_owned() } else { cwd }
}

fn bounded(what: &'static str, count: usize) -> Result<(), BlueprintError> {
    if count > MAX_LIST {
        return Err(BlueprintError::TooMany {
            what,
            most: MAX_LIST,
        });
    }
    Ok(())
}

fn absolute(path: &str) -> Result<PathBuf, BlueprintError> {
    if path.starts_with('/') {
        Ok(PathBuf::from(path))
    } else {
        Err(BlueprintError::RelativePath(path.to_owned()))
    }
}

fn paths(what: &'static str, list: &[String]) -> Result<Vec<PathBuf>, BlueprintError> {
    bounded(what, list.len())?;
    list.iter().map(|p| absolute(p)).collect()
}

fn devices(list: &[spec::Device]) -> Result<Vec<Device>, BlueprintError> {
    bounded("devices", list.len())?;
    let convert = |d: &spec::Device| {
        let kind = match d.kind.as_str() {
            "b" => libc::S_IFBLK,
            "p" => libc::S_IFIFO,
            "c" | "u" => libc::S_IFCHR,
            _ => return Err(BlueprintError::Device(d.path.clone())),
        };
        if !d.path.is_absolute() {
            return Err(BlueprintError::Device(d.path.clone()));
        }
        Ok(Device {
            path: d.path.clone(),
            mode: kind | (d.file_mode.unwrap_or(0o666) & 0o7777),
            device: libc::makedev(d.major, d.minor),
            uid: d.uid.unwrap_or(0),
            gid: d.gid.unwrap_or(0),
        })
    };
    list.iter().map(convert).collect()
}

/// `net.ipv4.ip_forward` is `/proc/sys/net/ipv4/ip_forward`; a name with slashes keeps its dots.
fn sysctls(linux: &Linux) -> Result<Vec<(PathBuf, String)>, BlueprintError> {
    bounded("sysctls", linux.sysctl.len())?;
    let convert = |(name, value): (&String, &String)| {
        let relative = match name.contains('/') {
            true => name.clone(),
            false => name.replace('.', "/"),
        };
        let sound = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !relative.split('/').all(sound) {
            return Err(BlueprintError::Sysctl(name.clone()));
        }
        Ok((PathBuf::from("/proc/sys").join(relative), value.clone()))
    };
    linux.sysctl.iter().map(convert).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hull_protocol::agent::{ProcessId, RootFs, Stdio};

    fn create(spec: serde_json::Value) -> Create {
        Create {
            root: RootFs {
                layers: 1,
                scratch: None,
            },
            spec: serde_json::from_value(spec).unwrap(),
            user: User::default(),
            stdio: Stdio::default(),
            init: false,
            files: Vec::new(),
        }
    }

    fn refused(spec: serde_json::Value) -> String {
        match Blueprint::new(create(spec)) {
            Ok(_) => panic!("accepted"),
            Err(e) => e.to_string(),
        }
    }

    fn process(extra: &serde_json::Value) -> serde_json::Value {
        let mut process = serde_json::json!(
            {"user": {"uid": 5, "gid": 6, "additionalGids": [7]}, "args": ["sh"], "cwd": "/"});
        let fields = process.as_object_mut().unwrap();
        fields.extend(extra.as_object().unwrap().clone());
        serde_json::json!({"ociVersion": "1.2.0", "process": process})
    }

    #[test]
    fn a_specification_without_a_program_is_refused() {
        assert_eq!(
            refused(serde_json::json!({"ociVersion": "1.2.0"})),
            "the specification has no process"
        );
        let empty = process(&serde_json::json!({"args": []}));
        assert_eq!(refused(empty), "no command specified");
    }

    #[test]
    fn sysctls_stay_below_proc_sys() {
        let mut spec = process(&serde_json::json!({}));
        spec["linux"] = serde_json::json!({"sysctl": {"net.ipv4.ip_forward": "1"}});
        let blueprint = Blueprint::new(create(spec.clone())).unwrap();
        let path = PathBuf::from("/proc/sys/net/ipv4/ip_forward");
        assert_eq!(blueprint.sysctls, [(path, "1".to_owned())]);
        spec["linux"] = serde_json::json!({"sysctl": {"../../etc/passwd": "1"}});
        refused(spec);
    }

    #[test]
    fn an_exec_without_a_user_runs_as_the_first_process() {
        let blueprint = Blueprint::new(create(process(&serde_json::json!({})))).unwrap();
        let UserPlan::Known(first) = &blueprint.process.user else {
            panic!("numbers are known");
        };
        assert_eq!((first.uid, first.gid), (5, 6));
        assert_eq!(first.groups, [6, 7]);
        let exec = Exec {
            process: ProcessId("e".into()),
            args: vec!["id".into()],
            env: Vec::new(),
            cwd: "/tmp".into(),
            user: User::default(),
            stdio: Stdio::default(),
            privileged: true,
        };
        let plan = blueprint.process.exec(exec, first).unwrap();
        assert!(matches!(plan.user, UserPlan::Known(user) if user == *first));
        assert_eq!(plan.capabilities, CapabilitySets::all());
    }
}
