//! Aligned columns, as Go's `tabwriter` lays them out for Docker: every cell but the last of
//! a line is padded to the widest of its column plus three, and to a least width.

/// The least width of a list's columns.
pub(crate) const LIST: usize = 10;
const PADDING: usize = 3;

/// Lays out lines whose cells are separated by tabs.
pub(crate) fn align(text: &str, least: usize) -> String {
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let mut widths: Vec<usize> = Vec::new();
    for line in &lines {
        for (column, cell) in line[..line.len().saturating_sub(1)].iter().enumerate() {
            let width = (cell.chars().count() + PADDING).max(least);
            match widths.get_mut(column) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut out = String::new();
    for line in &lines {
        for (column, cell) in line.iter().enumerate() {
            out.push_str(cell);
            if column + 1 < line.len() {
                let gap = widths[column].saturating_sub(cell.chars().count());
                out.extend(std::iter::repeat_n(' ', gap));
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_columns_are_ten_wide_and_the_last_is_bare() {
        let rows = "CONTAINER ID\tPORTS\tNAMES\nef8146078f91\t\tw1\n";
        let expected = "CONTAINER ID   PORTS     NAMES\nef8146078f91             w1\n";
        assert_eq!(align(rows, LIST), expected);
    }

    #[test]
    fn width_counts_characters_not_bytes() {
        assert_eq!(
            align("\"/entrypoint.sh /etc…\"\tx\n", LIST),
            "\"/entrypoint.sh /etc…\"   x\n"
        );
    }
}
