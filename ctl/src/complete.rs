//! Shell completion of checkpoints and engines: queried from the daemon, empty if none answers.

use std::{ffi::OsStr, sync::Arc};

use clap::Parser;
use clap_complete::CompletionCandidate;
use protocol::{Checkpoint, Engine, question};

use crate::{
    args::Args,
    daemon::Daemon,
    render::text::{self, clean},
};

/// File names of checkpoints; for those that share one, or whose name can't be typed, their ids.
pub(crate) fn checkpoints(typed: &OsStr) -> Vec<CompletionCandidate> {
    matching(typed, named(&known()))
}

/// First digits of engines' keys.
pub(crate) fn engines(typed: &OsStr) -> Vec<CompletionCandidate> {
    matching(typed, keyed(&known()))
}

/// Both.
pub(crate) fn either(typed: &OsStr) -> Vec<CompletionCandidate> {
    let known = known();
    let mut all = named(&known);
    all.extend(keyed(&known));
    matching(typed, all)
}

fn known() -> Vec<Checkpoint> {
    // Flags typed so far are not seen here; the configuration and the variables are.
    let Ok(args) = Args::try_parse_from(["sdtrtctl", "list"]) else { return Vec::new() };
    let listed = Daemon::connect(&args.global).and_then(|mut daemon| daemon.ask(question::list()));
    listed.unwrap_or_default()
}

/// A completion and its description.
type Offer = (String, String);

fn named(checkpoints: &[Checkpoint]) -> Vec<Offer> {
    let name = |checkpoint: &Checkpoint| text::name(checkpoint).into_owned();
    let names: Vec<String> = checkpoints.iter().map(name).collect();
    let is_typed_so = |checkpoint: &Checkpoint, name: &str| {
        let mut files = checkpoint.locations.iter().map(|path| path.rsplit('/').next());
        files.next().flatten() == Some(name)
    };
    let offer = |(checkpoint, name): (&Checkpoint, &String)| {
        let is_unique = names.iter().filter(|other| *other == name).count() == 1;
        let typed = if is_unique && is_typed_so(checkpoint, name) {
            name.clone()
        } else {
            clean(&checkpoint.key().short()).into_owned()
        };
        let architecture = checkpoint.architecture.as_deref().unwrap_or("unknown");
        (typed, format!("{architecture}, {}", checkpoint.state))
    };
    checkpoints.iter().zip(&names).map(offer).collect()
}

fn keyed(checkpoints: &[Checkpoint]) -> Vec<Offer> {
    let of = |checkpoint: &Checkpoint| {
        let name = text::name(checkpoint).into_owned();
        let offer = move |engine: &Arc<Engine>| (engine.key.short(), name.clone());
        checkpoint.engines.iter().map(offer).collect::<Vec<_>>()
    };
    checkpoints.iter().flat_map(of).collect()
}

fn matching(typed: &OsStr, offers: Vec<Offer>) -> Vec<CompletionCandidate> {
    let typed = unquoted(&typed.to_string_lossy());
    let fitting = offers.into_iter().filter(|(offered, _)| offered.starts_with(&typed));
    fitting
        .map(|(offered, said)| CompletionCandidate::new(offered).help(Some(said.into())))
        .collect()
}

/// What somebody means who is about to type it for a shell: without the quote that it begins with, or its backslashes.
/// Some shells pass on the one or the other.
fn unquoted(typed: &str) -> String {
    if let Some(rest) = typed.strip_prefix(['"', '\'']) {
        return rest.to_owned();
    }
    let mut meant = String::with_capacity(typed.len());
    let mut characters = typed.chars();
    while let Some(c) = characters.next() {
        let escaped = if c == '\\' { characters.next() } else { Some(c) };
        meant.extend(escaped);
    }
    meant
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn names_that_are_shared_are_offered_as_ids() {
        let other = Checkpoint { weights_id: Some(samples::id('c')), ..samples::ready() };
        let one = named(&[samples::ready(), samples::rejected()]);
        assert_eq!(one[0], ("sd15.safetensors".to_owned(), "sd1, ready".to_owned()));
        let both = named(&[samples::ready(), other]);
        assert_eq!([&both[0].0, &both[1].0], ["aaaaaaaaaaaa", "cccccccccccc"]);
        assert_eq!(
            keyed(&[samples::ready()]),
            [("eeeeeeeeeeee".into(), "sd15.safetensors".into())]
        );
        assert_eq!(matching(OsStr::new("aaaa"), both).len(), 1);
    }

    #[test]
    fn a_name_is_offered_however_its_beginning_is_quoted() {
        let offers = || vec![("dream shaper (v8).safetensors".to_owned(), String::new())];
        for typed in [
            "",
            "dre",
            "dream\\ sh",
            "dream\\ shaper\\ \\(v",
            "\"dream sh",
            "'dream shaper (v8",
            "dream\\",
        ] {
            assert_eq!(matching(OsStr::new(typed), offers()).len(), 1, "{typed}");
        }
        for typed in ["shaper", "\"shaper", "dream\\  "] {
            assert!(matching(OsStr::new(typed), offers()).is_empty(), "{typed}");
        }
        let odd = Checkpoint { locations: vec!["/m/a\u{202e}b.ckpt".into()], ..samples::ready() };
        assert_eq!(named(&[odd])[0].0, "aaaaaaaaaaaa", "nobody can type this name");
    }
}
