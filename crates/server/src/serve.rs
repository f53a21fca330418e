//! Connections: HTTP/1.1 with keep-alive and pipelining, and a stop that lets requests end.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Tells streams that the server stops. Every request carries it as an extension.
#[derive(Clone)]
pub(crate) struct Closing(pub CancellationToken);

/// How long requests may take to end after the stop.
const GRACE: Duration = Duration::from_secs(15);
/// How long the headers of a request may take to arrive; also how long an idle connection is kept.
const HEADERS: Duration = Duration::from_secs(60);

/// Serves until `shutdown` is ready; then takes no more connections, ends streams, and waits up to 15 s for requests to end.
///
/// # Errors
/// Never at present: a connection that cannot be accepted is logged, and the next one is tried.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send) -> std::io::Result<()> {
    let closing = CancellationToken::new();
    let connections = GracefulShutdown::new();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADERS).keep_alive(true).pipeline_flush(true);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let stream = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(e) => {
                    // Out of file descriptors, mostly: give others time to close.
                    tracing::warn!(error = %e, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        if let Err(e) = stream.set_nodelay(true) {
            tracing::debug!(error = %e, "the connection is gone already");
            continue;
        }
        let (router, closing) = (router.clone(), closing.clone());
        let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let mut request: Request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(Closing(closing.clone()));
            router.clone().oneshot(request)
        });
        let connection = connections.watch(builder.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(e) = connection.await {
                tracing::debug!(error = %e, "a connection ended early");
            }
        });
    }
    drop(listener);
    closing.cancel();
    if tokio::time::timeout(GRACE, connections.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and are cut off");
    }
    Ok(())
}
