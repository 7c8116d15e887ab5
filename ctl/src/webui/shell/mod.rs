//! What a shell script sets a variable to, without running it: assignments are followed as bash follows them, and
//! what depends on anything else is refused by its line.

mod lexer;
mod word;

use std::collections::BTreeMap;

use thiserror::Error;

use lexer::tokens;
use word::{Otherwise, Part, Token, Word};

/// A line that is not followed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {why}")]
pub(crate) struct Unclear {
    line: usize,
    why: String,
}

/// What a variable holds.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    List(Vec<String>),
    Unclear(Unclear),
}

/// The text that `script` leaves in the variable `name`, of which others may be `known` from the start; `None` where it
/// sets none.
///
/// # Errors
/// Names the line on which that depends on more than assignments.
pub(crate) fn variable(
    script: &str,
    name: &str,
    known: &[(&str, String)],
) -> Result<Option<String>, Unclear> {
    let known = known.iter().map(|(name, text)| ((*name).to_owned(), Value::Text(text.clone())));
    let mut shell = Interpreter { name, values: known.collect(), open: Vec::new() };
    shell.run(tokens(script));
    match shell.values.remove(name) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(Value::List(_)) => {
            let why = format!("{name} is a list, which bash does not pass on to programs");
            Err(Unclear { line: line_of(script, name), why })
        }
        Some(Value::Unclear(unclear)) => Err(unclear),
    }
}

fn line_of(script: &str, name: &str) -> usize {
    let lines: Vec<_> = script.lines().collect();
    lines.iter().rposition(|line| line.contains(name)).map_or(1, |at| at + 1)
}

struct Interpreter<'a> {
    name: &'a str,
    values: BTreeMap<String, Value>,
    /// What commands are inside of, such as `if`.
    open: Vec<String>,
}

/// What comes before a command.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    And,
    Or,
}

impl Interpreter<'_> {
    fn run(&mut self, tokens: Vec<(usize, Token)>) {
        let (mut command, mut before): (Vec<(usize, Word)>, _) = (Vec::new(), Before::Nothing);
        // What is after the last command runs it, too.
        let end = (0, Token::Operator("\n".to_owned()));
        let mut has_assigned = false;
        for (line, token) in tokens.into_iter().chain([end]) {
            let operator = match token {
                Token::Word(word) => {
                    command.push((line, word));
                    continue;
                }
                Token::Operator(operator) => operator,
            };
            if !command.is_empty() {
                let condition = match (before, has_assigned) {
                    // An assignment succeeds.
                    (Before::Nothing, _) | (Before::And, true) => None,
                    (Before::And, false) => Some("&&"),
                    (Before::Or, _) => Some("||"),
                };
                // What comes after `||` and an assignment is not run.
                if !(before == Before::Or && has_assigned) {
                    has_assigned = self.command(std::mem::take(&mut command), condition);
                }
                command.clear();
            }
            before = match &*operator {
                "&&" => Before::And,
                "||" => Before::Or,
                _ => Before::Nothing,
            };
            match &*operator {
                "(" => self.open.push(operator),
                ")" => drop(self.open.pop_if(|open| open == "(")),
                _ => {}
            }
        }
    }

    /// Runs one command, as far as it sets variables; whether it is nothing but that.
    fn command(&mut self, words: Vec<(usize, Word)>, condition: Option<&str>) -> bool {
        let mut words = words.into_iter().peekable();
        while let Some((_, word)) = words.peek() {
            let keyword = literal(word);
            match keyword.as_deref() {
                Some(word @ ("if" | "while" | "until" | "for" | "case" | "select" | "{")) => {
                    self.open.push(word.to_owned());
                }
                Some("fi" | "done" | "esac" | "}") => drop(self.open.pop()),
                Some("then" | "else" | "elif" | "do" | "!" | "time" | "function") => {}
                _ => break,
            }
            words.next();
        }
        let words: Vec<_> = words.collect();
        let is_declaration = words.first().is_some_and(|(_, word)| {
            let declares = ["export", "declare", "typeset", "readonly", "local"];
            literal(word).is_some_and(|word| declares.contains(&&*word))
        });
        let is_assigning = |word: &Word| assigned(word).is_some();
        let is_all = words.iter().all(|(_, word)| is_assigning(word));
        if is_declaration || is_all {
            for (line, word) in &words {
                self.assign(*line, word, condition);
            }
            return !words.is_empty();
        }
        self.other(&words);
        false
    }

    fn assign(&mut self, line: usize, word: &Word, condition: Option<&str>) {
        let Some((name, is_more, rest)) = assigned(word) else { return };
        let condition = condition.or(self.open.last().map(String::as_str));
        let new = match condition {
            Some(condition) => {
                let why = format!("whether {name} is set depends on `{condition}`");
                Value::Unclear(Unclear { line, why })
            }
            None => self.value(line, &rest),
        };
        let old = if is_more { self.values.remove(&name) } else { None };
        self.values.insert(name, joined(old, new));
    }

    /// A command that is no assignment.
    fn other(&mut self, words: &[(usize, Word)]) {
        let Some((line, first)) = words.first() else { return };
        let texts: Vec<_> = words.iter().filter_map(|(_, word)| literal(word)).collect();
        let unclear = |why: String| Value::Unclear(Unclear { line: *line, why });
        let program = literal(first).unwrap_or_default();
        let is_named = || texts.iter().skip(1).any(|text| text.contains(self.name));
        let new = match &*program {
            "unset" => {
                if self.open.is_empty() {
                    texts.iter().skip(1).for_each(|name| drop(self.values.remove(name)));
                    return;
                }
                is_named().then(|| {
                    unclear(format!("whether {} is unset depends on `{}`", self.name, self.open[0]))
                })
            }
            // A Python environment's sets nothing of this.
            "source" | "." if !texts.get(1).is_some_and(|file| file.ends_with("/activate")) => {
                Some(unclear(format!("`{}` reads another file", texts.join(" "))))
            }
            "echo" | "test" | "[" | "[[" => None,
            "printf" if texts.get(1).is_none_or(|option| option != "-v") => None,
            _ => is_named().then(|| unclear(format!("`{program}` may set {}", self.name))),
        };
        if let Some(new) = new {
            self.values.insert(self.name.to_owned(), new);
        }
    }

    fn value(&self, line: usize, word: &Word) -> Value {
        if let [Part::List(words)] = &word[..] {
            let mut texts = Vec::new();
            for word in words {
                match self.value(line, word) {
                    Value::Text(text) => texts.push(text),
                    Value::List(more) => texts.extend(more),
                    unclear @ Value::Unclear(_) => return unclear,
                }
            }
            return Value::List(texts);
        }
        let mut text = String::new();
        for part in word {
            match self.text(line, part) {
                Ok(part) => text.push_str(&part),
                Err(unclear) => return Value::Unclear(unclear),
            }
        }
        Value::Text(text)
    }

    fn text(&self, line: usize, part: &Part) -> Result<String, Unclear> {
        let unclear = |why: String| Unclear { line, why };
        let (name, all, otherwise) = match part {
            Part::Text(text) => return Ok(text.clone()),
            Part::List(_) => return Err(unclear("a list inside a text".to_owned())),
            Part::Opaque(what) => return Err(unclear(format!("it has {what} in it"))),
            Part::Variable { name, all, otherwise } => (name, *all, otherwise),
        };
        let held = match self.values.get(name) {
            Some(Value::Text(text)) => Some(text.clone()),
            Some(Value::List(texts)) if all => Some(texts.join(" ")),
            Some(Value::List(texts)) => Some(texts.first().cloned().unwrap_or_default()),
            Some(Value::Unclear(unclear)) => return Err(unclear.clone()),
            None => None,
        };
        let default = |word: &Word| match self.value(line, word) {
            Value::Text(text) => Ok(text),
            Value::List(texts) => Ok(texts.join(" ")),
            Value::Unclear(unclear) => Err(unclear),
        };
        match (held, otherwise) {
            (Some(text), Otherwise::Empty(word)) if text.is_empty() => default(word),
            (None, Otherwise::Empty(word) | Otherwise::Unset(word)) => default(word),
            (Some(text), _) => Ok(text),
            // What is set in this very variable before is for one start alone.
            (None, Otherwise::Nothing) if name == self.name => Ok(String::new()),
            (None, Otherwise::Nothing) => Err(unclear(format!("this file does not set ${name}"))),
        }
    }
}

/// The name, whether it is added to, and the rest of `NAME=…` or `NAME+=…`.
fn assigned(word: &Word) -> Option<(String, bool, Word)> {
    let Some(Part::Text(text)) = word.first() else { return None };
    let (name, rest) = text.split_once('=')?;
    let is_more = name.ends_with('+');
    let name = name.strip_suffix('+').unwrap_or(name);
    let mut characters = name.chars();
    let is_name = characters.next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic())
        && characters.all(|c| c == '_' || c.is_ascii_alphanumeric());
    let mut value = word[1..].to_vec();
    if !rest.is_empty() {
        match rest.strip_prefix("~/") {
            Some(below) => {
                let home = Part::Variable {
                    name: "HOME".to_owned(),
                    all: false,
                    otherwise: Otherwise::Nothing,
                };
                value.splice(0..0, [home, Part::Text(format!("/{below}"))]);
            }
            None => value.insert(0, Part::Text(rest.to_owned())),
        }
    }
    is_name.then(|| (name.to_owned(), is_more, value))
}

fn joined(old: Option<Value>, new: Value) -> Value {
    match (old, new) {
        (None, new) => new,
        (Some(old @ Value::Unclear(_)), _) => old,
        (_, new @ Value::Unclear(_)) => new,
        (Some(Value::Text(old)), Value::Text(new)) => Value::Text(old + &new),
        (Some(Value::List(mut old)), Value::List(new)) => {
            old.extend(new);
            Value::List(old)
        }
        (Some(Value::List(mut old)), Value::Text(new)) => {
            match old.first_mut() {
                Some(first) => first.push_str(&new),
                None => old.push(new),
            }
            Value::List(old)
        }
        (Some(Value::Text(old)), Value::List(mut new)) => {
            new.insert(0, old);
            Value::List(new)
        }
    }
}

/// A word that has nothing to work out in it.
fn literal(word: &Word) -> Option<String> {
    let text = |part: &Part| match part {
        Part::Text(text) => Some(text.clone()),
        _ => None,
    };
    word.iter().map(text).collect()
}

#[cfg(test)]
mod tests;
