//! What changes from one text to another, line by line.

/// Lines that only the old text has, marked `-`, and that only the new one has, marked `+`, in
/// their order. The shortest such list there is.
pub(crate) fn changes(old: &str, new: &str) -> Vec<String> {
    let old: Vec<&str> = old.lines().collect();
    let new: Vec<&str> = new.lines().collect();
    let common = common(&old, &new);
    let mut changes = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            changes.push(format!("-{}", old[i]));
            i += 1;
        } else {
            changes.push(format!("+{}", new[j]));
            j += 1;
        }
    }
    changes
}

/// How many lines the texts have in common, in order, from each pair of places on.
fn common(old: &[&str], new: &[&str]) -> Vec<Vec<usize>> {
    let mut table = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            table[i][j] = if old[i] == new[j] {
                table[i + 1][j + 1] + 1
            } else {
                table[i + 1][j].max(table[i][j + 1])
            };
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_listed() {
        for (old, new, expected) in [
            ("a\nb\n", "a\nb\n", &[][..]),
            ("a\nb\nc\n", "a\nc\n", &["-b"]),
            ("a\nc\n", "a\nb\nc\n", &["+b"]),
            ("a\nb\nc\n", "a\nx\nc\n", &["-b", "+x"]),
            ("", "a\n", &["+a"]),
            ("a\nb\n", "", &["-a", "-b"]),
        ] {
            assert_eq!(changes(old, new), expected, "{old:?} {new:?}");
        }
    }
}
