//! Sets of CPUs or memory nodes as the kernel and Docker write them: `0-3,7`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The kernel has no more CPUs.
const MOST: u32 = 8192;

/// Numbers of CPUs or memory nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IdList(BTreeSet<u32>);

/// Not such a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAList;

impl IdList {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }
}

impl FromStr for IdList {
    type Err = NotAList;

    fn from_str(text: &str) -> Result<Self, NotAList> {
        let number = |text: &str| match text.parse::<u32>() {
            Ok(number) if number < MOST => Ok(number),
            _ => Err(NotAList),
        };
        let mut ids = BTreeSet::new();
        for part in text.trim().split(',').filter(|_| !text.trim().is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(NotAList);
            }
            ids.extend(first..=last);
        }
        Ok(Self(ids))
    }
}

impl fmt::Display for IdList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ids = self.0.iter().copied().peekable();
        let mut lead = "";
        while let Some(first) = ids.next() {
            let mut last = first;
            while let Some(next) = ids.next_if(|next| *next == last + 1) {
                last = next;
            }
            write!(f, "{lead}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            lead = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_written() {
        for (text, shown) in [
            ("", Some("")),
            ("0", Some("0")),
            ("0-3,7", Some("0-3,7")),
            ("3,1,2\n", Some("1-3")),
            ("0,0-1", Some("0-1")),
            ("3-1", None),
            ("a", None),
            ("1-", None),
            ("1,,2", None),
            ("8192", None),
            ("0-4294967295", None),
        ] {
            let list = text.parse::<IdList>();
            assert_eq!(list.map(|l| l.to_string()).ok().as_deref(), shown, "{text}");
        }
        let list = |text: &str| text.parse::<IdList>().unwrap();
        assert!(list("1,3").is_within(&list("0-3")));
        assert!(!list("1,4").is_within(&list("0-3")));
        assert_eq!(list("0-3,7").len(), 5);
    }
}
