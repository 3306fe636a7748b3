//! `lower`, `upper` and `title`: letter by letter, so that none becomes two.

pub(super) fn upper(text: &str) -> String {
    text.chars().map(upper_of).collect()
}

pub(super) fn lower(text: &str) -> String {
    let lower_of = |c: char| match c {
        'İ' => 'i',
        c => alone(c.to_lowercase(), c),
    };
    text.chars().map(lower_of).collect()
}

/// The first letter of each word, as it stands before small ones.
pub(super) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        out.push(match c {
            c if in_word => c,
            'Ǆ' | 'ǆ' => 'ǅ',
            'Ǉ' | 'ǉ' => 'ǈ',
            'Ǌ' | 'ǌ' => 'ǋ',
            'Ǳ' | 'ǳ' => 'ǲ',
            c => upper_of(c),
        });
        // All of ASCII but these parts words; beyond it, white space does.
        in_word = match c.is_ascii() {
            true => c.is_ascii_alphanumeric() || c == '_',
            false => !c.is_whitespace(),
        };
    }
    out
}

fn upper_of(c: char) -> char {
    alone(c.to_uppercase(), c)
}

/// What a letter turns into, if that is one letter.
fn alone(mut turned: impl Iterator<Item = char>, from: char) -> char {
    match (turned.next(), turned.next()) {
        (Some(one), None) => one,
        _ => from,
    }
}
