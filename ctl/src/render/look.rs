//! What the terminal can display.

use std::borrow::Cow;

use console::Style;
use protocol::State;

/// What the reader's terminal can show.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// Its columns, if there is a terminal.
    pub(crate) width: Option<usize>,
    /// It shows colours, and the person wants them.
    pub(crate) colour: bool,
}

/// What a word means for the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Busy,
    Warning,
    Bad,
    Quiet,
    Plain,
}

impl Look {
    /// `text` in the colour of `tone`, if colours are on.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> Cow<'_, str> {
        let style = Style::new().force_styling(true);
        let style = match tone {
            _ if !self.colour || text.trim().is_empty() => return Cow::Borrowed(text),
            Tone::Plain => return Cow::Borrowed(text),
            Tone::Good => style.green(),
            Tone::Busy => style.cyan(),
            Tone::Warning => style.yellow(),
            Tone::Bad => style.red(),
            Tone::Quiet => style.dim(),
        };
        Cow::Owned(style.apply_to(text).to_string())
    }
}

impl From<State> for Tone {
    fn from(state: State) -> Self {
        match state {
            State::Ready => Self::Good,
            State::Settling | State::Identifying | State::Building => Self::Busy,
            State::Failed => Self::Bad,
            State::Rejected => Self::Warning,
            State::Off | State::Away | State::Orphaned | State::Retired => Self::Quiet,
            State::Queued => Self::Plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_where_they_are_wanted() {
        let (plain, coloured) = (Look::default(), Look { colour: true, width: None });
        assert_eq!(plain.paint(Tone::Good, "ready"), "ready");
        assert_eq!(coloured.paint(Tone::Good, "ready"), "\u{1b}[32mready\u{1b}[0m");
        assert_eq!(coloured.paint(Tone::from(State::Queued), "queued"), "queued");
    }
}
