//! `Range` of a download and `Content-Range` of an upload's chunk. Pure.

/// Bytes `start..=end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Span {
    pub(crate) fn length(&self) -> u64 {
        self.end - self.start + 1
    }
}

/// What a `Range` header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Whole,
    Part(Span),
    Unsatisfiable,
}

/// Reads a `Range` header for a body of `size` bytes. Several ranges, and units that are not
/// bytes, may be answered with the whole.
pub(crate) fn wanted(header: &str, size: u64) -> Wanted {
    let Some(spec) = header.trim().strip_prefix("bytes=") else {
        return Wanted::Whole;
    };
    if spec.contains(',') {
        return Wanted::Whole;
    }
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Wanted::Unsatisfiable;
    };
    let last_byte = size.checked_sub(1);
    let span = match (number(first), number(last), last_byte) {
        (Some(start), Some(end), Some(most)) => Some((start, end.min(most), start <= end)),
        (Some(start), None, Some(most)) if last.is_empty() => Some((start, most, true)),
        (None, Some(count), Some(most)) if first.is_empty() => {
            Some((size.saturating_sub(count), most, count > 0))
        }
        _ => None,
    };
    match span {
        Some((start, end, true)) if start <= end => Wanted::Part(Span { start, end }),
        _ => Wanted::Unsatisfiable,
    }
}

/// Reads the `Content-Range` of a chunk: `0-99`, and with HTTP's own `bytes 0-99/200` too.
pub(crate) fn chunk(header: &str) -> Option<Span> {
    let text = header.trim();
    let text = text.strip_prefix("bytes").map_or(text, str::trim_start);
    let text = text.strip_prefix('=').unwrap_or(text);
    let text = text.split('/').next()?;
    let (start, end) = text.split_once('-')?;
    let (start, end) = (number(start)?, number(end)?);
    // Its length must be a number too.
    (start <= end && end < u64::MAX).then_some(Span { start, end })
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_cut_to_the_body() {
        let part = |start, end| Wanted::Part(Span { start, end });
        let check = |header: &str, expected| assert_eq!(wanted(header, 1000), expected, "{header}");
        check("bytes=0-0", part(0, 0));
        check("bytes=500-1499", part(500, 999));
        check("bytes=500-", part(500, 999));
        check("bytes=-500", part(500, 999));
        check("bytes=-5000", part(0, 999));
        check("bytes=0-1,5-6", Wanted::Whole);
        check("lines=0-1", Wanted::Whole);
        for bad in [
            "500-0",
            "1000-",
            "1000-1001",
            "-0",
            "-",
            "x-y",
            "5",
            "+1-2",
            "",
        ] {
            check(&format!("bytes={bad}"), Wanted::Unsatisfiable);
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Unsatisfiable);
        assert_eq!(
            wanted("bytes=99999999999999999999-", 9),
            Wanted::Unsatisfiable
        );
    }

    #[test]
    fn chunks_say_where_they_belong() {
        let span = |start, end| Some(Span { start, end });
        assert_eq!(chunk("0-99"), span(0, 99));
        assert_eq!(chunk("bytes 100-199/1000"), span(100, 199));
        assert_eq!(chunk("bytes=1-1"), span(1, 1));
        for bad in ["", "-", "5-", "-5", "9-5", "a-b", "0-18446744073709551615"] {
            assert_eq!(chunk(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_part_is_always_inside(header in "bytes=[0-9]{0,21}-[0-9]{0,21}", size: u64) {
            if let Wanted::Part(span) = wanted(&header, size) {
                prop_assert!(span.start <= span.end && span.end < size);
            }
            let _ = chunk(&header);
        }
    }
}
