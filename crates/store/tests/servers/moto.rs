//! moto: AWS as Python programs test against it.

use std::{
    env,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::child::BUCKET;

/// Where its packages are; by default where Python looks.
const PACKAGES: &str = "SDTRT_TEST_MOTO";

/// A running moto; dropping it ends it.
pub(crate) struct Moto {
    pub(crate) port: u16,
    process: Child,
}

impl Moto {
    /// Starts it with an empty bucket; `None` if it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        // It takes no listening socket, and does not say which port it has found.
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let python = || {
            let mut python = Command::new("python3");
            if let Some(packages) = env::var_os(PACKAGES) {
                python.env("PYTHONPATH", packages);
            }
            python.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            python
        };
        if !python().args(["-c", "import moto.server"]).status().ok()?.success() {
            return None;
        }
        let mut server = python();
        server.args(["-m", "moto.server", "--host", "127.0.0.1", "--port", &port.to_string()]);
        let mut moto = Self { port, process: server.spawn().unwrap() };
        while moto.make_bucket().is_none() {
            assert_eq!(moto.process.try_wait().unwrap(), None, "moto has ended");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(moto)
    }

    /// `None` while it does not answer.
    fn make_bucket(&self) -> Option<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        let request = format!(
            "PUT /{BUCKET} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.starts_with('2').then_some(())
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
