//! Object stores are told where their server is by the environment, which a process can't change for itself: so a test
//! starts the server, and itself once more.

use std::{
    env,
    process::{Command, Stdio},
};

/// Names the store in the process that the server is for.
const STORE: &str = "SDTRT_TEST_STORE";

pub(crate) const BUCKET: &str = "engines";
pub(crate) const ACCESS_KEY: &str = "AKIATEST";
pub(crate) const SECRET_KEY: &str = "a-secret-that-nobody-may-see";

/// Runs this test with the S3 server at this port.
pub(crate) async fn run(test: &'static str, port: u16) {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--include-ignored"]);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command.env("HOME", home.path()).env(STORE, format!("s3://{BUCKET}/sdtrt"));
    command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"));
    command.env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    command.stdin(Stdio::null());
    let ended = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let said = said(&ended.stdout) + &said(&ended.stderr);
    println!("{said}");
    assert!(ended.status.success() && said.contains("1 passed"), "{test}");
}

/// The store that the other process has a server for.
pub(crate) fn store() -> Option<String> {
    let store = env::var(STORE).ok();
    if store.is_none() {
        println!("skipped: another test runs this one with a server");
    }
    store
}

/// The port of the server, for what is not S3.
pub(crate) fn port() -> u16 {
    let address = env::var("AWS_ENDPOINT_URL").unwrap();
    address.rsplit(':').next().unwrap().parse().unwrap()
}
