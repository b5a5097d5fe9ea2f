//! Errors of the API in words: the library's own leave out causes, or show the
//! insides of a status.

use std::error::Error;

use kube::core::Status;
use kube::runtime::watcher;

/// An error with all its causes, in one line.
pub fn explain(error: &(dyn Error + 'static)) -> String {
    let mut told = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let words = words(error);
        if !told.contains(&words.text) {
            if !told.is_empty() {
                told.push_str(": ");
            }
            told.push_str(&words.text);
        }
        next = error.source().filter(|_| !words.last);
    }
    told
}

/// What one error of a chain says, beside its causes.
struct Words {
    text: String,
    /// Its causes say nothing more.
    last: bool,
}

fn words(error: &(dyn Error + 'static)) -> Words {
    let more = |text: &str| Words {
        text: text.to_owned(),
        last: false,
    };
    if let Some(error) = error.downcast_ref::<kube::Error>() {
        return match error {
            kube::Error::Api(status) => answer(status),
            kube::Error::Service(_) | kube::Error::HyperError(_) => more("no answer"),
            other => more(&other.to_string()),
        };
    }
    match error.downcast_ref::<watcher::Error>() {
        Some(watcher::Error::WatchError(status)) => answer(status),
        Some(watcher::Error::InitialListFailed(_)) => more("cannot list"),
        Some(watcher::Error::WatchStartFailed(_)) => more("cannot watch"),
        Some(watcher::Error::WatchFailed(_)) => more("the watch broke off"),
        Some(watcher::Error::NoResourceVersion) | None => more(&error.to_string()),
    }
}

/// What the API server answered.
fn answer(status: &Status) -> Words {
    let text = match status.message.as_str() {
        "" => format!("the API server answered {} {}", status.code, status.reason),
        message => message.trim_end().to_owned(),
    };
    Words { text, last: true }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn refused() -> Status {
        Status {
            code: 404,
            message: "404 page not found\n".to_owned(),
            reason: "Failed to parse error data".to_owned(),
            ..Status::default()
        }
    }

    #[test]
    fn an_answer_is_told_in_the_words_of_the_server() {
        let error = kube::Error::Api(Box::new(refused()));
        assert_eq!(explain(&error), "404 page not found");
        let error = watcher::Error::InitialListFailed(error);
        assert_eq!(explain(&error), "cannot list: 404 page not found");
    }

    #[test]
    fn a_server_that_is_away_is_told_with_the_cause() {
        let cause = io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused");
        let error = kube::Error::Service(Box::new(cause));
        assert_eq!(explain(&error), "no answer: connection refused");
    }

    #[test]
    fn nothing_is_told_twice() {
        let error = anyhow::anyhow!("refused").context("it was refused");
        assert_eq!(explain(error.as_ref()), "it was refused");
    }
}
