//! Serves a witness or a mirror until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use gemba_host::http::{self, Answer, Request};
use gemba_host::stop;
use tokio::net::TcpListener;

/// Listens, says where on standard output by `announce`, and answers until it is stopped.
pub(crate) fn serve(
    listen: SocketAddr,
    most_body: usize,
    answer: impl Fn(Request) -> Answer + Send + Sync + 'static,
    announce: impl FnOnce(SocketAddr) -> Result<()>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let served = runtime.block_on(async {
        let signal = stop::signalled()?;
        let listener = TcpListener::bind(listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {listen}; give another with --listen"))?;
        announce(listener.local_addr()?)?;
        let answer = Arc::new(answer);
        tokio::select! {
            never = http::serve(listener, most_body, move |request| answer(request)) => match never {},
            () = signal => Ok(()),
        }
    });
    // What is being written is written whole or not at all: nobody has to be waited for.
    runtime.shutdown_background();
    served
}
