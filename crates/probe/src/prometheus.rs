//! A query of Prometheus that gives one number.

use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http::{HeaderValue, Response, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use watershed_health::{Address, MissingData, Outcome, PrometheusProbe, TlsOptions};

use crate::client::Client;
use crate::failure::{Failed, Finding};
use crate::http::{exchange, get, header, open};
use crate::trace::{Stage, Trace};

/// Octets of an answer, at most.
const ANSWER: usize = 256 * 1024;

/// Asks, and holds the number against the limits.
pub(crate) async fn probe(
    client: &Client,
    probe: &PrometheusProbe,
    trace: &mut Trace,
) -> Result<Finding, Failed> {
    let server = Server::parse(&probe.url)?;
    let query = utf8_percent_encode(&probe.query, NON_ALPHANUMERIC);
    let mut request = get(&format!("{}/api/v1/query?query={query}", server.path))?;
    let headers = request.headers_mut();
    headers.insert(HOST, header("Host", &server.authority)?);
    headers.insert(USER_AGENT, client.user_agent.clone());
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let tls = server.tls.as_ref();
    let stream = open(client, &server.address, server.port, tls, trace).await?;
    trace.stage = Stage::Answer;
    let answer = exchange(stream, request, |response| {
        trace.stage = Stage::Body;
        read(response)
    });
    judge(probe, number(&answer.await?)?)
}

/// What it means that there is no number: a server that cannot be asked says
/// as little as a query without a result.
pub(crate) fn missing(probe: &PrometheusProbe, failed: Failed) -> Finding {
    if failed.kind == "out-of-range" || failed.kind == "forbidden" {
        return failed.finding();
    }
    let message = failed.message;
    Finding {
        kind: failed.kind,
        outcome: match probe.on_missing {
            MissingData::KeepLast => Outcome::Nothing(message),
            MissingData::Healthy => Outcome::Success(format!("{message}; healthy without data")),
            MissingData::Unhealthy => Outcome::Failure(message),
        },
    }
}

/// Where the server is.
struct Server {
    address: Address,
    authority: String,
    port: u16,
    path: String,
    tls: Option<TlsOptions>,
}

impl Server {
    fn parse(url: &str) -> Result<Self, Failed> {
        let bad = |why: &str| Failed::protocol(format!("{url} is not the URL of a server: {why}"));
        let uri: Uri = url
            .parse()
            .map_err(|error: http::uri::InvalidUri| bad(&error.to_string()))?;
        let verified = TlsOptions {
            server_name: None,
            verify: true,
        };
        let (tls, own_port) = match uri.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => (Some(verified), 443),
            _ => return Err(bad("it must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("it holds a user name"));
        }
        let host = authority.host();
        Ok(Self {
            address: Address::parse(host.trim_start_matches('[').trim_end_matches(']')),
            authority: authority.to_string(),
            port: authority.port_u16().unwrap_or(own_port),
            path: uri.path().trim_end_matches('/').to_owned(),
            tls,
        })
    }
}

async fn read(response: Response<Incoming>) -> Result<Value, Failed> {
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER)
        .collect()
        .await
        .map_err(|error| Failed::of(error.as_ref()))?
        .to_bytes();
    let answer: Option<Value> = serde_json::from_slice(&body).ok();
    if !status.is_success() {
        let why = answer.as_ref().and_then(|a| a.get("error")?.as_str());
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let message = format!("Prometheus: HTTP {}{why}", status.as_u16());
        return Err(Failed::new("status", message));
    }
    answer.ok_or_else(|| Failed::protocol("Prometheus: the answer is not JSON"))
}

/// The one number of an answer: a scalar, or a vector of one element.
fn number(answer: &Value) -> Result<f64, Failed> {
    let missing = |message: String| Failed::new("missing", message);
    let data = answer.get("data").unwrap_or(&Value::Null);
    let result = data.get("result").unwrap_or(&Value::Null);
    let sample = match data.get("resultType").and_then(Value::as_str) {
        Some("scalar") => result,
        Some("vector") => match result.as_array().map(Vec::as_slice) {
            Some([]) => return Err(missing("the query gives no value".to_owned())),
            Some([one]) => one.get("value").unwrap_or(&Value::Null),
            many => {
                let count = many.map_or(0, <[_]>::len);
                return Err(missing(format!(
                    "the query gives {count} values where one is needed"
                )));
            }
        },
        other => {
            let kind = other.unwrap_or("nothing");
            return Err(missing(format!(
                "the query gives a {kind}; a scalar or a vector of one element is needed"
            )));
        }
    };
    let value = sample.get(1).and_then(Value::as_str).unwrap_or_default();
    // Go writes infinities with their sign, which Rust reads, too.
    match value.parse::<f64>() {
        Ok(number) if !number.is_nan() => Ok(number),
        Ok(_) => Err(missing("the query gives NaN".to_owned())),
        Err(_) => Err(missing(format!("the query gives {value:?}, not a number"))),
    }
}

fn judge(probe: &PrometheusProbe, value: f64) -> Result<Finding, Failed> {
    let beyond = |message: String| Err(Failed::new("out-of-range", message));
    if let Some(min) = probe.min.filter(|&min| value < min) {
        return beyond(format!("value {value} is below {min}"));
    }
    if let Some(max) = probe.max.filter(|&max| value > max) {
        return beyond(format!("value {value} is above {max}"));
    }
    Ok(Finding::passed(format!("value {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Result<f64, &'static str> {
        number(&serde_json::from_str(json).unwrap()).map_err(|failed| failed.kind)
    }

    #[test]
    fn scalars_and_vectors_of_one_are_numbers() {
        let vector = |result: &str| {
            parsed(&format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#
            ))
        };
        let one = r#"{"metric":{},"value":[1.5,"0.25"]}"#;
        assert_eq!(vector(one), Ok(0.25));
        assert_eq!(vector(""), Err("missing"));
        assert_eq!(vector(&format!("{one},{one}")), Err("missing"));
        assert_eq!(vector(r#"{"value":[1,"NaN"]}"#), Err("missing"));
        assert_eq!(vector(r#"{"value":[1,"+Inf"]}"#), Ok(f64::INFINITY));
        assert_eq!(vector("{}"), Err("missing"));
        assert_eq!(
            parsed(r#"{"data":{"resultType":"scalar","result":[1,"7"]}}"#),
            Ok(7.0)
        );
        assert_eq!(
            parsed(r#"{"data":{"resultType":"matrix","result":[]}}"#),
            Err("missing")
        );
        assert_eq!(parsed("[]"), Err("missing"));
    }

    #[test]
    fn servers_have_a_path_and_a_port() {
        let server = Server::parse("https://[2001:db8::1]/prometheus/").unwrap();
        assert_eq!(server.port, 443);
        assert_eq!(server.path, "/prometheus");
        assert_eq!(server.address, Address::parse("2001:db8::1"));
        assert_eq!(Server::parse("http://p.example:9090").unwrap().path, "");
        for bad in [
            "p.example:9090",
            "ftp://p.example",
            "http://a:b@p.example",
            "",
        ] {
            assert!(Server::parse(bad).is_err(), "{bad}");
        }
    }
}
