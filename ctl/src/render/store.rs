//! What machines share.

use protocol::{PullOutcome, Pulled};

use crate::{
    commands::store::{
        KeyMade, KeyTrusted, Shared, SharedAs, Stored, StoredGarbage, StoredVerdict,
    },
    render::{
        look::{Look, Tone},
        table::Table,
        text,
    },
};

/// Digits of an id in an object's name that are shown, as elsewhere.
const SHORT: usize = 12;

pub(crate) fn key_made(made: &KeyMade) -> String {
    let KeyMade { public_key, file, trusted_in, problem } = made;
    let file = text::clean(file);
    let trusted = match (trusted_in, problem) {
        (Some(configuration), _) => {
            format!("{} trusts it now; `sdtrtctl reload` applies it\n", text::clean(configuration))
        }
        (None, problem) => {
            let problem = problem.as_deref().unwrap_or_default();
            format!("not trusted yet: {}\n", text::clean_lines(problem))
        }
    };
    format!(
        "{public_key}\n\nmade {file}, which stays on this machine; the line above is its public key\n{trusted}\
         on the machines that take what this one adds: `sdtrtctl store trust {public_key}`\n"
    )
}

pub(crate) fn key_trusted(trusted: &KeyTrusted) -> String {
    let file = text::clean(&trusted.file);
    if trusted.already_trusted {
        format!("{file} trusted it already\n")
    } else {
        format!("{file} trusts it now; `sdtrtctl reload` applies it\n")
    }
}

pub(crate) fn shared(shared: &[Shared], look: Look) -> String {
    let mut table = Table::new(&["ENGINE", "RESULT", "FOUND", "FOR"]);
    for Shared { engine, label, outcome, found, reason } in shared {
        let result = match outcome {
            SharedAs::Added => "added",
            SharedAs::There => "was there",
            SharedAs::Left => "left",
        };
        let found = if *found == 0 { "-".to_owned() } else { format!("{found} new") };
        table.row([&engine.short(), result, &found, label], reason.as_deref());
        table.tone(1, if *outcome == SharedAs::Left { Tone::Quiet } else { Tone::Good });
    }
    table.render(look)
}

pub(crate) fn pulled(pulled: &[Pulled], look: Look) -> String {
    if pulled.is_empty() {
        return "there are no engines in the store\n".to_owned();
    }
    let mut table = Table::new(&["ENGINE", "RESULT", "FOR"]);
    for Pulled { engine, label, outcome, reason } in pulled {
        let (result, tone) = match outcome {
            PullOutcome::Taken => ("taken", Tone::Good),
            PullOutcome::Here => ("was here", Tone::Good),
            PullOutcome::Left => ("left", Tone::Quiet),
            PullOutcome::Refused => ("refused", Tone::Bad),
        };
        table.row([&engine.short(), result, label], reason.as_deref());
        table.tone(1, tone);
    }
    table.render(look)
}

/// What to do about what was refused, if anything was.
pub(crate) fn pull_complaint(pulled: &[Pulled]) -> Option<String> {
    let refused = pulled.iter().filter(|one| one.outcome == PullOutcome::Refused).count();
    (refused > 0).then(|| {
        format!(
            "{refused} of {} refused; the daemon builds what it needs itself. docs/store.md says what each \
             reason means",
            text::count(pulled.len(), "engine")
        )
    })
}

pub(crate) fn listed(all: &[Stored], now: u64, look: Look) -> String {
    if all.is_empty() {
        return "the store is empty; `sdtrtctl store push` adds this machine's engines\n"
            .to_owned();
    }
    let mut table = Table::new(&["KIND", "SIZE", "SIGNED BY", "WHEN", "NAME"]);
    for Stored { kind, name, signer, time, bytes, refusal } in all {
        let ago = |time: u64| text::duration(now.saturating_sub(time)) + " ago";
        let when = time.map_or_else(|| "-".to_owned(), ago);
        let signer = signer.as_deref().unwrap_or("-");
        table.row(
            [kind, &text::size(*bytes), signer, &when, &short(name)],
            note(refusal).as_deref(),
        );
        if refusal.is_some() {
            table.tone(2, Tone::Bad);
        }
    }
    let bytes = all.iter().map(|one| one.bytes).sum();
    table.render(look) + &format!("{} in {}\n", text::size(bytes), text::count(all.len(), "object"))
}

pub(crate) fn verdicts(verdicts: &[StoredVerdict], look: Look) -> String {
    if verdicts.is_empty() {
        return "the store is empty\n".to_owned();
    }
    let mut table = Table::new(&["KIND", "RESULT", "NAME"]);
    for StoredVerdict { kind, name, refusal } in verdicts {
        let (result, tone) = match refusal {
            None => ("ok", Tone::Good),
            Some(_) => ("refused", Tone::Bad),
        };
        table.row([kind, result, &short(name)], refusal.as_deref());
        table.tone(1, tone);
    }
    table.render(look)
}

/// What to do about what is refused, if anything is.
pub(crate) fn verify_complaint(verdicts: &[StoredVerdict]) -> Option<String> {
    let refused = verdicts.iter().filter(|verdict| verdict.refusal.is_some()).count();
    (refused > 0).then(|| {
        format!(
            "{refused} of {} would be refused; docs/store.md says what each reason means, and \
             `sdtrtctl store push` on a machine with the engine writes it again",
            text::count(verdicts.len(), "object")
        )
    })
}

/// What went, or with `dry` would.
pub(crate) fn garbage(garbage: &[StoredGarbage], dry: bool, look: Look) -> String {
    if garbage.is_empty() {
        return "nothing to delete\n".to_owned();
    }
    let mut table = Table::new(&["SIZE", "NAME"]);
    for StoredGarbage { name, bytes, reason, .. } in garbage {
        table.row([&text::size(*bytes), &short(name)], Some(reason));
    }
    let verb = if dry { "would free" } else { "freed" };
    let bytes = garbage.iter().map(|one| one.bytes).sum();
    let objects = text::count(garbage.len(), "object");
    table.render(look) + &format!("{verb} {} in {objects}\n", text::size(bytes))
}

fn note(refusal: &Option<String>) -> Option<String> {
    refusal.as_ref().map(|refusal| format!("would be refused: {refusal}"))
}

/// An object's name without the end of each id in it, and without what its kind says.
fn short(name: &str) -> String {
    let is_id = |part: &str| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let part = |part: &str| {
        let stem = part.split('.').next().unwrap_or(part);
        if is_id(stem) { stem[..SHORT].to_owned() } else { part.to_owned() }
    };
    let parts: Vec<_> = name.split('/').map(part).collect();
    match parts.as_slice() {
        [_, rest @ ..] if !rest.is_empty() => rest.join("/"),
        _ => parts.join("/"),
    }
}

#[cfg(test)]
mod tests;
