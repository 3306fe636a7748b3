use proptest::prelude::*;
use serde_json::json;

use super::program::assemble;
use super::rules::{Action, Check, Operator, Rule, Section, sections};
use super::*;

const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const ERRNO: u32 = libc::SECCOMP_RET_ERRNO;

/// What the kernel hands to a filter.
#[derive(Debug, Clone)]
struct Data {
    number: u32,
    audit: u32,
    arguments: [u64; 6],
}

/// Runs a program as the kernel does.
fn run(program: &[libc::sock_filter], data: &Data) -> u32 {
    let mut bytes = Vec::new();
    bytes.extend(data.number.to_ne_bytes());
    bytes.extend(data.audit.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(data.arguments.iter().flat_map(|a| a.to_ne_bytes()));
    let (mut at, mut value) = (0, 0);
    loop {
        let one = &program[at];
        at += 1;
        let goto = |holds: bool| usize::from(if holds { one.jt } else { one.jf });
        match u32::from(one.code) {
            0x20 => {
                let from = one.k as usize;
                value = u32::from_ne_bytes(bytes[from..from + 4].try_into().unwrap());
            }
            0x54 => value &= one.k,
            0x05 => at += one.k as usize,
            0x15 => at += goto(value == one.k),
            0x25 => at += goto(value > one.k),
            0x35 => at += goto(value >= one.k),
            0x06 => return one.k,
            other => panic!("the kernel has no {other:#x} in filters"),
        }
    }
}

/// What the rules say, without a program.
fn judged(sections: &[Section], data: &Data) -> u32 {
    let Some(section) = sections.iter().find(|s| s.audit == data.audit) else {
        return KILL;
    };
    let rules = section.calls.get(&data.number).into_iter().flatten();
    let holds = |check: &Check| {
        let argument = data.arguments[check.index as usize];
        match check.operator {
            Operator::Equal => argument == check.value,
            Operator::NotEqual => argument != check.value,
            Operator::Less => argument < check.value,
            Operator::LessOrEqual => argument <= check.value,
            Operator::Greater => argument > check.value,
            Operator::GreaterOrEqual => argument >= check.value,
            Operator::MaskedEqual(mask) => argument & mask == check.value,
        }
    };
    let mut fitting = rules.filter(|rule| rule.checks.iter().all(holds));
    fitting.next().map_or(section.default.0, |r| r.action.0)
}

/// Few values, so that they meet, and such as differ in one half.
fn value() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![0, 1, 2, 1 << 32, (1 << 32) + 1, 5 << 32, u64::MAX])
}

fn check() -> impl Strategy<Value = Check> {
    let operator = prop_oneof![
        Just(Operator::Equal),
        Just(Operator::NotEqual),
        Just(Operator::Less),
        Just(Operator::LessOrEqual),
        Just(Operator::Greater),
        Just(Operator::GreaterOrEqual),
        value().prop_map(Operator::MaskedEqual),
    ];
    (0..6_u32, operator, value()).prop_map(|(index, operator, value)| Check {
        index,
        operator,
        value,
    })
}

fn section(audit: u32) -> impl Strategy<Value = Section> {
    let action = || prop::sample::select(vec![ALLOW, ERRNO | 1, ERRNO | 38]).prop_map(Action);
    let rule = (prop::collection::vec(check(), 0..4), action())
        .prop_map(|(checks, action)| Rule { checks, action });
    // Up to so many that a comparison cannot skip them all.
    let rules = prop::collection::vec(rule, 1..20);
    (prop::collection::btree_map(0..6_u32, rules, 0..4), action()).prop_map(
        move |(calls, default)| Section {
            audit,
            calls,
            default,
        },
    )
}

proptest! {
    #[test]
    fn a_program_does_what_the_rules_say(
        first in section(1),
        second in section(2),
        number in 0..7_u32,
        audit in 1..4_u32,
        arguments in prop::array::uniform6(value()),
    ) {
        let sections = [first, second];
        let data = Data { number, audit, arguments };
        prop_assert_eq!(run(&assemble(&sections), &data), judged(&sections, &data));
    }
}

fn spec(json: serde_json::Value) -> Seccomp {
    serde_json::from_value(json).unwrap()
}

#[test]
fn calls_are_those_of_each_architecture() {
    let spec = spec(json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"],
        "syscalls": [
            { "names": ["getpid", "no_such_call"], "action": "SCMP_ACT_ALLOW" },
            { "names": ["gettid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38 },
            { "names": ["gettid"], "action": "SCMP_ACT_LOG",
              "args": [{ "index": 0, "value": 1, "op": "SCMP_CMP_EQ" },
                       { "index": 0, "value": 2, "op": "SCMP_CMP_EQ" }] },
        ],
    }));
    let sections = sections(&spec).unwrap();
    let own = &sections[0];
    assert_eq!(own.default, Action(ERRNO | 38));
    let rules = |call: libc::c_long| own.calls[&u32::try_from(call).unwrap()].clone();
    assert_eq!(rules(libc::SYS_getpid).len(), 1);
    // What is as the default is no rule, and checks of one argument are alternatives.
    assert_eq!(rules(libc::SYS_gettid).len(), 2);
    assert_eq!(own.calls.len(), 2);
    if cfg!(target_arch = "x86_64") {
        assert_eq!(sections[1].calls.keys().collect::<Vec<_>>(), [&20, &224]);
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let with = |call: serde_json::Value| {
        let rule = json!({ "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [call] });
        compile(&spec(
            json!({ "defaultAction": "SCMP_ACT_KILL", "syscalls": [rule] }),
        ))
    };
    let error = with(json!({ "index": 6, "value": 0, "op": "SCMP_CMP_EQ" })).unwrap_err();
    assert_eq!(error, SeccompError::Argument(6));
    let error = with(json!({ "index": 0, "value": 0, "op": "=" })).unwrap_err();
    assert_eq!(error, SeccompError::Operator("=".into()));
    let default = |name: &str| compile(&spec(json!({ "defaultAction": name }))).unwrap_err();
    assert_eq!(default("ALLOW"), SeccompError::Action("ALLOW".into()));
    let notify = "SCMP_ACT_NOTIFY";
    assert_eq!(default(notify), SeccompError::Notify(notify.into()));
    let check = json!({ "index": 0, "value": 7, "op": "SCMP_CMP_GT" });
    let rule = json!({ "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [check] });
    let many = vec![rule; 1000];
    let error = compile(&spec(
        json!({ "defaultAction": "SCMP_ACT_KILL", "syscalls": many }),
    ));
    assert!(matches!(error, Err(SeccompError::TooLong(6000..))));
}

#[test]
fn the_kernel_takes_it_and_minds_it() {
    let spec = spec(json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            { "names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95 },
            { "names": ["setpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 96,
              "args": [{ "index": 2, "value": 4_294_967_301_u64, "op": "SCMP_CMP_EQ" }] },
        ],
    }));
    let filter = compile(&spec).unwrap();
    let errno = || io::Error::last_os_error().raw_os_error().unwrap();
    let confined = std::thread::spawn(move || {
        rustix::thread::set_no_new_privs(true).unwrap();
        filter.install().unwrap();
        // SAFETY: they take plain numbers.
        let ask = |call, last: u64| match unsafe { libc::syscall(call, 0, 0, last) } {
            -1 => errno(),
            _ => 0,
        };
        [
            ask(libc::SYS_getppid, 0),
            ask(libc::SYS_setpriority, 4_294_967_301),
            ask(libc::SYS_setpriority, 5),
        ]
    });
    assert_eq!(confined.join().unwrap(), [95, 96, 0]);
    assert_ne!(std::os::unix::process::parent_id(), 95);
}
