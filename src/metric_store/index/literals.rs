//! Regular expressions that are only a list of words: `a`, `a|b|c`, `(a|b)`, `10\.0\.0\.1`. Most
//! regex matchers of dashboards are (a variable with several values), and a word is looked up
//! rather than matched against every value.

/// More words than this are matched as a regular expression.
const WORDS_MAX: usize = 10_000;

/// The words, or `None` where the expression is more than words.
pub(crate) fn words(pattern: &str) -> Option<Vec<String>> {
    let inner = pattern
        .strip_prefix("(?:")
        .or_else(|| pattern.strip_prefix('('))
        .and_then(|p| p.strip_suffix(')'))
        // `\)` at the end is a bracket to match, not the group's end.
        .filter(|p| !p.ends_with('\\'))
        .unwrap_or(pattern);
    let mut words = vec![String::new()];
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let literal = match c {
            '|' => {
                if words.len() >= WORDS_MAX {
                    return None;
                }
                words.push(String::new());
                continue;
            }
            '\\' => chars.next().filter(char::is_ascii_punctuation)?,
            '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            c => c,
        };
        words.last_mut()?.push(literal);
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use model::{MatchOp, Matcher};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tells_words_from_expressions() {
        let check = |pattern: &str, expected: Option<&[&str]>| {
            let expected = expected.map(|w| w.iter().map(|s| (*s).to_owned()).collect());
            assert_eq!(words(pattern), expected, "{pattern}");
        };
        check("a", Some(&["a"]));
        check("a|b|", Some(&["a", "b", ""]));
        check("", Some(&[""]));
        check("(a|b)", Some(&["a", "b"]));
        check("(?:a|b)", Some(&["a", "b"]));
        check(r"10\.0\.0\.1", Some(&["10.0.0.1"]));
        check(r"a\-b", Some(&["a-b"]));
        check(r"(a\)", None);
        check("(a)|(b)", None);
        check("(?i)a", None);
        check("a.*", None);
        check(r"\d", None);
        check("a{2}", None);
    }

    proptest! {
        #[test]
        fn words_mean_what_the_expression_means(
            pattern in r"(\(|\(\?:)?[ab\\.|-]{0,8}\)?",
            value in "[ab.|-]{0,4}",
        ) {
            if let (Some(words), Ok(matcher)) =
                (words(&pattern), Matcher::new("l", MatchOp::Regex, pattern.as_str()))
            {
                prop_assert_eq!(words.contains(&value), matcher.matches(&value));
            }
        }
    }
}
