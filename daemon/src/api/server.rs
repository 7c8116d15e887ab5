//! The Unix socket on which clients ask, as crate `protocol` says.

use std::sync::Arc;

use protocol::{Reply, Request};
use tokio::{
    net::UnixListener,
    sync::{Semaphore, broadcast},
};
use tracing::{debug, warn};

use super::{Access, Line, connection};

/// More clients than anybody has; the next one waits for one to go.
const CONNECTIONS: usize = 512;

/// Answers clients. The real one is the daemon's mailbox.
pub trait Service: Clone + Send + Sync + 'static {
    /// Answers one request; [`Request::Watch`] goes to [`Self::watch`] instead.
    fn ask(&self, request: Request) -> impl Future<Output = Reply> + Send;
    /// The whole state, and the changes that follow it, as [`protocol::Event`]s.
    fn watch(&self) -> impl Future<Output = (Line, broadcast::Receiver<Line>)> + Send;
}

/// Serves clients until dropped; those whom `access` names may change things.
pub async fn serve(listener: UnixListener, access: Access, service: impl Service) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let service = service.clone();
                let may_change = access.may_change(&stream);
                tokio::spawn(async move {
                    if let Err(error) = connection::serve(stream, may_change, service).await {
                        debug!("a client: {error}");
                    }
                    drop(place);
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
