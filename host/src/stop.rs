//! When a program that serves is to stop: whoever started it says so, or has gone.

/// Ready at Ctrl-C or, on Unix, SIGTERM; from now on neither ends the process by itself.
pub fn signalled() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    #[cfg(unix)]
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// Ready when nobody holds the other end of stdin any more.
pub async fn stdin_closed() {
    let (closed, ready) = tokio::sync::oneshot::channel();
    // A thread of its own: a read of stdin cannot be cancelled, and must not keep the runtime from ending.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = closed.send(());
    });
    let _ = ready.await;
}
