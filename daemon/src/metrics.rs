//! Metrics in the OpenMetrics format, for Prometheus and others, at a local address.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

/// The label that says how a build ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// How long a client may take to send its request and read the response.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait after a client could not be accepted.
const RETRY: Duration = Duration::from_millis(100);

/// All metrics, collected whether or not they are served.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    builds: Family<OutcomeLabel, Counter>,
    build_time: Histogram,
    /// The number of engines waiting to be built.
    pub queued: Gauge,
    /// Seconds that engines have waited for an idle machine.
    pub wait: Counter<f64, std::sync::atomic::AtomicU64>,
    /// The size of all published engines in bytes.
    pub engines: Gauge,
    /// Free bytes on the engines' disk.
    pub free: Gauge,
    /// Bytes of checkpoints read to identify them.
    pub hashed: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let minutes = [10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0];
        let mut metrics = Self {
            registry: Registry::with_prefix("sdtrtd"),
            builds: Family::default(),
            build_time: Histogram::new(minutes),
            queued: Gauge::default(),
            wait: Counter::default(),
            engines: Gauge::default(),
            free: Gauge::default(),
            hashed: Counter::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("builds", "Builds by how they ended", metrics.builds.clone());
        let build_time = metrics.build_time.clone();
        registry.register_with_unit("build", "Time of a build", Unit::Seconds, build_time);
        registry.register("queue", "Engines that wait to be built", metrics.queued.clone());
        let waited = "Time that engines waited for an idle machine";
        registry.register_with_unit("gpu_wait", waited, Unit::Seconds, metrics.wait.clone());
        let engines = "Size of all published engines";
        registry.register_with_unit("engines", engines, Unit::Bytes, metrics.engines.clone());
        let free = "Free space on the engines' disk";
        registry.register_with_unit("free", free, Unit::Bytes, metrics.free.clone());
        let hashed = "Checkpoints read to identify them";
        registry.register_with_unit("hashed", hashed, Unit::Bytes, metrics.hashed.clone());
        metrics
    }
}

impl Metrics {
    /// Counts a build that ended with this `outcome`.
    pub fn build_ended(&self, outcome: &'static str, took: Duration) {
        self.builds.get_or_create(&OutcomeLabel { outcome }).inc();
        self.build_time.observe(took.as_secs_f64());
    }

    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to memory can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

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

    #[test]
    fn metrics_have_names_units_and_an_end() {
        let metrics = Metrics::default();
        metrics.build_ended("published", Duration::from_secs(45));
        metrics.hashed.inc_by(7);
        metrics.queued.set(3);
        let text = metrics.text();
        for line in [
            "sdtrtd_builds_total{outcome=\"published\"} 1",
            "sdtrtd_build_seconds_bucket{le=\"60.0\"} 1",
            "sdtrtd_hashed_bytes_total 7",
            "sdtrtd_queue 3",
            "sdtrtd_free_bytes 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

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
