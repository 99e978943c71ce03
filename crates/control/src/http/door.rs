//! Connections: how many there may be, and how long one may stay without a request.
//!
//! All this is before any key is seen. A connection without a request under way has a fixed time to
//! send a whole head; the time is not renewed by what it drips. The same holds for one that takes
//! nothing of its answer.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::Request;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4_096;

/// How long a connection may be without a request, or take nothing of an answer.
const QUIET_MAX: Duration = Duration::from_secs(30);

/// After an error in accepting, which is one of too many open files, others get time to close.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// Accepts connections as long as there are places.
pub(super) struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    quiet_max: Duration,
}

/// A connection and the place that it takes.
pub(super) struct Visit {
    stream: TcpStream,
    pace: Arc<Pace>,
    alarm: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

/// What a connection's requests tell of it.
#[derive(Debug)]
struct Pace {
    under_way: AtomicUsize,
    quiet_since: Mutex<Instant>,
    quiet_max: Duration,
}

/// The connection that a request came by.
#[derive(Clone, Debug)]
pub(super) struct Visitor(Arc<Pace>);

/// A request under way.
struct UnderWay(Arc<Pace>);

impl Door {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self::with(listener, CONNECTIONS_MAX, QUIET_MAX)
    }

    fn with(listener: TcpListener, connections_max: usize, quiet_max: Duration) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(connections_max)),
            quiet_max,
        }
    }

    async fn next(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }
}

impl Listener for Door {
    type Io = Visit;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visit, SocketAddr) {
        // The semaphore is never closed, so there is always a place at the end of the wait.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, address) = self.next().await;
        let visit = Visit {
            stream,
            pace: Arc::new(Pace::new(self.quiet_max)),
            alarm: Box::pin(sleep(self.quiet_max)),
            _place: place,
        };
        (visit, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Door>> for Visitor {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self(Arc::clone(&stream.io().pace))
    }
}

/// Lets a connection be quiet while its request is worked on.
pub(super) async fn working(request: Request, next: Next) -> Response {
    let visitor = request.extensions().get::<ConnectInfo<Visitor>>();
    let _under_way = visitor.map(|ConnectInfo(Visitor(pace))| pace.begin());
    next.run(request).await
}

impl Pace {
    fn new(quiet_max: Duration) -> Self {
        Self {
            under_way: AtomicUsize::new(0),
            quiet_since: Mutex::new(Instant::now()),
            quiet_max,
        }
    }

    fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        UnderWay(Arc::clone(self))
    }

    fn moved(&self) {
        let mut since = self
            .quiet_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *since = Instant::now();
    }

    /// When the connection will have been quiet for too long, as it looks now.
    fn over_at(&self) -> Instant {
        let since = self
            .quiet_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.under_way.load(Ordering::Acquire) > 0 {
            Instant::now() + self.quiet_max
        } else {
            *since + self.quiet_max
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.moved();
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Visit {
    /// Nothing can be read or written now: that is an error once it has lasted for too long.
    fn poll_quiet<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        loop {
            ready!(self.alarm.as_mut().poll(context));
            let over_at = self.pace.over_at();
            if over_at <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.alarm.set(sleep_until(over_at));
        }
    }

    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(written) => {
                self.pace.moved();
                Poll::Ready(written)
            }
            Poll::Pending => self.poll_quiet(context),
        }
    }
}

impl AsyncRead for Visit {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(read) => Poll::Ready(read),
            Poll::Pending => self.poll_quiet(context),
        }
    }
}

impl AsyncWrite for Visit {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use axum::{Router, middleware};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const QUIET: Duration = Duration::from_millis(300);

    /// A server with few places and little patience, whose one handler takes longer than that.
    async fn serve(places: usize) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let handler = async || {
            sleep(QUIET * 3).await;
            "done"
        };
        let router = Router::new()
            .route("/", get(handler))
            .layer(middleware::from_fn(working))
            .into_make_service_with_connect_info::<Visitor>();
        let door = Door::with(listener, places, QUIET);
        drop(tokio::spawn(async move {
            axum::serve(door, router).await.unwrap();
        }));
        address
    }

    async fn answered(stream: &mut TcpStream) -> bool {
        let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.is_ok() && answer.ends_with("done")
    }

    #[tokio::test]
    async fn a_head_that_drips_in_is_cut_off_and_a_slow_handler_is_not() {
        let address = serve(8).await;
        let mut dripping = TcpStream::connect(address).await.unwrap();
        let begun = Instant::now();
        let drip = async {
            for byte in b"GET / HTTP/1.1\r\nx: ".iter().chain([b'x'; 100].iter()) {
                if dripping.write_all(&[*byte]).await.is_err() {
                    return;
                }
                sleep(QUIET / 6).await;
            }
        };
        drip.await;
        assert!(begun.elapsed() < QUIET * 6, "{:?}", begun.elapsed());
        let mut patient = TcpStream::connect(address).await.unwrap();
        assert!(answered(&mut patient).await);
    }

    #[tokio::test]
    async fn connections_that_say_nothing_give_their_places_back() {
        let address = serve(2).await;
        let silent = [
            TcpStream::connect(address).await,
            TcpStream::connect(address).await,
        ];
        let mut third = TcpStream::connect(address).await.unwrap();
        assert!(answered(&mut third).await);
        drop(silent);
    }
}
