//! What a specification says of each call of each architecture, by number.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::SeccompError;
use crate::spec::{Argument, Seccomp, Syscalls};

/// `SECCOMP_RET_…` and its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Action(pub(super) u32);

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// The bits of this mask.
    MaskedEqual(u64),
}

/// A condition on one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) index: u32,
    pub(super) operator: Operator,
    pub(super) value: u64,
}

/// What is done if every check holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) checks: Vec<Check>,
    pub(super) action: Action,
}

/// The calls of one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// `AUDIT_ARCH_…`
    pub(super) audit: u32,
    pub(super) calls: BTreeMap<u32, Vec<Rule>>,
    /// For all others.
    pub(super) default: Action,
}

/// An architecture whose programs can run here.
struct Architecture {
    name: &'static str,
    audit: u32,
    number: fn(&str) -> Option<i32>,
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURES: &[Architecture] = &[
    Architecture {
        name: "SCMP_ARCH_X86_64",
        audit: 0xc000_003e,
        number: |name| {
            syscalls::x86_64::Sysno::from_str(name)
                .ok()
                .map(|call| call.id())
        },
    },
    Architecture {
        name: "SCMP_ARCH_X86",
        audit: 0x4000_0003,
        number: |name| {
            syscalls::x86::Sysno::from_str(name)
                .ok()
                .map(|call| call.id())
        },
    },
];

#[cfg(target_arch = "aarch64")]
const ARCHITECTURES: &[Architecture] = &[Architecture {
    name: "SCMP_ARCH_AARCH64",
    audit: 0xc000_00b7,
    number: |name| {
        syscalls::aarch64::Sysno::from_str(name)
            .ok()
            .map(|call| call.id())
    },
}];

/// A section for each architecture that is asked for, and for this one in any case: a call of
/// another one ends its process.
pub(super) fn sections(spec: &Seccomp) -> Result<Vec<Section>, SeccompError> {
    let default = action(&spec.default_action, spec.default_errno_ret)?;
    let mut groups = Vec::new();
    for group in &spec.syscalls {
        // A rule that does as the default is none: a later one for the same call counts.
        let rules = rules(group)?.into_iter();
        let rules: Vec<Rule> = rules.filter(|rule| rule.action != default).collect();
        if !rules.is_empty() {
            groups.push((&group.names, rules));
        }
    }
    let asked = |one: &&Architecture| spec.architectures.iter().any(|name| name == one.name);
    let (own, others) = ARCHITECTURES.split_at(1);
    let architectures = own.iter().chain(others.iter().filter(asked));
    let section = |architecture: &Architecture| {
        let mut calls = BTreeMap::<u32, Vec<Rule>>::new();
        for (names, rules) in &groups {
            let numbers = names.iter().filter_map(|name| (architecture.number)(name));
            for number in numbers.filter_map(|number| u32::try_from(number).ok()) {
                calls.entry(number).or_default().extend_from_slice(rules);
            }
        }
        Section {
            audit: architecture.audit,
            calls,
            default,
        }
    };
    Ok(architectures.map(section).collect())
}

/// One rule, or one for each check where several are of the same argument: these are alternatives.
fn rules(group: &Syscalls) -> Result<Vec<Rule>, SeccompError> {
    let action = action(&group.action, group.errno_ret)?;
    let checks = group.args.iter().map(check);
    let checks = checks.collect::<Result<Vec<_>, _>>()?;
    let mut indexes: Vec<u32> = checks.iter().map(|check| check.index).collect();
    indexes.sort_unstable();
    indexes.dedup();
    Ok(match indexes.len() == checks.len() {
        true => vec![Rule { checks, action }],
        false => checks
            .into_iter()
            .map(|check| Rule {
                checks: vec![check],
                action,
            })
            .collect(),
    })
}

fn check(argument: &Argument) -> Result<Check, SeccompError> {
    let index = u32::try_from(argument.index)
        .ok()
        .filter(|index| *index < 6);
    let operator = match argument.op.as_str() {
        "SCMP_CMP_EQ" => Operator::Equal,
        "SCMP_CMP_NE" => Operator::NotEqual,
        "SCMP_CMP_LT" => Operator::Less,
        "SCMP_CMP_LE" => Operator::LessOrEqual,
        "SCMP_CMP_GT" => Operator::Greater,
        "SCMP_CMP_GE" => Operator::GreaterOrEqual,
        "SCMP_CMP_MASKED_EQ" => Operator::MaskedEqual(argument.value),
        other => return Err(SeccompError::Operator(other.to_owned())),
    };
    Ok(Check {
        index: index.ok_or(SeccompError::Argument(argument.index))?,
        operator,
        value: match operator {
            Operator::MaskedEqual(_) => argument.value_two.unwrap_or(0),
            _ => argument.value,
        },
    })
}

fn action(name: &str, errno: Option<u32>) -> Result<Action, SeccompError> {
    let data = errno.unwrap_or(libc::EPERM.unsigned_abs()) & libc::SECCOMP_RET_DATA;
    Ok(Action(match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => libc::SECCOMP_RET_KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => libc::SECCOMP_RET_KILL_PROCESS,
        "SCMP_ACT_TRAP" => libc::SECCOMP_RET_TRAP,
        "SCMP_ACT_ERRNO" => libc::SECCOMP_RET_ERRNO | data,
        "SCMP_ACT_TRACE" => libc::SECCOMP_RET_TRACE | data,
        "SCMP_ACT_LOG" => libc::SECCOMP_RET_LOG,
        "SCMP_ACT_ALLOW" => libc::SECCOMP_RET_ALLOW,
        "SCMP_ACT_NOTIFY" => return Err(SeccompError::Notify(name.to_owned())),
        other => return Err(SeccompError::Action(other.to_owned())),
    }))
}
