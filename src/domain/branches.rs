//! Patterns of branches: `main`, `release/*`, `hotfix/**`.

/// Whether a pattern takes a branch. `*` stands for any characters of one part of the name, `**` for any characters.
pub fn matches(pattern: &str, branch: &str) -> bool {
    let pattern = tokens(pattern);
    let branch: Vec<char> = branch.chars().collect();
    // `reached[at]`: what was read of the pattern takes the first `at` characters. The cost is the two lengths
    // multiplied, whatever stands in them.
    let mut reached = vec![false; branch.len() + 1];
    reached[0] = true;
    for token in pattern {
        let mut next = vec![false; branch.len() + 1];
        match token {
            Token::Plain(character) => {
                for (at, found) in branch.iter().enumerate() {
                    next[at + 1] = reached[at] && *found == character;
                }
            }
            Token::Any { slash } => {
                for at in 0..=branch.len() {
                    let before = at > 0 && next[at - 1] && (slash || branch[at - 1] != '/');
                    next[at] = reached[at] || before;
                }
            }
        }
        reached = next;
    }
    reached[branch.len()]
}

enum Token {
    Plain(char),
    Any { slash: bool },
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut is_after_star = false;
    for character in pattern.chars() {
        match (character, tokens.last_mut()) {
            ('*', Some(Token::Any { slash })) if is_after_star => *slash = true,
            ('*', _) => tokens.push(Token::Any { slash: false }),
            (character, _) => tokens.push(Token::Plain(character)),
        }
        is_after_star = character == '*';
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_a_part_and_two_do_not() {
        for (pattern, branch) in [
            ("main", "main"),
            ("release/*", "release/1.2"),
            ("release/**", "release/1/2"),
            ("*", "main"),
            ("**", "feature/x"),
            ("v*.*", "v1.2"),
            ("*-lts", "3-lts"),
        ] {
            assert!(matches(pattern, branch), "{pattern} takes {branch}");
        }
        for (pattern, branch) in [
            ("main", "main2"),
            ("main", "xmain"),
            ("main", "Main"),
            ("release/*", "release/1/2"),
            ("release/*", "release"),
            ("*", "feature/main"),
            ("m?in", "main"),
            ("", "main"),
        ] {
            assert!(!matches(pattern, branch), "{pattern} does not take {branch}");
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let (pattern, branch) = ("*a".repeat(125), "a".repeat(249) + "b");
        assert!(!matches(&pattern, &branch));
    }
}
