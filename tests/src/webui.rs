use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
};

/// A stand-in for the progress endpoint of AUTOMATIC1111's REST API.
pub struct WebUi {
    url: String,
    job_count: Arc<AtomicI64>,
}

impl WebUi {
    /// Starts one with this many jobs.
    pub fn with_jobs(count: i64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let job_count = Arc::new(AtomicI64::new(count));
        let jobs = job_count.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // The daemon keeps a connection on which it sends nothing.
                let (stream, jobs) = (stream.unwrap(), jobs.clone());
                thread::spawn(move || {
                    // A killed daemon may disconnect at any time.
                    let _ = answer(stream, &jobs);
                });
            }
        });
        Self { url, job_count }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Changes the number of jobs.
    pub fn set_jobs(&self, count: i64) {
        self.job_count.store(count, Ordering::SeqCst);
    }
}

fn answer(mut stream: TcpStream, jobs: &AtomicI64) -> std::io::Result<()> {
    let mut asked = String::new();
    let mut lines = BufReader::new(stream.try_clone()?);
    lines.read_line(&mut asked)?;
    while lines.read_line(&mut String::new())? > 2 {}
    let job_count = jobs.load(Ordering::SeqCst);
    let (status, body) = match asked.split(' ').nth(1) {
        Some("/sdapi/v1/progress?skip_current_image=true") => (
            "200 OK",
            format!(
                r#"{{"progress":0.0,"eta_relative":0.0,"state":{{"skipped":false,"job":"","job_count":{job_count},"job_no":0}},"current_image":null,"textinfo":null}}"#
            ),
        ),
        Some("/sdapi/v1/options") => {
            ("200 OK", r#"{"sd_model_checkpoint":"used.safetensors [0123456789]"}"#.to_owned())
        }
        _ => ("404 Not Found", "{}".to_owned()),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}
