//! How far back a search looks that is asked again and again, as alert rules are: `… [10m]`.

/// Cuts the time to look back off the end of a search: the search, and nanoseconds above 0.
pub fn look_back(text: &str) -> Option<(&str, i64)> {
    let (query, window) = text.trim().strip_suffix(']')?.rsplit_once('[')?;
    let window = model::duration::parse(window.trim()).ok()?;
    let window_ns = i64::try_from(window.as_nanos()).ok()?;
    Some((query.trim_end(), window_ns)).filter(|(_, ns)| *ns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_stands_at_the_end() {
        let minutes = |n: i64| n * 60_000_000_000;
        assert_eq!(look_back("a b [10m]"), Some(("a b", minutes(10))));
        assert_eq!(look_back(" a:[1] [1h] "), Some(("a:[1]", minutes(60))));
        assert_eq!(look_back("[1m]"), Some(("", minutes(1))));
        for text in ["", "a", "a [x]", "a [0s]", "a [5m] b"] {
            assert_eq!(look_back(text), None, "{text}");
        }
    }
}
