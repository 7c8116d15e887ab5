//! Which of a pickle's tensors a front end loads.

use crate::{
    kinds,
    pickle::{Pickle, Rebuilt, Value},
    rejection::Rejection,
};

type Items<'p, 'a> = &'p [(Value<'a>, Value<'a>)];

/// The tensors of a state dict.
pub(super) struct Found<'p, 'a> {
    /// By name, without repeated names.
    pub(super) tensors: Vec<(&'a str, &'p Rebuilt<'a>)>,
    /// The only key of the dict that the state dict is in, which ComfyUI takes, whatever it is, and A1111 only if
    /// it is `state_dict`.
    pub(super) is_alone_under: Option<String>,
}

/// Finds the state dict as front ends do: under `state_dict`, else under the only key, else it is the pickled dict.
pub(super) fn find<'p, 'a>(pickle: &'p Pickle<'a>) -> Result<Found<'p, 'a>, Rejection> {
    let top = pickle.dict(pickle.top).ok_or(Rejection::NoTensors)?;
    let named = |wanted: &str| {
        let mut items = top.iter().rev();
        items.find(|(key, _)| *key == Value::Text(wanted)).map(|item| item.1)
    };
    if named("string_to_param").is_some() {
        return Err(Rejection::Other(kinds::embedding()));
    }
    let (items, alone) = match (named("state_dict").and_then(|value| pickle.dict(value)), top) {
        (Some(items), _) => (items, None),
        (None, [(key, value)]) => match pickle.dict(*value) {
            Some(items) => (items, Some(short(*key))),
            None => (top, None),
        },
        _ => (top, None),
    };
    let tensors = tensors(pickle, items)?;
    if tensors.is_empty() {
        // They may be where no front end looks.
        let nested = top.iter().find(|(_, value)| has_tensors(pickle, *value));
        return Err(
            nested.map_or(Rejection::NoTensors, |(key, _)| Rejection::Nested { key: short(*key) })
        );
    }
    Ok(Found { tensors, is_alone_under: alone })
}

fn tensors<'p, 'a>(
    pickle: &'p Pickle<'a>,
    items: Items<'p, 'a>,
) -> Result<Vec<(&'a str, &'p Rebuilt<'a>)>, Rejection> {
    let mut tensors = Vec::new();
    for (key, value) in items {
        match (key, pickle.tensor(*value)) {
            (Value::Text(name), Some(tensor)) => tensors.push((*name, tensor)),
            (_, Some(_)) => {
                let tensor = "without a name".into();
                return Err(Rejection::BadTensor { tensor, reason: "cannot be told apart" });
            }
            // Step counters and similar entries.
            (_, None) => {}
        }
    }
    // Before any name is copied: a pickle can repeat a long name at little cost.
    tensors.sort_unstable_by_key(|(name, _)| *name);
    match tensors.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(Rejection::DuplicateName { name: pair[0].0.to_owned() }),
        None => Ok(tensors),
    }
}

fn has_tensors(pickle: &Pickle<'_>, value: Value<'_>) -> bool {
    let items = pickle.dict(value).unwrap_or_default();
    items.iter().any(|(_, value)| pickle.tensor(*value).is_some())
}

/// A key as text, cut short: it may be as long as the file.
fn short(key: Value<'_>) -> String {
    match key {
        Value::Text(text) => text.chars().take(100).collect(),
        _ => "a key that is no text".to_owned(),
    }
}
