use watershed_health::{MissingData, PrometheusProbe};

use super::*;

async fn query(answer: &str, on_missing: MissingData) -> ProbeResult {
    let port = answering(format!("HTTP/1.1 {answer}")).await;
    query_at(port, on_missing).await
}

async fn query_at(port: u16, on_missing: MissingData) -> ProbeResult {
    probe(ProbeKind::Prometheus(PrometheusProbe {
        url: format!("http://127.0.0.1:{port}/prometheus"),
        query: "sum(rate(errors[5m])) / 2".to_owned(),
        min: Some(1.0),
        max: Some(2.0),
        on_missing,
    }))
    .await
}

fn vector(value: &str) -> String {
    format!(
        "200 OK\r\n\r\n{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":[{value}]}}}}"
    )
}

fn value(number: &str) -> String {
    vector(&format!("{{\"metric\":{{}},\"value\":[1,\"{number}\"]}}"))
}

#[tokio::test]
async fn the_number_decides() {
    let missing = MissingData::Unhealthy;
    assert_passes(&query(&value("1.5"), missing).await, "value 1.5");
    let result = query(&value("0.5"), missing).await;
    assert_fails(&result, "out-of-range", "value 0.5 is below 1");
    let result = query(&value("+Inf"), MissingData::Healthy).await;
    assert_fails(&result, "out-of-range", "value inf is above 2");
}

#[tokio::test]
async fn missing_data_means_what_the_check_says() {
    let none = "the query gives no value";
    let result = query(&vector(""), MissingData::KeepLast).await;
    assert_eq!(result.outcome, Outcome::Nothing(none.to_owned()));
    assert_eq!(result.kind, "missing");
    let result = query(&value("NaN"), MissingData::Unhealthy).await;
    assert_fails(&result, "missing", "the query gives NaN");
    let result = query(&vector(""), MissingData::Healthy).await;
    let message = format!("{none}; healthy without data");
    assert_eq!(result.outcome, Outcome::Success(message));
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_is_missing_data() {
    let port = unused_port().await;
    let result = query_at(port, MissingData::KeepLast).await;
    let refused = "connection refused".to_owned();
    assert_eq!(result.outcome, Outcome::Nothing(refused));
    assert_eq!(result.kind, "refused");
    let bad = "400 Bad Request\r\n\r\n{\"status\":\"error\",\"error\":\"parse error\"}";
    let result = query(bad, MissingData::Unhealthy).await;
    assert_fails(&result, "status", "Prometheus: HTTP 400: parse error");
}

#[tokio::test]
async fn the_query_is_encoded() {
    let address = serve(|mut stream| async move {
        let request = read_request(&mut stream).await;
        let path = "/prometheus/api/v1/query?query=sum%28rate%28errors%5B5m%5D%29%29%20%2F%202";
        let right = request.starts_with(&format!("GET {path} HTTP/1.1\r\n"));
        let answer = format!("HTTP/1.1 {}", value(if right { "1" } else { "9" }));
        let _ = stream.write_all(answer.as_bytes()).await;
    });
    let result = query_at(address.await.port(), MissingData::Unhealthy).await;
    assert_passes(&result, "value 1");
}
