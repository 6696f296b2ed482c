//! Text of others' in a terminal: what of it is shown, and what would be obeyed.

/// Leaves out every control character and sequence but tabs and, if wanted, colours.
pub fn harmless(text: &str, with_colours: bool) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    let mut coloured = false;
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => match characters.next() {
                Some('[') => {
                    let sequence = control_sequence(&mut characters);
                    if with_colours && sequence.ends_with('m') {
                        clean.push_str("\u{1b}[");
                        clean.push_str(&sequence);
                        coloured = true;
                    }
                }
                // Titles, links and the like, up to their terminator.
                Some(']' | 'P' | '_' | '^' | 'X') => skip_string(&mut characters),
                _ => {}
            },
            '\t' => clean.push('\t'),
            character if character.is_control() => {}
            character => clean.push(character),
        }
    }
    if coloured {
        clean.push_str("\u{1b}[0m");
    }
    clean
}

fn control_sequence(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut sequence = String::new();
    for character in characters.by_ref() {
        sequence.push(character);
        if ('\u{40}'..='\u{7e}').contains(&character) {
            return sequence;
        }
    }
    String::new()
}

fn skip_string(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(character) = characters.next() {
        if character == '\u{7}' {
            return;
        }
        if character == '\u{1b}' {
            characters.next_if_eq(&'\\');
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_colours_and_tabs_reach_the_terminal() {
        let text =
            "a\u{1b}[31mred\u{1b}[2J\u{1b}]0;title\u{7}\u{1b}]8;;x\u{1b}\\b\tc\rd\u{8}\u{9b}1m\u{1b}c\u{1b}[";
        assert_eq!(harmless(text, true), "a\u{1b}[31mredb\tcd1m\u{1b}[0m");
        assert_eq!(harmless(text, false), "aredb\tcd1m");
    }
}
