//! The one page of metrics, over HTTP.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

use super::Metrics;

/// How long a client may take to send its request and read the response.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait after a client could not be accepted.
const RETRY: Duration = Duration::from_millis(100);

/// Serves the metrics at `address`.
///
/// # Errors
/// If it can't listen there.
pub async fn serve(address: SocketAddr, metrics: Arc<Metrics>) -> Result<()> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot serve metrics at {address}"))?;
    info!("serving metrics at http://{}/metrics", listener.local_addr()?);
    tokio::spawn(async move {
        let listener = &listener;
        answer_all(|| async { Ok(listener.accept().await?.0) }, metrics).await;
    });
    Ok(())
}

/// Responds to every client from `accept`, as long as it is polled.
async fn answer_all<F: Future<Output = io::Result<TcpStream>>>(
    mut accept: impl FnMut() -> F,
    metrics: Arc<Metrics>,
) {
    loop {
        match accept().await {
            Ok(stream) => {
                let text = metrics.text();
                tokio::spawn(async move {
                    match timeout(PATIENCE, answer(stream, &text)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => debug!("metrics: {error}"),
                        Err(_) => debug!("metrics: a client was too slow"),
                    }
                });
            }
            Err(error) => {
                // For instance, no file descriptors are left: some will be closed soon.
                warn!("cannot accept a client for metrics: {error}");
                sleep(RETRY).await;
            }
        }
    }
}

/// Responds to any request with the metrics: there is only one page.
async fn answer(mut stream: TcpStream, text: &str) -> io::Result<()> {
    let mut asked = Vec::new();
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") && asked.len() < 16 << 10 {
        if stream.read_buf(&mut asked).await? == 0 {
            return Ok(());
        }
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0; \
         charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_client_cannot_be_accepted_others_are() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut failures = 2;
        let listener = &listener;
        let accept = || {
            let fails = failures > 0;
            failures -= i32::from(fails);
            async move {
                match fails {
                    true => Err(io::Error::other("too many open files")),
                    false => Ok(listener.accept().await?.0),
                }
            }
        };
        let client = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = tokio::select! {
            () = answer_all(accept, Arc::default()) => panic!("it has ended"),
            answer = client => answer,
        };
        assert!(answer.ends_with("# EOF\n"), "{answer}");
    }
}
