//! The gRPC health protocol, version 1.

use std::convert::Infallible;
use std::future::pending;

use http::Uri;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;
use watershed_health::{Address, GrpcProbe};

use crate::client::Client;
use crate::failure::{Failed, Finding};
use crate::http::{Io, bracketed};
use crate::tls::Inner;
use crate::trace::{Stage, Trace};

/// Octets of the answer, and of its header, at most.
const ANSWER: u32 = 16 * 1024;

/// Asks for the state of the service.
pub(crate) async fn probe(
    client: &Client,
    probe: &GrpcProbe,
    address: &Address,
    trace: &mut Trace,
) -> Result<Finding, Failed> {
    let origin = origin(probe, address)?;
    let stream = client.network.connect(address, probe.port, trace).await?;
    let stream: Box<dyn Io> = match &probe.tls {
        None => Box::new(stream),
        Some(options) => {
            let wrapped = client
                .tls
                .wrap(stream, address, options, Inner::Http2, trace);
            Box::new(wrapped.await?)
        }
    };
    trace.stage = Stage::Answer;
    check(stream, origin, &probe.service).await
}

fn origin(probe: &GrpcProbe, address: &Address) -> Result<Uri, Failed> {
    let (scheme, name) = match &probe.tls {
        None => ("http", None),
        Some(options) => ("https", options.server_name.as_deref()),
    };
    let host = name.map_or_else(|| bracketed(address), str::to_owned);
    let uri = format!("{scheme}://{host}:{}", probe.port);
    Uri::try_from(&uri).map_err(|error| Failed::protocol(format!("{uri} is not a URL: {error}")))
}

async fn check(stream: Box<dyn Io>, origin: Uri, service: &str) -> Result<Finding, Failed> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .max_header_list_size(ANSWER)
        .handshake(TokioIo::new(stream))
        .await?;
    let channel = service_fn(move |request| {
        let mut sender = sender.clone();
        async move { sender.send_request(request).await }
    });
    let mut health = HealthClient::with_origin(channel, origin)
        .max_decoding_message_size(usize::try_from(ANSWER).unwrap_or(usize::MAX));
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let serve = async {
        // Whatever ends the connection, the request learns of it.
        let _ = connection.await;
        pending::<Infallible>().await
    };
    let answer = tokio::select! {
        biased;
        answer = health.check(request) => answer,
        never = serve => match never {},
    };
    match answer {
        Ok(answer) => judge(answer.into_inner().status()),
        Err(status) => Err(failed(&status, service)),
    }
}

fn judge(status: ServingStatus) -> Result<Finding, Failed> {
    let words = format!("gRPC {}", status.as_str_name());
    match status {
        ServingStatus::Serving => Ok(Finding::passed(words)),
        _ => Err(Failed::new("status", words)),
    }
}

/// Why there is no answer: what the server says, or what the connection met.
fn failed(status: &Status, service: &str) -> Failed {
    if let Some(cause) = std::error::Error::source(status) {
        return Failed::of(cause);
    }
    match status.code() {
        Code::NotFound => Failed::new("status", format!("gRPC: unknown service {service:?}")),
        Code::Unimplemented => Failed::new(
            "status",
            "gRPC: the server does not speak grpc.health.v1".to_owned(),
        ),
        code => Failed::new("status", format!("gRPC {code:?}: {}", status.message())),
    }
}
