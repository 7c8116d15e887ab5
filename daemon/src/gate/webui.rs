//! Queries AUTOMATIC1111's web UI through its REST API, which it serves with `--api`.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tracing::warn;
use ureq::Agent;

use super::presence::{Presence, ServerState};

/// A web UI on this machine replies in milliseconds; a slower one counts as not replying.
const TIMEOUT: Duration = Duration::from_millis(500);

/// How often to query the settings, which are large and rarely change.
const OPTIONS: Duration = Duration::from_secs(10);

/// What the web UI reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebUiReading {
    /// Whether it is generating images, or about to.
    pub at_work: bool,
    /// The title of its selected checkpoint: the path below the models folder, and `[hash]` once it has been
    /// loaded.
    pub checkpoint: Option<String>,
}

/// A web UI.
#[derive(Debug)]
pub struct WebUi {
    agent: Agent,
    url: String,
    presence: Presence,
    /// The last reading, until it can't be asked any more.
    last: Option<WebUiReading>,
    checkpoint: Option<String>,
    options_due: Option<Instant>,
    /// The last problem, which was logged.
    problem: Option<String>,
}

#[derive(Deserialize)]
struct Progress {
    state: Images,
}

#[derive(Deserialize)]
struct Images {
    /// 0 when idle, -1 when a job has just begun.
    job_count: i64,
}

#[derive(Deserialize)]
struct Options {
    sd_model_checkpoint: Option<String>,
}

impl WebUi {
    /// `url` is such as `http://127.0.0.1:7860`. A name and password for `--api-auth` go before the host,
    /// with an `@`.
    pub fn new(url: &str) -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            // The environment's proxy is for the internet.
            .proxy(None)
            .build();
        Self {
            agent: agent.into(),
            url: url.trim_end_matches('/').to_owned(),
            presence: Presence::new(url),
            last: None,
            checkpoint: None,
            options_due: None,
            problem: None,
        }
    }

    /// Queries the web UI; `None` if it does not reply, for instance because it is not running. One that has just
    /// started is not queried yet: it counts as generating, or as it was before, if it only restarts.
    pub fn read(&mut self) -> Option<WebUiReading> {
        self.read_at(Instant::now())
    }

    fn read_at(&mut self, now: Instant) -> Option<WebUiReading> {
        match self.presence.look(now, TIMEOUT) {
            ServerState::Absent => self.last = None,
            ServerState::Starting if self.last.is_some() => {}
            ServerState::Starting => {
                return Some(WebUiReading { at_work: true, checkpoint: self.checkpoint.clone() });
            }
            ServerState::Settled => self.last = self.query(now),
        }
        self.last.clone()
    }

    fn query(&mut self, now: Instant) -> Option<WebUiReading> {
        let progress = self.get::<Progress>("progress?skip_current_image=true");
        let jobs = match progress {
            Ok(progress) => progress.state.job_count,
            Err(error) => {
                self.complain(&error);
                return None;
            }
        };
        self.problem = None;
        if self.options_due.is_none_or(|due| due <= now)
            && let Ok(options) = self.get::<Options>("options")
        {
            self.options_due = Some(now + OPTIONS);
            self.checkpoint = options.sd_model_checkpoint;
        }
        Some(WebUiReading { at_work: jobs != 0, checkpoint: self.checkpoint.clone() })
    }

    fn get<T: DeserializeOwned>(&self, what: &str) -> Result<T, ureq::Error> {
        let url = format!("{}/sdapi/v1/{what}", self.url);
        let text = self.agent.get(url).call()?.body_mut().read_to_string()?;
        serde_json::from_str(&text).map_err(|error| ureq::Error::Other(error.into()))
    }

    /// Logs a problem once. That it is not running is not a problem.
    fn complain(&mut self, error: &ureq::Error) {
        if matches!(error, ureq::Error::Io(_) | ureq::Error::ConnectionFailed) {
            return;
        }
        let problem = match error {
            ureq::Error::StatusCode(404) => "its API is off; start it with --api".to_owned(),
            ureq::Error::StatusCode(401) => {
                "it wants a password; write webui_url as http://NAME:PASSWORD@HOST:PORT".to_owned()
            }
            other => other.to_string(),
        };
        if self.problem.as_ref() != Some(&problem) {
            warn!("the web UI at {} can't be asked: {problem}", without_password(&self.url));
            self.problem = Some(problem);
        }
    }
}

fn without_password(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, host)| host)
}

/// Whether the file at `path` has the web UI's `title`.
pub fn is_titled(path: &str, title: &str) -> bool {
    let name = match title.rsplit_once(" [") {
        Some((name, hash)) if hash.ends_with(']') => name,
        _ => title,
    };
    path.strip_suffix(name).is_some_and(|before| !name.is_empty() && before.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
        thread,
    };

    use super::*;
    use crate::gate::presence::SETTLE;

    /// Serves each of these replies once, then stops. A connection without a request takes none.
    fn serving(answers: &'static [(&str, &str)]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (tether, _) = listener.accept().unwrap();
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                while !lines.next().unwrap().unwrap().is_empty() {}
                write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                )
                .unwrap();
            }
            drop(tether);
        });
        url
    }

    #[test]
    fn generating_is_distinguished_from_idle() {
        let url = serving(&[
            ("200 OK", r#"{"progress":0,"state":{"job":"","job_count":0,"job_no":0}}"#),
            ("200 OK", r#"{"sd_unet":"None","sd_model_checkpoint":"a.ckpt [0123]"}"#),
            ("200 OK", r#"{"progress":0.5,"state":{"job_count":2}}"#),
            ("200 OK", r#"{"progress":0,"state":{"job_count":-1}}"#),
            ("404 Not Found", "{}"),
            ("200 OK", "<html>"),
        ]);
        let mut webui = WebUi::new(&url);
        let starting = WebUiReading { at_work: true, checkpoint: None };
        assert_eq!(webui.read(), Some(starting), "no reply is taken while it may be starting");
        let settled = Instant::now() + SETTLE;
        let reading =
            |at_work| Some(WebUiReading { at_work, checkpoint: Some("a.ckpt [0123]".to_owned()) });
        assert_eq!(webui.read_at(settled), reading(false));
        assert_eq!(webui.read_at(settled), reading(true));
        assert_eq!(webui.read_at(settled), reading(true), "a job has just begun");
        assert_eq!(webui.read_at(settled), None);
        assert!(webui.problem.as_ref().unwrap().contains("--api"), "{webui:?}");
        assert_eq!(webui.read_at(settled), None);
    }

    #[test]
    fn a_restart_changes_nothing_until_it_can_be_asked_again() {
        const IDLE: &str = r#"{"state":{"job_count":0}}"#;
        let url = serving(&[("200 OK", IDLE), ("404 Not Found", "")]);
        let mut webui = WebUi::new(&url);
        webui.read();
        let idle = Some(WebUiReading::default());
        assert_eq!(webui.read_at(Instant::now() + SETTLE), idle);
        // Another server at its address, before anybody has looked.
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let listener = loop {
            if let Ok(listener) = TcpListener::bind(address) {
                break listener;
            }
        };
        let restarted = loop {
            let now = Instant::now();
            if webui.presence.look(now, TIMEOUT) == ServerState::Starting {
                break now;
            }
        };
        assert_eq!(webui.read_at(restarted), idle);
        drop(listener);
        while webui.presence.look(restarted, TIMEOUT) != ServerState::Absent {}
        assert_eq!(webui.read_at(restarted), None);
    }

    #[test]
    fn a_web_ui_that_is_not_running_gives_no_reading() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut webui = WebUi::new(&format!("http://{}/", listener.local_addr().unwrap()));
        drop(listener);
        assert_eq!(webui.read(), None);
        assert_eq!(webui.problem, None);
    }

    #[test]
    fn titles_are_paths_below_the_models_folder() {
        for (path, title, expected) in [
            ("/m/a.safetensors", "a.safetensors", true),
            ("/m/a.safetensors", "a.safetensors [0123456789]", true),
            ("/m/sub/a.safetensors", "sub/a.safetensors [0123456789]", true),
            ("/m/x [v2].ckpt", "x [v2].ckpt", true),
            ("/m/ba.safetensors", "a.safetensors", false),
            ("/m/a.safetensors", "sub/a.safetensors", false),
            ("/m/", "", false),
        ] {
            assert_eq!(is_titled(path, title), expected, "{path} {title}");
        }
    }
}
