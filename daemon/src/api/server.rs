//! Serves clients on a Unix socket, by the protocol of the crate `protocol`.

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

/// Handles requests. The real one is the daemon's mailbox.
pub trait Service: Clone + Send + Sync + 'static {
    /// Replies to one request; [`Request::Watch`] goes to [`Self::watch`] instead.
    fn ask(&self, request: Request) -> impl Future<Output = Reply> + Send;
    /// Returns the whole state, and the changes that follow it, as [`protocol::Event`]s.
    fn watch(&self) -> impl Future<Output = (Line, broadcast::Receiver<Line>)> + Send;
}

/// Serves clients until dropped; those permitted by `access` may make changes.
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
                // For instance, no file descriptors are left: some will be closed soon.
                warn!("cannot accept a client: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// Returns the peer's process and user, according to the kernel.
fn peer(stream: &UnixStream) -> Peer {
    stream.peer_cred().map_or((u32::MAX, None), |peer| (peer.uid(), peer.pid()))
}
