//! Restores the socket's file, which others may delete: cleaners, or the end of a session together with its
//! folder.

use tokio::{
    net::UnixListener,
    sync::oneshot,
    task::JoinHandle,
    time::{Duration, sleep},
};
use tracing::{info, warn};

use super::Socket;

/// How often to check that it exists.
const LOOK: Duration = Duration::from_secs(2);

/// Lets `serve` serve clients until `stopped`, and listens again whenever the socket is gone.
pub async fn keep(
    mut socket: Socket,
    listener: UnixListener,
    serve: impl Fn(UnixListener) -> JoinHandle<()>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut server = serve(listener);
    let mut problem = None;
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            () = sleep(LOOK) => {}
        }
        if socket.is_there() {
            continue;
        }
        match socket.bind_again() {
            Ok(listener) => {
                server.abort();
                server = serve(listener);
                problem = None;
                info!(socket = %socket, "the socket was gone; listening again");
            }
            Err(error) => {
                let told = format!("{error:#}");
                if problem.as_ref() != Some(&told) {
                    warn!(
                        "the socket is gone, and clients can't connect until it can be made again: {told}"
                    );
                }
                problem = Some(told);
            }
        }
    }
    server.abort();
    socket.close();
}
