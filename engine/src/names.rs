//! Names for containers whose users gave none: an adjective and somebody who moved the field.

const ADJECTIVES: [&str; 64] = [
    "able", "agile", "amber", "ample", "azure", "balmy", "blithe", "bold", "brisk", "bright",
    "calm", "candid", "clever", "cosmic", "cozy", "crisp", "dapper", "daring", "deft", "eager",
    "earnest", "fair", "fleet", "fond", "frank", "gentle", "glad", "golden", "grand", "handy",
    "hardy", "hearty", "honest", "humble", "jolly", "keen", "kind", "lively", "loyal", "lucid",
    "lucky", "mellow", "merry", "mighty", "neat", "nimble", "noble", "patient", "placid", "plucky",
    "polite", "proud", "quick", "quiet", "robust", "sage", "serene", "sharp", "steady", "sunny",
    "tidy", "vivid", "warm", "witty",
];

const SURNAMES: [&str; 64] = [
    "adleman",
    "aiken",
    "allen",
    "amdahl",
    "antonelli",
    "atanasoff",
    "babbage",
    "backus",
    "bartik",
    "berners",
    "boole",
    "borg",
    "brooks",
    "cerf",
    "church",
    "clarke",
    "codd",
    "conway",
    "cray",
    "dijkstra",
    "diffie",
    "eckert",
    "engelbart",
    "estrin",
    "feinler",
    "floyd",
    "forsythe",
    "gray",
    "hamming",
    "hamilton",
    "hellman",
    "hoare",
    "hollerith",
    "holberton",
    "hopper",
    "huffman",
    "iverson",
    "kahn",
    "kay",
    "kilburn",
    "kleinrock",
    "knuth",
    "lamarr",
    "lampson",
    "liskov",
    "lovelace",
    "mauchly",
    "mccarthy",
    "meltzer",
    "milner",
    "minsky",
    "naur",
    "newell",
    "perlis",
    "perlman",
    "postel",
    "ritchie",
    "shannon",
    "sutherland",
    "thompson",
    "turing",
    "wilkes",
    "wirth",
    "zuse",
];

/// One of 4096 names; from the second attempt on with a digit, as others may be taken.
pub(crate) fn generate(attempt: u32) -> Result<String, rustix::io::Errno> {
    let mut bytes = [0; 3];
    crate::random::fill(&mut bytes)?;
    let [a, s, digit] = bytes.map(usize::from);
    let name = format!(
        "{}_{}",
        ADJECTIVES[a % ADJECTIVES.len()],
        SURNAMES[s % SURNAMES.len()]
    );
    Ok(match attempt {
        0 => name,
        _ => format!("{name}{}", digit % 10),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ContainerName;

    #[test]
    fn every_name_is_a_container_name_and_no_word_comes_twice() {
        for words in [ADJECTIVES, SURNAMES] {
            assert_eq!(
                words
                    .iter()
                    .collect::<std::collections::BTreeSet<_>>()
                    .len(),
                64
            );
        }
        for attempt in 0..3 {
            assert!(generate(attempt).unwrap().parse::<ContainerName>().is_ok());
        }
    }
}
