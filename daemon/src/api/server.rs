//! The Unix socket on which clients ask, as crate `protocol` says.

use protocol::{Reply, Request};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::broadcast,
};
use tracing::{debug, warn};

use super::{
    Access, Line, connection,
    seats::{Peer, Seats},
};

/// Answers clients. The real one is the daemon's mailbox.
pub trait Service: Clone + Send + Sync + 'static {
    /// Answers one request; [`Request::Watch`] goes to [`Self::watch`] instead.
    fn ask(&self, request: Request) -> impl Future<Output = Reply> + Send;
    /// The whole state, and the changes that follow it, as [`protocol::Event`]s.
    fn watch(&self) -> impl Future<Output = (Line, broadcast::Receiver<Line>)> + Send;
}

/// Serves clients until dropped; those whom `access` names may change things.
pub async fn serve(listener: UnixListener, access: Access, service: impl Service) {
    let seats = Seats::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let service = service.clone();
                let may_change = access.may_change(&stream);
                let seat = seats.take(peer(&stream));
                tokio::spawn(async move {
                    let served = tokio::select! {
                        served = connection::serve(stream, may_change, service, &seat) => served,
                        () = seat.lost() => return debug!("a client made room for another"),
                    };
                    if let Err(error) = served {
                        debug!("a client: {error}");
                    }
                });
            }
            Err(error) => {
                // Out of file descriptors, say: those in use will come free.
                warn!("cannot accept a client: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// Whom the kernel says to be at the other end.
fn peer(stream: &UnixStream) -> Peer {
    stream.peer_cred().map_or((u32::MAX, None), |peer| (peer.uid(), peer.pid()))
}
