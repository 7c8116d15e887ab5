//! What a shell script is made of.

/// A part of a word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Text(String),
    /// `$NAME` or `${NAME}`; of a list all, or the first.
    Variable {
        name: String,
        all: bool,
        otherwise: Otherwise,
    },
    /// `(…)` after `NAME=`.
    List(Vec<Word>),
    /// What only a shell can work out.
    Opaque(&'static str),
}

/// What stands for a variable.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Otherwise {
    Nothing,
    /// `${NAME-…}`: where it is not set.
    Unset(Word),
    /// `${NAME:-…}` and `${NAME:=…}`: where it is not set or empty.
    Empty(Word),
}

pub(super) type Word = Vec<Part>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Word(Word),
    /// What ends a command or stands between two, such as `;` or `&&`; a line's end is `\n`.
    Operator(String),
}
