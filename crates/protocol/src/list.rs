use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Checkpoint, Engine};

/// What [`Request::List`](crate::Request::List) shows. On the wire it contains each engine once: thousands of
/// checkpoints may share one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(into = "Wire", try_from = "Wire")]
pub struct List(pub Vec<Checkpoint>);

/// A list whose checkpoints refer to their engines.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Wire {
    /// Each without its engines.
    checkpoints: Vec<Checkpoint>,
    /// For each checkpoint, the indices of its engines in `engines`.
    engines_of: Vec<Vec<usize>>,
    engines: Vec<Arc<Engine>>,
}

impl From<List> for Wire {
    fn from(List(mut checkpoints): List) -> Self {
        let mut engines: Vec<Arc<Engine>> = Vec::new();
        let mut places = std::collections::HashMap::new();
        let engines_of = checkpoints.iter_mut().map(|checkpoint| {
            let its_own = std::mem::take(&mut checkpoint.engines);
            let place = |engine: Arc<Engine>| {
                *places.entry(Arc::as_ptr(&engine)).or_insert_with(|| {
                    engines.push(engine);
                    engines.len() - 1
                })
            };
            its_own.into_iter().map(place).collect()
        });
        Self { engines_of: engines_of.collect(), checkpoints, engines }
    }
}

impl TryFrom<Wire> for List {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        let Wire { mut checkpoints, engines_of, engines } = wire;
        if checkpoints.len() != engines_of.len() {
            return Err("`engines_of` must have one entry for each checkpoint".to_owned());
        }
        for (checkpoint, places) in checkpoints.iter_mut().zip(engines_of) {
            let engine = |place: usize| {
                engines.get(place).cloned().ok_or_else(|| format!("there is no engine {place}"))
            };
            checkpoint.engines = places.into_iter().map(engine).collect::<Result<_, _>>()?;
        }
        Ok(Self(checkpoints))
    }
}

impl FromIterator<Checkpoint> for List {
    fn from_iter<T: IntoIterator<Item = Checkpoint>>(checkpoints: T) -> Self {
        Self(checkpoints.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use checkpoint::Id;

    use super::*;
    use crate::State;

    fn id(digit: char) -> Id {
        digit.to_string().repeat(64).parse().unwrap()
    }

    fn engine(key: char) -> Arc<Engine> {
        Arc::new(Engine {
            key: id(key),
            state: State::Ready,
            proof: None,
            validations: Vec::new(),
            unusable: Vec::new(),
            timings: Vec::new(),
            path: String::new(),
            bytes: 0,
            presets: Vec::new(),
            fixed: None,
            shared: true,
            flavour: String::new(),
            version: String::new(),
            compute_capabilities: Vec::new(),
            outdated: None,
            pinned: false,
            built_at: 0,
            last_used: 0,
            orphaned_since: None,
        })
    }

    fn checkpoint(weights: char, engines: &[&Arc<Engine>]) -> Checkpoint {
        Checkpoint {
            weights_id: Some(id(weights)),
            unet_id: None,
            architecture: None,
            state: State::Ready,
            reason: None,
            remarks: Vec::new(),
            locations: Vec::new(),
            engines: engines.iter().copied().cloned().collect(),
            coming: Vec::new(),
        }
    }

    #[test]
    fn an_engine_that_many_have_is_told_once() {
        let [shared, other] = ['5', '0'].map(engine);
        let list: List = [
            checkpoint('a', &[&shared]),
            checkpoint('b', &[&other, &shared]),
            checkpoint('c', &[]),
        ]
        .into_iter()
        .collect();
        let wire = serde_json::to_value(&list).unwrap();
        assert_eq!(wire["engines_of"], serde_json::json!([[0], [1, 0], []]));
        assert_eq!(wire["engines"].as_array().unwrap().len(), 2);
        assert_eq!(wire["checkpoints"][1]["engines"], serde_json::json!([]));
        let told: List = serde_json::from_value(wire).unwrap();
        assert_eq!(told, list);
        assert!(Arc::ptr_eq(&told.0[0].engines[0], &told.0[1].engines[1]));
    }

    #[test]
    fn a_list_that_does_not_add_up_is_refused() {
        for (engines_of, why) in [
            (serde_json::json!([[0]]), "there is no engine 0"),
            (serde_json::json!([]), "one entry for each checkpoint"),
        ] {
            let wire = serde_json::json!({
                "checkpoints": [checkpoint('a', &[])], "engines_of": engines_of, "engines": []
            });
            let error = serde_json::from_value::<List>(wire).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
