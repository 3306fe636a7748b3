//! Words of a Dockerfile instruction's arguments: quotes, backslashes and `$VARIABLE`.

use crate::config::RunConfig;

/// Why a text cannot be split into words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    #[error("unexpected end of statement while looking for matching {0}")]
    OpenQuote(char),
    #[error("syntax error: missing '}}' or a name in a ${{…}} expression")]
    Variable,
    #[error("unsupported modifier in ${{{0}}}: write the value out")]
    Modifier(String),
}

/// Splits at blanks; quotes and backslashes are taken off, variables of `config` put in.
pub(crate) fn split(text: &str, config: &RunConfig) -> Result<Vec<String>, WordError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match c {
            '\'' => loop {
                match chars.next().ok_or(WordError::OpenQuote('\''))? {
                    '\'' => break,
                    c => word.push(c),
                }
            },
            '"' => loop {
                match chars.next().ok_or(WordError::OpenQuote('"'))? {
                    '"' => break,
                    '$' => word.push_str(&variable(&mut chars, config)?),
                    '\\' => match chars.next() {
                        Some(c @ ('"' | '\\' | '$')) => word.push(c),
                        Some(c) => word.extend(['\\', c]),
                        None => return Err(WordError::OpenQuote('"')),
                    },
                    c => word.push(c),
                }
            },
            '$' => word.push_str(&variable(&mut chars, config)?),
            '\\' => word.extend(chars.next()),
            c => word.push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// The value of the variable whose name follows; unset ones are empty.
fn variable(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    config: &RunConfig,
) -> Result<String, WordError> {
    let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let mut name = String::new();
    if chars.next_if_eq(&'{').is_some() {
        loop {
            match chars.next().ok_or(WordError::Variable)? {
                '}' => break,
                c => name.push(c),
            }
        }
        if name.is_empty() {
            return Err(WordError::Variable);
        }
        if !name.chars().all(|c| is_name(&c)) {
            return Err(WordError::Modifier(name));
        }
    } else {
        while let Some(c) = chars.next_if(is_name) {
            name.push(c);
        }
        if name.is_empty() {
            return Ok("$".to_owned());
        }
    }
    let values = config.env.iter().flatten();
    let mut values = values.filter_map(|entry| entry.split_once('='));
    let value = values.find(|(key, _)| *key == name);
    Ok(value.map(|(_, value)| value.to_owned()).unwrap_or_default())
}
