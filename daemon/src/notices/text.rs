//! Notices in words.

use protocol::State;

use super::Notice;

/// At most this many checkpoints are named.
const NAMED: usize = 3;

impl Notice {
    /// The file's name.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// What the desktop shows of these notices: a title, and lines below it.
pub(super) fn shown(notices: &[Notice]) -> Vec<(String, String)> {
    let of = |state: State, title: &str, titles: &str| {
        let of: Vec<_> = notices.iter().filter(|notice| notice.state == state).collect();
        let title = match of.len() {
            0 => return None,
            1 => title.to_owned(),
            count => format!("{count} {titles}"),
        };
        let mut lines: Vec<_> = of.iter().take(NAMED).map(|notice| line(notice)).collect();
        if of.len() > NAMED {
            lines.push(format!("and {} more", of.len() - NAMED));
        }
        Some((title, lines.join("\n")))
    };
    let ready = of(State::Ready, "A checkpoint has its engines", "checkpoints have their engines");
    let failed = of(State::Failed, "An engine has failed", "checkpoints lack engines that failed");
    ready.into_iter().chain(failed).collect()
}

/// Notification servers may read it as markup.
fn line(notice: &Notice) -> String {
    let name = terminal::clean(notice.name()).into_owned();
    let line = match notice.state {
        State::Failed => format!("{name}: {}", terminal::clean(&notice.reason)),
        _ => name,
    };
    line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(path: &str, state: State) -> Notice {
        Notice { path: path.to_owned(), state, reason: "out of memory <&>".to_owned() }
    }

    #[test]
    fn many_are_told_at_once_and_few_named() {
        let ready = |name| notice(&format!("/m/sub/{name}.safetensors"), State::Ready);
        assert_eq!(
            shown(&[ready("a")]),
            [("A checkpoint has its engines".to_owned(), "a.safetensors".to_owned())]
        );
        let all = [
            ready("a"),
            notice("/m/b.ckpt", State::Failed),
            ready("c"),
            ready("d"),
            ready("e"),
            ready("f"),
        ];
        assert_eq!(
            shown(&all),
            [
                (
                    "5 checkpoints have their engines".to_owned(),
                    "a.safetensors\nc.safetensors\nd.safetensors\nand 2 more".to_owned()
                ),
                (
                    "An engine has failed".to_owned(),
                    "b.ckpt: out of memory &lt;&amp;&gt;".to_owned()
                ),
            ]
        );
    }
}
