//! Which files are left alone by their name, and why.

/// Why a file is left alone. Files that a glob names are followed whatever they are called,
/// except compressed ones.
pub(crate) fn compressed(name: &str) -> Option<&'static str> {
    let endings = [
        ".gz", ".xz", ".bz2", ".zst", ".lz4", ".lzma", ".Z", ".zip", ".7z", ".tar", ".tgz", ".txz",
    ];
    endings
        .iter()
        .any(|ending| name.ends_with(ending))
        .then_some("compressed")
}

/// Why a file in a folder of text logs is left alone.
pub(crate) fn not_a_text_log(name: &str) -> Option<&'static str> {
    compressed(name)
        .or_else(|| binary(name))
        .or_else(|| rotated(name).then_some("rotated before"))
        .or_else(|| temporary(name).then_some("hidden or temporary"))
}

fn binary(name: &str) -> Option<&'static str> {
    let known = ["wtmp", "btmp", "utmp", "lastlog", "faillog", "tallylog"];
    let endings = [".journal", ".journal~", ".db", ".sqlite", ".dat", ".bin"];
    (known.contains(&name) || endings.iter().any(|ending| name.ends_with(ending)))
        .then_some("binary")
}

pub(crate) fn temporary(name: &str) -> bool {
    let endings = ["~", ".swp", ".tmp"];
    name.starts_with('.') || endings.iter().any(|ending| name.ends_with(ending))
}

/// `syslog.1`, `messages-20240102`, `app.log.2024-01-02`, `app.log.old`.
fn rotated(name: &str) -> bool {
    let endings = [".old", ".bak"];
    if endings.iter().any(|ending| name.ends_with(ending)) {
        return true;
    }
    let Some((_, ending)) = name.rsplit_once(['.', '-']) else {
        return false;
    };
    let digits = ending.bytes().all(|byte| byte.is_ascii_digit()) && !ending.is_empty();
    // `postgresql-15-main.log` is live; `x.log-20240102` and `x.1` are not.
    let dated = ending.len() >= 6;
    let numbered = ending.len() <= 3
        && name.len() > ending.len() + 1
        && name.as_bytes().get(name.len() - ending.len() - 1) == Some(&b'.');
    let day_of_date = name
        .as_bytes()
        .get(name.len().saturating_sub(10)..)
        .is_some_and(is_date);
    (digits && (dated || numbered)) || day_of_date
}

/// `2024-01-02`.
fn is_date(text: &[u8]) -> bool {
    text.len() == 10
        && text.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_text_logs_are_told_from_the_rest() {
        let check = |name: &str, expected| assert_eq!(not_a_text_log(name), expected, "{name}");
        for live in [
            "syslog",
            "auth.log",
            "dpkg.log",
            "postgresql-15-main.log",
            "messages",
            "app-2.log",
            "catalina.out",
            "kern.log",
            "history.log",
            "node-3",
        ] {
            check(live, None);
        }
        for name in [
            "syslog.1",
            "auth.log.12",
            "messages-20240102",
            "app.log.2024-01-02",
            "x.log.old",
            "0.log.20260101-000000",
        ] {
            check(name, Some("rotated before"));
        }
        for name in ["syslog.2.gz", "eipp.log.xz", "a.tar"] {
            check(name, Some("compressed"));
        }
        for name in ["wtmp", "lastlog", "system.journal"] {
            check(name, Some("binary"));
        }
        for name in [".hidden", "a.log~", ".a.log.swp"] {
            check(name, Some("hidden or temporary"));
        }
    }
}
