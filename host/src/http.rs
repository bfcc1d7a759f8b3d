//! A small HTTP server for published logs, witnesses and mirrors: it takes whole requests, answers each from one
//! function, and bounds everything: connections, time, bytes.
//!
//! Left out: TLS, which a proxy in front does, and which nothing here needs for its truth: all that is served is
//! verified by hashes and signatures.

use std::convert::Infallible;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::limits;
use crate::log_files::LogFiles;
use crate::publisher::LOG;

/// A request as a whole.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whether it is a POST; else it is a GET.
    pub is_post: bool,
    /// Without the slash it begins with, and without a query.
    pub path: String,
    /// Empty for a GET.
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP's number.
    pub status: u16,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Whether it never changes.
    pub immutable: bool,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A line for people.
    pub fn text(status: u16, line: &str) -> Self {
        let body = format!("{line}\n").into_bytes();
        Self { status, content_type: "text/plain; charset=utf-8", immutable: false, body }
    }
}

impl From<gemba_record::witness::Response> for Answer {
    fn from(response: gemba_record::witness::Response) -> Self {
        let gemba_record::witness::Response { status, content_type, body } = response;
        Self { status, content_type, immutable: false, body: body.into_bytes() }
    }
}

/// Serves until the future is dropped. `answer` may block; requests are answered one by one where it locks. Bodies of
/// more than `most_body` bytes are refused, compressed (gzip) or not.
pub async fn serve(
    listener: TcpListener,
    most_body: usize,
    answer: impl Fn(Request) -> Answer + Send + Sync + 'static,
) -> Infallible {
    let (answer, places) = (Arc::new(answer), Arc::new(Semaphore::new(limits::HTTP_CONNECTIONS)));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { unreachable!("the semaphore is never closed") };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(limits::HTTP_ACCEPT_RETRY).await;
                continue;
            }
        };
        let answer = answer.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| handle(request, most_body, answer.clone()));
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(limits::HTTP_HEADER_TIME).max_buf_size(64 << 10);
            let connection = server.serve_connection(TokioIo::new(stream), service);
            // How a stranger's connection ends is of no interest.
            let _ = tokio::time::timeout(limits::HTTP_CONNECTION_TIME, connection).await;
            drop(place);
        });
    }
}

/// Listens there and serves the published log of the site in this directory from now on, read-only.
pub async fn serve_log(address: SocketAddr, dir: &Path) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot publish on {address}; give a free address of this machine with --publish"))?;
    tracing::info!(address = %listener.local_addr()?, "the log is published: http://ADDRESS/checkpoint");
    let files = LogFiles::Folder(dir.join(LOG));
    tokio::spawn(serve(listener, 0, move |request| match request.is_post {
        true => Answer::text(405, "a published log is only read"),
        false => files.answer(&request.path),
    }));
    Ok(())
}

async fn handle(
    request: hyper::Request<Incoming>,
    most_body: usize,
    answer: Arc<impl Fn(Request) -> Answer + Send + Sync + 'static>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let is_post = request.method() == Method::POST;
    if !is_post && request.method() != Method::GET && request.method() != Method::HEAD {
        return Ok(response(Answer::text(405, "only GET and POST are answered")));
    }
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let encoding = request.headers().get(CONTENT_ENCODING).cloned();
    let body = match Limited::new(request.into_body(), most_body).collect().await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(_) => return Ok(response(Answer::text(413, "the body is too long, or ended early"))),
    };
    let answered = tokio::task::spawn_blocking(move || match plain(encoding, body, most_body) {
        Ok(body) => answer(Request { is_post, path, body }),
        Err(refused) => refused,
    });
    let answered = answered.await;
    Ok(response(answered.unwrap_or_else(|_| Answer::text(500, "a fault of the server; its log says more"))))
}

/// The body as it was before it was compressed, of at most so many bytes.
fn plain(encoding: Option<HeaderValue>, body: Vec<u8>, most: usize) -> Result<Vec<u8>, Answer> {
    match encoding.as_ref().map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(body),
        Some(b"gzip") => {
            let mut plain = Vec::new();
            let read = flate2::read::GzDecoder::new(body.as_slice()).take(most as u64 + 1).read_to_end(&mut plain);
            match read {
                Ok(_) if plain.len() <= most => Ok(plain),
                Ok(_) => Err(Answer::text(413, "the body is too long")),
                Err(_) => Err(Answer::text(400, "the body is said to be gzip and is not, or is cut off")),
            }
        }
        Some(_) => Err(Answer::text(415, "a body is sent plain, or as gzip")),
    }
}

fn response(answer: Answer) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    // What a body may be sent as the next time (RFC 9110 §12.5.3).
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let cache = if answer.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(encoding: &'static str, body: Vec<u8>, most: usize) -> Result<Vec<u8>, u16> {
        plain(Some(HeaderValue::from_static(encoding)), body, most).map_err(|answer| answer.status)
    }

    #[test]
    fn a_compressed_body_is_read_as_it_was_and_one_that_grows_without_end_is_refused() {
        let body = vec![7; 5000];
        let small = gzip(&body);
        assert!(small.len() < 100);
        assert_eq!(read("gzip", small.clone(), 5000), Ok(body.clone()));
        assert_eq!(read("gzip", small.clone(), 4999), Err(413));
        assert_eq!(read("gzip", small[..small.len() - 9].to_vec(), 5000), Err(400));
        assert_eq!(read("gzip", body.clone(), 5000), Err(400));
        assert_eq!(read("br", body.clone(), 5000), Err(415));
        assert_eq!(plain(None, body.clone(), 5000).ok(), Some(body));
    }
}
