//! HTML in the making. What comes from outside enters by one door, [`Html::text`], which escapes it;
//! markup is what stands in this program's own source.

use std::fmt::{Display, Write};

/// A piece of HTML, well-formed as far as its makers are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    pub(super) fn new() -> Html {
        Html::default()
    }

    /// Text alone.
    pub(super) fn of(text: impl Display) -> Html {
        let mut html = Html::new();
        html.text(text);
        html
    }

    /// Markup. A literal: nothing that was sent by anybody is `'static`.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Html {
        self.0.push_str(markup);
        self
    }

    /// Text, between tags or inside the double quotes of an attribute.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Html {
        // Writing to a string cannot fail.
        let _ = write!(Escaping(&mut self.0), "{text}");
        self
    }

    /// What was made before.
    pub(super) fn html(&mut self, part: &Html) -> &mut Html {
        self.0.push_str(&part.0);
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c if is_unfit(c) => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// Characters that HTML has no place for, and those that turn the text around them: a name must not
/// read as another.
fn is_unfit(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{feff}' => true,
        // Noncharacters.
        '\u{fdd0}'..='\u{fdef}' => true,
        c => c.is_control() || u32::from(c) & 0xfffe == 0xfffe,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a browser reads where `text` was escaped.
    fn read(html: &str) -> String {
        html.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&")
    }

    fn escaped(text: &str) -> String {
        Html::of(text).into_string()
    }

    #[test]
    fn markup_in_a_text_is_text() {
        assert_eq!(
            escaped(r#"</td><script>alert('x')</script>" onload="y"#),
            "&lt;/td&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot; onload=&quot;y"
        );
        assert_eq!(escaped("&lt;"), "&amp;lt;");
        assert_eq!(escaped("a\0\r\u{202e}b"), "a\u{fffd}\u{fffd}\u{fffd}b");
        assert_eq!(escaped("a\n\tb ä 語"), "a\n\tb ä 語");
    }

    proptest! {
        #[test]
        fn no_text_gets_out_of_its_place(text in any::<String>()) {
            let html = escaped(&text);
            prop_assert!(!html.contains(['<', '>', '"', '\'']));
            prop_assert!(html.chars().all(|c| !is_unfit(c)));
            // Every ampersand begins a reference that was made here.
            for (at, _) in html.match_indices('&') {
                let known = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
                prop_assert!(known.iter().any(|word| html[at..].starts_with(word)));
            }
        }

        #[test]
        fn a_text_is_read_as_it_was(text in any::<String>()) {
            let plain: String = text
                .chars()
                .map(|c| if is_unfit(c) { '\u{fffd}' } else { c })
                .collect();
            prop_assert_eq!(read(&escaped(&text)), plain);
        }
    }
}
