//! Pages that programs serve about themselves.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a program may take to answer about itself.
const ANSWER: Duration = Duration::from_secs(10);

/// Asks for a page; its code and content.
///
/// # Errors
/// When there is no answer.
pub async fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let answer = timeout(ANSWER, ask(address, path)).await;
    let answer = answer.with_context(|| format!("{address}{path} did not answer"))?;
    answer.with_context(|| format!("asking {address}{path}"))
}

async fn ask(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path).header("host", address.to_string());
    let response = sender
        .send_request(request.body(Empty::<Bytes>::new())?)
        .await?;
    let code = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok((code, String::from_utf8(body.to_vec())?))
}
