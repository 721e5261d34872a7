//! SIGINT and SIGTERM: the operator wants the program to end, which it then does in order.

use std::io;

/// Listens from now on; the future ends at the first signal.
#[cfg(unix)]
pub fn listen() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Listens from now on; the future ends at the first Ctrl-C.
#[cfg(not(unix))]
pub fn listen() -> io::Result<impl Future<Output = ()>> {
    let interrupt = tokio::signal::ctrl_c();
    Ok(async move {
        if interrupt.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
