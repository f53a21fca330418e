//! Connections: HTTP/1.1 with keep-alive and pipelining, and a stop that lets requests end.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use http::HeaderValue;
use http::header::CONNECTION;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Tells streams that the server stops. Every request carries it as an extension.
#[derive(Clone)]
pub(crate) struct Closing(pub CancellationToken);

/// What a request meets.
#[derive(Clone)]
pub(crate) struct Drained(Drain);

impl Drained {
    /// Whether it came too late to be served.
    pub(crate) fn is_late(&self) -> bool {
        self.0.late.is_cancelled()
    }
}

/// How a server is brought to its end without a request that fails: it goes on serving while whoever sends requests learns that it leaves,
/// then answers latecomers that they must come again, elsewhere.
#[derive(Clone, Default)]
pub struct Drain {
    /// From here on every answer closes its connection.
    pub leaving: CancellationToken,
    /// From here on requests are answered with 503 and `Retry-After`; those under way are finished.
    pub late: CancellationToken,
}

/// How long latecomers are answered, at least, so that those who were on their way hear it.
const LATE: Duration = Duration::from_millis(500);

/// How long requests may take to end after the stop.
const GRACE: Duration = Duration::from_secs(15);
/// How long the headers of a request may take to arrive; also how long an idle connection is kept.
const HEADERS: Duration = Duration::from_secs(60);

/// Serves until `shutdown` is ready; then takes no more connections, ends streams, and waits up to 15 s for requests to end.
///
/// # Errors
/// Never at present: a connection that cannot be accepted is logged, and the next one is tried.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send) -> std::io::Result<()> {
    let open = Open::new(router, Drain::default());
    open.accept(&listener, shutdown).await;
    drop(listener);
    open.close().await;
    Ok(())
}

/// Serves until it is drained: what came before `drain.late` is finished, what comes later is told to come again.
///
/// # Errors
/// As [`serve`].
pub async fn serve_until_drained(listener: TcpListener, router: Router, drain: Drain) -> std::io::Result<()> {
    let open = Open::new(router, drain.clone());
    open.accept(&listener, drain.late.cancelled()).await;
    open.closing.cancel();
    let ended = async {
        tokio::time::sleep(LATE).await;
        // Its end is all that is waited for.
        let _ = tokio::time::timeout(GRACE, open.under_way.wait_for(|n| *n == 0)).await;
    };
    open.accept(&listener, ended).await;
    drop(listener);
    open.close().await;
    Ok(())
}

/// Connections that are open, and the requests under way on them.
struct Open {
    router: Router,
    drain: Drain,
    closing: CancellationToken,
    connections: GracefulShutdown,
    under_way: UnderWay,
}

/// Counts requests under way.
#[derive(Clone)]
struct UnderWay(watch::Sender<usize>);

impl UnderWay {
    async fn wait_for(&self, fits: impl FnMut(&usize) -> bool) {
        // The sender lives as long as this.
        let _ = self.0.subscribe().wait_for(fits).await;
    }

    fn begin(&self) -> Counted {
        self.0.send_modify(|n| *n += 1);
        Counted(self.0.clone())
    }
}

/// A request under way.
struct Counted(watch::Sender<usize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n = n.saturating_sub(1));
    }
}

impl Open {
    fn new(router: Router, drain: Drain) -> Self {
        let under_way = UnderWay(watch::Sender::new(0));
        Self { router, drain, closing: CancellationToken::new(), connections: GracefulShutdown::new(), under_way }
    }

    /// Takes connections until `until` is ready.
    async fn accept(&self, listener: &TcpListener, until: impl Future<Output = ()> + Send) {
        let mut until = std::pin::pin!(until);
        loop {
            let stream = tokio::select! {
                biased;
                () = &mut until => return,
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
            match stream.set_nodelay(true) {
                Ok(()) => self.connect(stream),
                Err(e) => tracing::debug!(error = %e, "the connection is gone already"),
            }
        }
    }

    fn connect(&self, stream: TcpStream) {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEADERS).keep_alive(true).pipeline_flush(true);
        let (router, closing, drain, under_way) = (self.router.clone(), self.closing.clone(), self.drain.clone(), self.under_way.clone());
        let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let mut request: Request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(Closing(closing.clone()));
            request.extensions_mut().insert(Drained(drain.clone()));
            let (answer, drain, counted) = (router.clone().oneshot(request), drain.clone(), under_way.begin());
            async move {
                let mut response = answer.await?;
                drop(counted);
                if drain.leaving.is_cancelled() || drain.late.is_cancelled() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = self.connections.watch(builder.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(e) = connection.await {
                tracing::debug!(error = %e, "a connection ended early");
            }
        });
    }

    /// Ends streams and idle connections, and waits for what is under way.
    async fn close(self) {
        self.closing.cancel();
        if tokio::time::timeout(GRACE, self.connections.shutdown()).await.is_err() {
            tracing::warn!("some requests did not end in time and are cut off");
        }
    }
}
