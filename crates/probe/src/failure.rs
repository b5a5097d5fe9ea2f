//! What went wrong with a probe, in plain words.

use std::error::Error;
use std::io;
use std::io::ErrorKind;
use std::time::Duration;

use watershed_health::Outcome;

/// Octets of a message, at most.
const MESSAGE: usize = 256;

/// Why a probe did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// The word for metrics.
    pub(crate) kind: &'static str,
    /// What people read.
    pub(crate) message: String,
}

impl Failed {
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// What an error says whose causes may be known.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(found) = cause {
            if let Some(tls) = found.downcast_ref::<rustls::Error>() {
                return Self::new("tls", format!("TLS: {tls}"));
            }
            if let Some(io) = found.downcast_ref::<io::Error>() {
                return Self::io(io);
            }
            if let Some(http) = found.downcast_ref::<hyper::Error>()
                && let Some(failed) = http_error(http)
            {
                return failed;
            }
            cause = found.source();
        }
        Self::new("protocol", words(error))
    }

    /// What an error of the network means.
    pub(crate) fn io(error: &io::Error) -> Self {
        if let Some(tls) = error
            .get_ref()
            .and_then(|e| e.downcast_ref::<rustls::Error>())
        {
            return Self::new("tls", format!("TLS: {tls}"));
        }
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::new("refused", "connection refused"),
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
                Self::new("reset", "connection reset")
            }
            ErrorKind::UnexpectedEof => Self::closed(),
            ErrorKind::TimedOut => Self::new("timeout", "connection timed out"),
            ErrorKind::HostUnreachable => Self::new("unreachable", "host unreachable"),
            ErrorKind::NetworkUnreachable => Self::new("unreachable", "network unreachable"),
            _ => Self::new("unreachable", error.to_string()),
        }
    }

    /// The peer ended the connection before the answer was whole.
    pub(crate) fn closed() -> Self {
        Self::new("reset", "connection closed before the answer was whole")
    }

    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::new("protocol", message)
    }

    /// A forbidden target says nothing about its health; everything else is a
    /// failure.
    pub(crate) fn finding(self) -> Finding {
        let outcome = if self.kind == "forbidden" {
            Outcome::Nothing(self.message)
        } else {
            Outcome::Failure(self.message)
        };
        Finding {
            outcome,
            kind: self.kind,
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::io(&error)
    }
}

impl From<hyper::Error> for Failed {
    fn from(error: hyper::Error) -> Self {
        Self::of(&error)
    }
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) outcome: Outcome,
    pub(crate) kind: &'static str,
}

impl Finding {
    pub(crate) fn passed(message: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Success(message.into()),
            kind: "ok",
        }
    }

    /// The same with a message that is fit to be shown.
    pub(crate) fn tidy(self) -> Self {
        let outcome = match self.outcome {
            Outcome::Success(message) => Outcome::Success(tidy(&message)),
            Outcome::Failure(message) => Outcome::Failure(tidy(&message)),
            Outcome::Nothing(message) => Outcome::Nothing(tidy(&message)),
        };
        Self { outcome, ..self }
    }
}

/// What hyper itself found, where no cause below says it better.
fn http_error(error: &hyper::Error) -> Option<Failed> {
    if error.is_parse_too_large() {
        return Some(Failed::protocol("the header is larger than 16384 octets"));
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return Some(Failed::closed());
    }
    error
        .is_parse()
        .then(|| Failed::protocol(format!("not an HTTP answer: {}", words(error))))
}

/// An error with its causes.
pub(crate) fn words(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(found) = cause {
        let more = found.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = found.source();
    }
    text
}

/// A duration as people say it: `4 s`, `1.5 s`, `250 ms`.
pub(crate) fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return format!("{} ms", duration.as_millis());
    }
    format!("{} s", duration.as_secs_f64())
}

/// At most 256 octets, without characters that do something to a terminal:
/// peers choose much of it.
pub(crate) fn tidy(message: &str) -> String {
    let mut text = String::with_capacity(message.len().min(MESSAGE));
    for character in message.chars() {
        let length = text.len();
        if is_plain(character) {
            text.push(character);
        } else {
            text.extend(character.escape_default());
        }
        if text.len() > MESSAGE {
            text.truncate(length);
            make_room(&mut text);
            text.push('…');
            break;
        }
    }
    text
}

/// Leaves room for the sign that says that there was more.
fn make_room(text: &mut String) {
    while text.len() + '…'.len_utf8() > MESSAGE {
        text.pop();
    }
}

/// Neither control nor invisible nor changing the direction of writing.
fn is_plain(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_short_and_without_control_characters() {
        assert_eq!(tidy("HTTP 200"), "HTTP 200");
        assert_eq!(tidy("a\u{1b}[31mb\r\n"), "a\\u{1b}[31mb\\r\\n");
        assert_eq!(tidy("\u{202e}x"), "\\u{202e}x");
        let long = tidy(&"ä".repeat(400));
        assert!(
            long.len() <= MESSAGE && long.ends_with('…'),
            "{}",
            long.len()
        );
        assert!(tidy(&"\n".repeat(400)).len() <= MESSAGE);
        assert_eq!(tidy(&"x".repeat(256)), "x".repeat(256));
    }

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(seconds(Duration::from_secs(4)), "4 s");
        assert_eq!(seconds(Duration::from_millis(1500)), "1.5 s");
        assert_eq!(seconds(Duration::from_millis(250)), "250 ms");
    }
}
