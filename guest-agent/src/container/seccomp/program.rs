//! Rules as the instructions that the kernel runs for each call.
//!
//! ```text
//! load the architecture
//! ┌ is it this one? else to the next
//! │ load the number
//! │ ┌ is it this call? else to the next
//! │ │ ┌ checks of a rule; if one fails to the next ─► its action
//! │ │ └ …                                          ─► the default
//! │ └ …                                            ─► the default
//! └ …                                              ─► the process is killed
//! ```

use super::rules::{Action, Check, Operator, Rule, Section};

/// Where `struct seccomp_data` has what is looked at.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
const GOTO: u32 = libc::BPF_JMP | libc::BPF_JA;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const IF_GREATER: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
const IF_GREATER_OR_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;

/// Where a comparison leads.
#[derive(Debug, Clone, Copy)]
enum To {
    Next,
    /// Behind this check: it holds.
    Held,
    /// Behind this rule: it does not fit.
    Failed,
}

/// An instruction, with jumps whose targets are not known yet.
struct Step {
    code: u32,
    value: u32,
    yes: To,
    no: To,
}

/// The whole program.
pub(super) fn assemble(sections: &[Section]) -> Vec<libc::sock_filter> {
    let mut program = vec![plain(LOAD, ARCHITECTURE)];
    for section in sections {
        guarded(section.audit, &self::section(section), &mut program);
    }
    program.push(plain(RETURN, libc::SECCOMP_RET_KILL_PROCESS));
    program
}

fn section(section: &Section) -> Vec<libc::sock_filter> {
    let mut program = vec![plain(LOAD, NUMBER)];
    for (number, rules) in &section.calls {
        guarded(*number, &call(rules, section.default), &mut program);
    }
    program.push(plain(RETURN, section.default.0));
    program
}

/// What is done only if the value that is loaded is this one. The body always returns.
fn guarded(value: u32, body: &[libc::sock_filter], program: &mut Vec<libc::sock_filter>) {
    // A comparison skips no more than 255 instructions.
    match u8::try_from(body.len()) {
        Ok(length) => program.push(jump(IF_EQUAL, value, 0, length)),
        Err(_) => {
            program.push(jump(IF_EQUAL, value, 1, 0));
            let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
            program.push(plain(GOTO, length));
        }
    }
    program.extend_from_slice(body);
}

fn call(rules: &[Rule], default: Action) -> Vec<libc::sock_filter> {
    let mut program = Vec::new();
    for rule in rules {
        program.extend(self::rule(rule));
    }
    if rules.last().is_none_or(|rule| !rule.checks.is_empty()) {
        program.push(plain(RETURN, default.0));
    }
    program
}

fn rule(rule: &Rule) -> Vec<libc::sock_filter> {
    let checks: Vec<Vec<Step>> = rule.checks.iter().map(check).collect();
    // Behind the action.
    let failed = checks.iter().map(Vec::len).sum::<usize>() + 1;
    let mut program: Vec<libc::sock_filter> = Vec::new();
    for steps in checks {
        let held = program.len() + steps.len();
        for step in steps {
            let next = program.len() + 1;
            // A rule has at most six checks of at most seven instructions.
            let distance = |to| match to {
                To::Next => 0,
                To::Held => u8::try_from(held - next).unwrap_or(u8::MAX),
                To::Failed => u8::try_from(failed - next).unwrap_or(u8::MAX),
            };
            let (yes, no) = (distance(step.yes), distance(step.no));
            program.push(jump(step.code, step.value, yes, no));
        }
    }
    program.push(plain(RETURN, rule.action.0));
    program
}

/// Arguments have 64 bits, and what is loaded 32: the upper half is compared first.
fn check(check: &Check) -> Vec<Step> {
    use To::{Failed, Held, Next};
    let (upper, lower) = halves(check.value);
    let at = ARGUMENTS + 8 * check.index;
    let (load_upper, load_lower) = match cfg!(target_endian = "little") {
        true => (load(at + 4), load(at)),
        false => (load(at), load(at + 4)),
    };
    let compare = |code, value, yes, no| Step {
        code,
        value,
        yes,
        no,
    };
    // Of an upper half that is greater or less, nothing is left to be compared.
    let ordered = |code, above, below| {
        let mut steps = vec![load_upper()];
        steps.push(compare(IF_GREATER, upper, above, Next));
        steps.push(compare(IF_EQUAL, upper, Next, below));
        steps.extend([load_lower(), compare(code, lower, above, below)]);
        steps
    };
    match check.operator {
        Operator::Equal => vec![
            load_upper(),
            compare(IF_EQUAL, upper, Next, Failed),
            load_lower(),
            compare(IF_EQUAL, lower, Held, Failed),
        ],
        Operator::NotEqual => vec![
            load_upper(),
            compare(IF_EQUAL, upper, Next, Held),
            load_lower(),
            compare(IF_EQUAL, lower, Failed, Held),
        ],
        Operator::MaskedEqual(mask) => {
            let (mask_upper, mask_lower) = halves(mask);
            vec![
                load_upper(),
                compare(AND, mask_upper, Next, Next),
                compare(IF_EQUAL, upper, Next, Failed),
                load_lower(),
                compare(AND, mask_lower, Next, Next),
                compare(IF_EQUAL, lower, Held, Failed),
            ]
        }
        Operator::Greater => ordered(IF_GREATER, Held, Failed),
        Operator::GreaterOrEqual => ordered(IF_GREATER_OR_EQUAL, Held, Failed),
        Operator::Less => ordered(IF_GREATER_OR_EQUAL, Failed, Held),
        Operator::LessOrEqual => ordered(IF_GREATER, Failed, Held),
    }
}

fn load(at: u32) -> impl Fn() -> Step {
    move || Step {
        code: LOAD,
        value: at,
        yes: To::Next,
        no: To::Next,
    }
}

fn halves(value: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
    (
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
    )
}

fn plain(code: u32, value: u32) -> libc::sock_filter {
    jump(code, value, 0, 0)
}

fn jump(code: u32, value: u32, yes: u8, no: u8) -> libc::sock_filter {
    libc::sock_filter {
        // Codes have 16 bits; the constants are wider than they.
        code: u16::try_from(code).unwrap_or_default(),
        jt: yes,
        jf: no,
        k: value,
    }
}
