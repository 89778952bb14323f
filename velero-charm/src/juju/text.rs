//! What a text has to be to be shown by Juju.

/// Stands for what was cut.
const CUT: &str = " … ";

/// On one line.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    printable(&words.join(" "))
}

/// Without characters that a terminal obeys instead of showing them: a store's message may hold any.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| {
        if is_obeyed(c) {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

/// At most this many bytes of the text, its beginning and its end.
pub(super) fn cut(text: &str, longest: usize) -> std::borrow::Cow<'_, str> {
    if text.len() <= longest {
        return text.into();
    }
    let room = longest.saturating_sub(CUT.len());
    let head = text.floor_char_boundary(room / 2);
    let tail = text.ceil_char_boundary(text.len() - (room - room / 2));
    let part = |range| text.get(range).unwrap_or_default();
    format!("{}{CUT}{}", part(0..head), part(tail..text.len())).into()
}

fn is_obeyed(c: char) -> bool {
    let is_layout = matches!(c, '\n' | '\t');
    // Directions, joiners and other characters without a shape, which can make a text read as another.
    let is_shapeless = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    (c.is_control() && !is_layout) || is_shapeless
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end() {
        let text = format!("first {} last", "ä".repeat(1000));
        let short = cut(&text, 100);

        assert!(short.len() <= 100 && short.len() >= 95, "{short}");
        assert!(
            short.starts_with("first ä") && short.ends_with("ä last"),
            "{short}"
        );
        assert_eq!(one_line("one\n two"), "one two");
    }

    #[test]
    fn characters_that_a_terminal_obeys_are_replaced() {
        assert_eq!(printable("one\r\ntwo"), "one\ntwo");
        let odd = "a\u{1b}[31mb\u{202e}c\u{200b}d\re\u{9b}f\0";
        assert_eq!(printable(odd), "a�[31mb�c�d�e�f�");
        assert_eq!(printable("grün\n\tß 漢"), "grün\n\tß 漢");
    }
}
