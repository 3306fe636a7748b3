//! Compiles an allow-list to a BPF program: a search tree over ranges of call numbers.
//!
//! When a program is installed, the kernel runs it for every number that there is, translates it
//! several times over, and does so for each thread: a list of comparisons, one after the other,
//! costs a VM's start five milliseconds, a tree a fraction of one. The tree's inner nodes ask
//! `number >= k`; what is between two boundaries is all allowed, all denied, or one guarded call.
//!
//! ```text
//!  other architecture? ─► kill
//!  load number
//!  tree ──┬─► allow
//!         ├─► kill
//!         └─► guard: argument == value ? allow : kill
//! ```

use libc::sock_filter;

use super::policy::Guarded;

/// `AUDIT_ARCH_X86_64`: a 64-bit, little-endian x86.
const ARCHITECTURE: u32 = 0xc000_003e;
/// Offsets in `struct seccomp_data`.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const ARGUMENTS_AT: u32 = 16;
const ARGUMENT_SIZE: u32 = 8;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Why an allow-list cannot be compiled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CompileError {
    /// No system call has this number.
    Number(i64),
    /// A call is listed twice, which would leave open which of the two counts.
    Twice(u32),
    /// A jump would be longer than BPF's can be.
    TooLong,
}

impl std::fmt::Display for CompileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number} is no system call"),
            Self::Twice(number) => write!(f, "system call {number} is listed twice"),
            Self::TooLong => f.write_str("the seccomp program is too long for its jumps"),
        }
    }
}

impl std::error::Error for CompileError {}

/// What is done with a range of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Kill,
    Allow,
    /// Index of a guarded call.
    Guard(usize),
}

/// The program that allows the calls of all lists, the guarded ones with one argument's value, and
/// kills the process at anything else.
pub(crate) fn compile(
    lists: &[&[i64]],
    guarded: &[Guarded],
) -> Result<Vec<sock_filter>, CompileError> {
    let ranges = ranges(lists, guarded)?;
    let mut program = Program::default();
    program.push(LOAD, ARCHITECTURE_AT);
    program.branch(IF_EQUAL, ARCHITECTURE, None, Some(Verdict::Kill));
    program.push(LOAD, NUMBER_AT);
    program.tree(&ranges);
    program.finish(guarded)
}

/// First number and verdict of each range, ascending from 0, neighbours different.
fn ranges(lists: &[&[i64]], guarded: &[Guarded]) -> Result<Vec<(u32, Verdict)>, CompileError> {
    let number = |call: i64| u32::try_from(call).map_err(|_| CompileError::Number(call));
    let mut calls = Vec::new();
    for call in lists.iter().copied().flatten() {
        calls.push((number(*call)?, Verdict::Allow));
    }
    for (index, guard) in guarded.iter().enumerate() {
        calls.push((number(guard.call)?, Verdict::Guard(index)));
    }
    calls.sort_by_key(|(number, _)| *number);
    let mut ranges = vec![(0, Verdict::Kill)];
    for (number, verdict) in calls {
        let (last, before) = ranges[ranges.len() - 1];
        match last.cmp(&number) {
            // The call before ended where this one is.
            std::cmp::Ordering::Equal => _ = ranges.pop(),
            std::cmp::Ordering::Greater => return Err(CompileError::Twice(number)),
            std::cmp::Ordering::Less => debug_assert_eq!(before, Verdict::Kill),
        }
        if ranges.last().is_none_or(|(_, before)| *before != verdict) {
            ranges.push((number, verdict));
        }
        ranges.push((number + 1, Verdict::Kill));
    }
    Ok(ranges)
}

/// Instructions whose jumps to verdicts are still open.
#[derive(Default)]
struct Program {
    instructions: Vec<sock_filter>,
    /// Where an instruction goes if its condition holds, and if not; without an entry to the next
    /// one.
    open: Vec<(usize, Side, Verdict)>,
    /// Conditions whose holding leads to the start of a tree that comes later.
    trees: Vec<(usize, usize)>,
}

#[derive(Clone, Copy)]
enum Side {
    Holds,
    Fails,
}

impl Program {
    fn push(&mut self, code: u16, k: u32) -> usize {
        let instruction = sock_filter {
            code,
            jt: 0,
            jf: 0,
            k,
        };
        self.instructions.push(instruction);
        self.instructions.len() - 1
    }

    fn branch(
        &mut self,
        code: u16,
        k: u32,
        holds: Option<Verdict>,
        fails: Option<Verdict>,
    ) -> usize {
        let at = self.push(code, k);
        let sides = [(Side::Holds, holds), (Side::Fails, fails)];
        self.open.extend(
            sides
                .into_iter()
                .filter_map(|(side, to)| Some((at, side, to?))),
        );
        at
    }

    /// Searches among two or more ranges; the one that fails comes next, the other behind it.
    fn tree(&mut self, ranges: &[(u32, Verdict)]) {
        let (lower, upper) = ranges.split_at(ranges.len() / 2);
        let leaf = |half: &[(u32, Verdict)]| match half {
            [(_, verdict)] => Some(*verdict),
            _ => None,
        };
        let (holds, fails) = (leaf(upper), leaf(lower));
        let at = self.branch(IF_AT_LEAST, upper[0].0, holds, fails);
        if fails.is_none() {
            self.tree(lower);
        }
        if holds.is_none() {
            self.trees.push((at, self.instructions.len()));
            self.tree(upper);
        }
    }

    /// Adds guards and ends, and closes the jumps.
    fn finish(mut self, guarded: &[Guarded]) -> Result<Vec<sock_filter>, CompileError> {
        let mut guards = Vec::new();
        for guard in guarded {
            let low_half = ARGUMENTS_AT + ARGUMENT_SIZE * u32::from(guard.argument);
            guards.push(self.push(LOAD, low_half));
            // Calls take these arguments as 32-bit numbers and do not see the upper half.
            let (allow, kill) = (Some(Verdict::Allow), Some(Verdict::Kill));
            self.branch(IF_EQUAL, guard.value as u32, allow, kill);
        }
        let allow = self.push(RETURN, libc::SECCOMP_RET_ALLOW);
        let kill = self.push(RETURN, libc::SECCOMP_RET_KILL_PROCESS);
        let target = |verdict| match verdict {
            Verdict::Allow => allow,
            Verdict::Kill => kill,
            Verdict::Guard(index) => guards[index],
        };
        let jumps = self
            .open
            .iter()
            .map(|&(at, side, verdict)| (at, side, target(verdict)))
            .chain(self.trees.iter().map(|&(at, to)| (at, Side::Holds, to)));
        for (at, side, to) in jumps.collect::<Vec<_>>() {
            // A jump counts from the instruction behind it.
            let length = u8::try_from(to - at - 1).map_err(|_| CompileError::TooLong)?;
            let instruction = &mut self.instructions[at];
            match side {
                Side::Holds => instruction.jt = length,
                Side::Fails => instruction.jf = length,
            }
        }
        Ok(self.instructions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do with this call.
    fn run(program: &[sock_filter], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let (mut at, mut accumulator) = (0, 0);
        for _ in program {
            let i = program[at];
            at += 1;
            let jump = |condition: bool| usize::from(if condition { i.jt } else { i.jf });
            match i.code {
                LOAD => {
                    accumulator = match i.k {
                        NUMBER_AT => number,
                        ARCHITECTURE_AT => architecture,
                        offset => {
                            let offset = offset - ARGUMENTS_AT;
                            (arguments[offset as usize / 8] >> (offset % 8 * 8)) as u32
                        }
                    }
                }
                IF_EQUAL => at += jump(accumulator == i.k),
                IF_AT_LEAST => at += jump(accumulator >= i.k),
                RETURN => return i.k,
                code => panic!("instruction {code:#x}"),
            }
        }
        panic!("the program does not end");
    }

    const GUARD: Guarded = Guarded {
        call: 16,
        argument: 1,
        value: 0xae80,
    };

    #[test]
    fn exactly_what_is_listed_is_allowed() {
        let lists: [&[i64]; 2] = [&[0, 1, 3, 202, 9, 10], &[11, 15, 435]];
        let program = compile(&lists, &[GUARD]).unwrap();
        for number in (0..1000).chain([0x4000_0000, 0x4000_0001, u32::MAX]) {
            let listed = lists.iter().any(|list| list.contains(&i64::from(number)));
            let expected = if listed {
                libc::SECCOMP_RET_ALLOW
            } else {
                libc::SECCOMP_RET_KILL_PROCESS
            };
            assert_eq!(
                run(&program, ARCHITECTURE, number, [0; 6]),
                expected,
                "{number}"
            );
        }
    }

    #[test]
    fn a_guarded_call_is_allowed_with_its_value_only() {
        for lists in [&[15, 17][..], &[1], &[15], &[17, 400]] {
            let program = compile(&[lists], &[GUARD]).unwrap();
            let call = |value| run(&program, ARCHITECTURE, 16, [7, value, 7, 7, 7, 7]);
            assert_eq!(call(0xae80), libc::SECCOMP_RET_ALLOW);
            assert_eq!(call(0xae81), libc::SECCOMP_RET_KILL_PROCESS);
            assert_eq!(call(0), libc::SECCOMP_RET_KILL_PROCESS);
        }
    }

    #[test]
    fn calls_of_another_architecture_are_killed() {
        let program = compile(&[&[0, 1, 2, 3]], &[]).unwrap();
        for number in 0..500 {
            let verdict = run(&program, 0x4000_0003, number, [0; 6]);
            assert_eq!(verdict, libc::SECCOMP_RET_KILL_PROCESS);
        }
    }

    #[test]
    fn ambiguous_and_impossible_lists_are_refused() {
        let refused = |lists: &[&[i64]], guarded: &[Guarded]| compile(lists, guarded).err();
        assert_eq!(
            refused(&[&[5, 16]], &[GUARD]),
            Some(CompileError::Twice(16))
        );
        assert_eq!(refused(&[&[5], &[5]], &[]), Some(CompileError::Twice(5)));
        assert_eq!(refused(&[&[-1]], &[]), Some(CompileError::Number(-1)));
    }

    #[test]
    fn the_tree_is_shallow() {
        let every_second: Vec<i64> = (0..64).map(|n| n * 2).collect();
        let program = compile(&[&every_second], &[]).unwrap();
        assert!(program.len() < 140, "{}", program.len());
    }
}
