//! Syslog over UDP and TCP: RFC 5424 (the structured one) and RFC 3164 (what everybody sent
//! before and many still do).
//!
//! Labels are `host` (as the message says, else the sender's address), `app` and `facility`. The
//! line is the message; a process number, message id and structured data become its fields.

mod frames;
mod listen;
mod message;

use std::net::IpAddr;

use jiff::tz::TimeZone;
use model::LabelsBuilder;

use crate::fields::write_with_fields;
use crate::{Push, Refused};

pub use listen::{Sockets, run};

/// Adds a message to a push. `zone` is that of times without one.
fn add(
    push: &mut Push,
    bytes: &[u8],
    from: Option<IpAddr>,
    zone: &TimeZone,
) -> Result<(), Refused> {
    let bytes = bytes.trim_ascii_end();
    if bytes.is_empty() {
        return Ok(());
    }
    let message = message::parse(bytes, push.now_ns, zone);
    let mut labels = LabelsBuilder::default();
    if message.host.is_empty() {
        labels.set("host", from.map_or_else(String::new, |ip| ip.to_string()));
    } else {
        labels.set("host", &*message.host);
    }
    labels.set("app", &*message.app);
    labels.set("facility", message.facility());
    let stream = match push.stream(&labels.build()) {
        Ok(stream) => stream,
        Err(Refused::Bad(why)) => {
            push.reject(1, || why);
            return Ok(());
        }
        Err(other) => return Err(other),
    };
    // rsyslog's mark for JSON in a message.
    let text = match message.text.strip_prefix(b"@cee:") {
        Some(json) if json.trim_ascii_start().starts_with(b"{") => json.trim_ascii_start(),
        _ => message.text,
    };
    let own = [("procid", &message.process), ("msgid", &message.id)];
    let own = own.iter().filter(|(_, value)| !value.is_empty());
    let own = own.map(|(name, value)| (*name, &***value));
    let data = message.data.iter().map(|(name, value)| (&**name, &**value));
    write_with_fields(push.text(), text, own.chain(data));
    push.end_line(stream, message.time_ns, Some(message.level()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Protocol;
    use crate::push::tests::{push, shown};

    fn line(message: &str) -> String {
        let mut push = push(Protocol::SyslogUdp);
        let from = Some(IpAddr::from([10, 0, 0, 5]));
        add(&mut push, message.as_bytes(), from, &TimeZone::UTC).expect("added");
        shown(&push).join("|")
    }

    #[test]
    fn messages_of_both_kinds() {
        let check = |message: &str, expected: &str| assert_eq!(line(message), expected);
        // RFC 5424, section 6.5, with newer times.
        check(
            "<34>1 2026-03-01T10:00:01.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed for lonvick on /dev/pts/8",
            r#"{app="su", facility="auth", host="mymachine.example.com"} 1.003 fatal {"message":"'su root' failed for lonvick on /dev/pts/8","msgid":"ID47"}"#,
        );
        check(
            r#"<165>1 2026-03-01T10:00:00Z h evntslog 12 ID47 [exampleSDID@32473 iut="3" eventSource="A\"pp"][x@1] An event"#,
            r#"{app="evntslog", facility="local4", host="h"} 0 info {"message":"An event","procid":"12","msgid":"ID47","exampleSDID@32473.iut":"3","exampleSDID@32473.eventSource":"A\"pp"}"#,
        );
        check(
            "<14>1 - - - - - - hello",
            r#"{facility="user", host="10.0.0.5"} 0 info hello"#,
        );
        // RFC 3164.
        check(
            "<34>Mar  1 10:00:02 mymachine su: 'su root' failed",
            r#"{app="su", facility="auth", host="mymachine"} 2 fatal 'su root' failed"#,
        );
        check(
            "<13>Mar 01 10:00:02 h sshd[42]: level=info it works",
            r#"{app="sshd", facility="user", host="h"} 2 info level=info it works procid=42"#,
        );
        // Without a host, as /dev/log has it; with an RFC 3339 time, as rsyslog forwards.
        check(
            "<30>Mar  1 10:00:02 cron[7]: job",
            r#"{app="cron", facility="daemon", host="10.0.0.5"} 2 info {"message":"job","procid":"7"}"#,
        );
        check(
            "<30>2026-03-01T11:00:02.5+01:00 h app: @cee: {\"a\":1}\n",
            r#"{app="app", facility="daemon", host="h"} 2.5 info {"a":1}"#,
        );
        // A time that would lie in the future is one of last year.
        assert!(line("<13>Dec 31 23:59:59 h a: x").contains("-5133601 info x"));
        // What is no syslog at all is kept as it is.
        check(
            "hello world",
            r#"{facility="user", host="10.0.0.5"} 0 info hello world"#,
        );
        check(
            "<999>x",
            r#"{facility="user", host="10.0.0.5"} 0 info <999>x"#,
        );
        check("\n", "");
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let mut push = push(Protocol::SyslogUdp);
            let _ = add(&mut push, &bytes, None, &TimeZone::UTC);
        }

        #[test]
        fn nearly_messages_never_panic(
            text in "<[0-9]{1,3}>(1 )?[-A-Za-z0-9:. +T]{0,40}( [-\\[\\]=\"@a\\\\ ]{0,20}){0,5}"
        ) {
            let mut push = push(Protocol::SyslogUdp);
            add(&mut push, text.as_bytes(), None, &TimeZone::UTC).expect("added");
        }
    }
}
