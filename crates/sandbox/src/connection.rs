//! Breaking a TCP connection the way a dying server or a firewall does: with a reset instead of an answer.

use std::any::Any;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use socket2::{SockRef, Socket};

/// A second handle on a connection's socket, kept beside it for as long as it lives.
struct Connection(Socket);

/// For `HttpServer::on_connect`: keeps the second handle where [`reset`] finds it.
pub(crate) fn remember(stream: &dyn Any, extensions: &mut Extensions) {
    let stream = stream
        .downcast_ref::<TcpStream>()
        .expect("the sandbox listens on plain TCP only");
    // Fails only when the process is out of file descriptors; then this connection can be closed but not
    // reset.
    if let Ok(socket) = SockRef::from(stream).try_clone() {
        extensions.insert(Connection(socket));
    }
}

/// Answers with a TCP reset: nothing of a response is written.
///
/// A linger of zero makes the kernel reset on close instead of sending FIN. The body then fails before its
/// head has been flushed, and on a broken body the server drops the connection without closing it politely (a
/// `shutdown` would send the FIN that a reset must not).
pub(crate) fn reset(request: &HttpRequest) -> HttpResponse {
    let socket = request.conn_data::<Connection>();
    if let Some(Err(error)) = socket.map(|connection| connection.0.set_linger(Some(Duration::ZERO))) {
        return HttpResponse::InternalServerError()
            .body(format!("the sandbox could not reset the connection: {error}"));
    }
    HttpResponse::Ok().body(BrokenBody)
}

struct BrokenBody;

impl MessageBody for BrokenBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        Poll::Ready(Some(Err(io::Error::new(
            io::ErrorKind::ConnectionReset,
            "reset on command",
        ))))
    }
}

/// Never answers. It ends when the client hangs up or the sandbox stops.
pub(crate) async fn hang() -> HttpResponse {
    std::future::pending().await
}
