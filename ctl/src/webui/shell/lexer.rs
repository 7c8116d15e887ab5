//! The words of a shell script.

use std::{iter::Peekable, str::Chars};

use super::word::{Otherwise, Part, Token, Word};

/// The tokens, each with its line from 1.
pub(super) fn tokens(script: &str) -> Vec<(usize, Token)> {
    let script = script.replace("\r\n", "\n");
    let mut lexer = Lexer { rest: script.chars().peekable(), line: 1, here: Vec::new() };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.token() {
        tokens.push(token);
    }
    tokens
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
    /// Texts that begin at the next line, by the line that ends each.
    here: Vec<String>,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn next_if(&mut self, wanted: char) -> bool {
        let is_it = self.rest.peek() == Some(&wanted);
        if is_it {
            self.next();
        }
        is_it
    }

    fn while_(&mut self, is_wanted: impl Fn(char) -> bool) -> String {
        let mut found = String::new();
        while self.rest.peek().is_some_and(|c| is_wanted(*c)) {
            found.extend(self.next());
        }
        found
    }

    fn token(&mut self) -> Option<(usize, Token)> {
        loop {
            let line = self.line;
            let c = *self.rest.peek()?;
            match c {
                ' ' | '\t' => drop(self.next()),
                '#' => drop(self.while_(|c| c != '\n')),
                '\n' => {
                    self.next();
                    self.skip_here_texts();
                    return Some((line, Token::Operator("\n".to_owned())));
                }
                ';' | '&' | '|' | '(' | ')' => {
                    let c = self.next()?;
                    let is_double = c != '(' && c != ')' && self.next_if(c);
                    let operator = if is_double { format!("{c}{c}") } else { c.to_string() };
                    return Some((line, Token::Operator(operator)));
                }
                '<' | '>' => self.redirection(),
                '\\' if self.is_continued() => {}
                _ => return Some((line, Token::Word(self.word(|_| false)))),
            }
        }
    }

    /// Whether a backslash ends the line here, which is then taken.
    fn is_continued(&mut self) -> bool {
        let mut ahead = self.rest.clone();
        ahead.next();
        let is_it = ahead.next() == Some('\n');
        if is_it {
            self.next();
            self.next();
        }
        is_it
    }

    /// Where input comes from or output goes.
    fn redirection(&mut self) {
        let arrows = self.while_(|c| matches!(c, '<' | '>' | '-' | '&'));
        self.while_(|c| c == ' ' || c == '\t');
        let target = self.word(|_| false);
        if arrows.starts_with("<<") && !arrows.starts_with("<<<") {
            let text = target.iter().filter_map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                _ => None,
            });
            self.here.push(text.collect());
        }
    }

    fn skip_here_texts(&mut self) {
        for end in std::mem::take(&mut self.here) {
            while self.rest.peek().is_some() {
                let line = self.while_(|c| c != '\n');
                self.next();
                if line.trim_start_matches('\t') == end {
                    break;
                }
            }
        }
    }

    /// A word up to what ends one, or to a character that `ends` this one.
    fn word(&mut self, ends: impl Fn(char) -> bool) -> Word {
        let mut word = Word::new();
        while let Some(c) = self.rest.peek().copied() {
            if ends(c) {
                break;
            }
            match c {
                '(' if is_assignment(&word) => {
                    self.next();
                    word.push(self.list());
                }
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                '\\' => {
                    self.next();
                    match self.next() {
                        Some('\n') | None => {}
                        Some(c) => push(&mut word, c),
                    }
                }
                '\'' => {
                    self.next();
                    let text = self.while_(|c| c != '\'');
                    self.next();
                    word.push(Part::Text(text));
                }
                '"' => {
                    self.next();
                    self.quoted(&mut word);
                }
                '`' | '$' => {
                    let part = self.expansion();
                    word.push(part);
                }
                c => {
                    self.next();
                    push(&mut word, c);
                }
            }
        }
        word
    }

    /// What is between double quotes, the first of which is taken.
    fn quoted(&mut self, word: &mut Word) {
        word.push(Part::Text(String::new()));
        while let Some(c) = self.rest.peek().copied() {
            match c {
                '"' => {
                    self.next();
                    return;
                }
                '\\' => {
                    self.next();
                    match self.next() {
                        Some('\n') | None => {}
                        Some(c @ ('"' | '\\' | '$' | '`')) => push(word, c),
                        Some(c) => {
                            push(word, '\\');
                            push(word, c);
                        }
                    }
                }
                '`' | '$' => {
                    let part = self.expansion();
                    word.push(part);
                }
                c => {
                    self.next();
                    push(word, c);
                }
            }
        }
        word.push(Part::Opaque("a quote that is not closed"));
    }

    fn list(&mut self) -> Part {
        let mut words = Vec::new();
        loop {
            match self.token() {
                Some((_, Token::Word(word))) => words.push(word),
                Some((_, Token::Operator(operator))) if operator == "\n" => {}
                Some((_, Token::Operator(operator))) if operator == ")" => {
                    return Part::List(words);
                }
                _ => return Part::Opaque("a list that is not closed"),
            }
        }
    }

    /// What begins with `$` or a backtick.
    fn expansion(&mut self) -> Part {
        if self.next() == Some('`') {
            self.while_(|c| c != '`');
            self.next();
            return Part::Opaque("the output of a command");
        }
        match self.rest.peek().copied() {
            Some('(') => {
                self.skip('(', ')');
                Part::Opaque("the output of a command")
            }
            Some('{') => {
                self.next();
                self.braced()
            }
            Some('\'') => {
                self.next();
                let text = self.while_(|c| c != '\'');
                self.next();
                if text.contains('\\') {
                    Part::Opaque("a text in `$'…'`")
                } else {
                    Part::Text(text)
                }
            }
            Some('"') => Part::Text(String::new()),
            Some(c) if c == '_' || c.is_ascii_alphabetic() => {
                let name = self.while_(is_in_name);
                Part::Variable { name, all: false, otherwise: Otherwise::Nothing }
            }
            Some(c) if c.is_ascii_digit() || "@*#?$!-".contains(c) => {
                self.next();
                Part::Opaque("what the script is called with")
            }
            _ => Part::Text("$".to_owned()),
        }
    }

    /// `NAME…}` after `${`.
    fn braced(&mut self) -> Part {
        let name = self.while_(is_in_name);
        let all = self.rest.peek() == Some(&'[') && {
            let index = self.while_(|c| c != '}' && c != ']');
            self.next_if(']') && matches!(&*index, "[@" | "[*")
        };
        let is_set = self.next_if(':');
        let otherwise = match self.rest.peek().copied() {
            Some('}') if !is_set => Some(Otherwise::Nothing),
            Some('-' | '=') => {
                self.next();
                let word = self.default_word();
                Some(if is_set { Otherwise::Empty(word) } else { Otherwise::Unset(word) })
            }
            _ => None,
        };
        let Some(otherwise) = otherwise.filter(|_| !name.is_empty()) else {
            self.while_(|c| c != '}' && c != '\n');
            self.next_if('}');
            return Part::Opaque("a change of a variable in `${…}`");
        };
        self.next_if('}');
        Part::Variable { name, all, otherwise }
    }

    /// A default, in which white space is no end.
    fn default_word(&mut self) -> Word {
        let mut word = Word::new();
        loop {
            word.extend(self.word(|c| c == '}'));
            match self.rest.peek().copied() {
                None | Some('}') => return word,
                Some(c) => {
                    self.next();
                    push(&mut word, c);
                }
            }
        }
    }

    /// Skips what is between brackets, the first of which comes next.
    fn skip(&mut self, open: char, close: char) {
        let mut depth = 0_usize;
        while let Some(c) = self.next() {
            if c == '\'' {
                self.while_(|c| c != '\'');
                self.next();
            } else if c == open {
                depth += 1;
            } else if c == close {
                depth -= 1;
                if depth == 0 {
                    return;
                }
            }
        }
    }
}

fn push(word: &mut Word, c: char) {
    match word.last_mut() {
        Some(Part::Text(text)) => text.push(c),
        _ => word.push(Part::Text(c.to_string())),
    }
}

/// Whether a word is `NAME=` or `NAME+=`.
fn is_assignment(word: &Word) -> bool {
    let [Part::Text(text)] = &word[..] else { return false };
    text.strip_suffix('=').is_some_and(|name| {
        let name = name.strip_suffix('+').unwrap_or(name);
        !name.is_empty() && name.chars().all(is_in_name)
    })
}

fn is_in_name(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}
