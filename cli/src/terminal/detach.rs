//! The keys that leave a container running and give the terminal back: ctrl-p ctrl-q.
//!
//! Keys that may be the start of the sequence are held until the next one decides; they
//! reach the container if it was not the sequence after all.

use std::fmt;
use std::str::FromStr;

/// A sequence of keys, such as `ctrl-p,ctrl-q`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DetachKeys {
    keys: Vec<u8>,
    /// As it was typed: the daemon watches for it as well.
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid detach keys ({keys}) provided: unknown character '{key}'")]
pub(crate) struct DetachKeysError {
    keys: String,
    key: String,
}

impl Default for DetachKeys {
    fn default() -> Self {
        DetachKeys {
            keys: vec![0x10, 0x11],
            text: "ctrl-p,ctrl-q".into(),
        }
    }
}

impl fmt::Display for DetachKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for DetachKeys {
    type Err = DetachKeysError;

    fn from_str(text: &str) -> Result<DetachKeys, DetachKeysError> {
        let key = |word: &str| {
            key(word).ok_or_else(|| DetachKeysError {
                keys: text.to_owned(),
                key: word.to_owned(),
            })
        };
        let keys = text.split(',').map(key).collect::<Result<_, _>>()?;
        Ok(DetachKeys {
            keys,
            text: text.to_owned(),
        })
    }
}

fn key(word: &str) -> Option<u8> {
    if let [byte] = word.as_bytes() {
        return byte.is_ascii().then_some(*byte);
    }
    match word.strip_prefix("ctrl-")?.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        [b'@'] => Some(0),
        [mark @ b'['..=b'_'] => Some(mark - b'[' + 27),
        _ => None,
    }
}

/// What a piece of input comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// For the container.
    pub(crate) pass: Vec<u8>,
    /// The sequence is complete; what came after it is dropped.
    pub(crate) detached: bool,
}

/// Looks for the sequence in input that comes in pieces.
pub(crate) struct Scanner {
    keys: Vec<u8>,
    /// How many keys of the sequence are held.
    held: usize,
}

impl Scanner {
    pub(crate) fn new(keys: &DetachKeys) -> Scanner {
        Scanner {
            keys: keys.keys.clone(),
            held: 0,
        }
    }

    pub(crate) fn feed(&mut self, input: &[u8]) -> Scanned {
        let mut pass = Vec::with_capacity(input.len() + self.held);
        for byte in input {
            let mut tail = self.keys[..self.held].to_vec();
            tail.push(*byte);
            // What stays held is the longest end of the input that starts the sequence.
            let released = (0..tail.len())
                .find(|start| self.keys.starts_with(&tail[*start..]))
                .unwrap_or(tail.len());
            pass.extend(&tail[..released]);
            self.held = tail.len() - released;
            if self.held == self.keys.len() {
                self.held = 0;
                return Scanned {
                    pass,
                    detached: true,
                };
            }
        }
        Scanned {
            pass,
            detached: false,
        }
    }

    /// What is still held when the input ends.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.keys[..self.held].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sequences_are_read_as_docker_reads_them() {
        for (text, expected) in [
            ("ctrl-p,ctrl-q", Some(vec![0x10, 0x11])),
            ("a", Some(vec![b'a'])),
            (
                "ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_",
                Some(vec![0, 27, 28, 29, 30, 31]),
            ),
            ("bogus", None),
            ("ctrl-", None),
            ("ctrl-A", None),
            ("", None),
        ] {
            assert_eq!(
                text.parse::<DetachKeys>().ok().map(|keys| keys.keys),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_false_start_is_passed_on() {
        let mut scanner = Scanner::new(&DetachKeys::default());
        assert_eq!(
            scanner.feed(b"a\x10"),
            Scanned {
                pass: b"a".to_vec(),
                detached: false
            }
        );
        assert_eq!(
            scanner.feed(b"b"),
            Scanned {
                pass: b"\x10b".to_vec(),
                detached: false
            }
        );
        assert_eq!(
            scanner.feed(b"\x10\x10\x11x"),
            Scanned {
                pass: b"\x10".to_vec(),
                detached: true
            }
        );
    }

    fn model(input: &[u8], keys: &[u8]) -> (Vec<u8>, bool) {
        match input.windows(keys.len()).position(|window| window == keys) {
            Some(at) => (input[..at].to_vec(), true),
            None => (input.to_vec(), false),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn it_finds_what_a_search_of_the_whole_input_finds(
            keys in vec(b'a'..b'd', 1..5),
            input in vec(b'a'..b'd', 0..60),
            size in 1_usize..8,
        ) {
            let mut scanner = Scanner::new(&DetachKeys { keys: keys.clone(), text: String::new() });
            let (mut passed, mut detached) = (Vec::new(), false);
            for piece in input.chunks(size) {
                let scanned = scanner.feed(piece);
                passed.extend(scanned.pass);
                detached = scanned.detached;
                if detached {
                    break;
                }
            }
            if !detached {
                passed.extend(scanner.finish());
            }
            prop_assert_eq!((passed, detached), model(&input, &keys));
        }
    }
}
