use toml_edit::{Array, DocumentMut, Item, value};

use super::EditError;

const STORE: &str = "store";
const KEYS: &str = "trusted_keys";

/// Returns a file's text with this public key among those that its `[store]` trusts; the same text if it is there.
///
/// # Errors
/// If the text is no TOML, or has no `[store]` in the usual form.
pub fn with_trusted_key(text: &str, key: &str) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse()?;
    let store = document.get_mut(STORE).and_then(Item::as_table_like_mut);
    let keys = store.ok_or(EditError::NoStore)?.entry(KEYS).or_insert_with(|| value(Array::new()));
    let keys = keys.as_array_mut().ok_or(EditError::NoKeys)?;
    if keys.iter().any(|known| known.as_str() == Some(key)) {
        return Ok(text.to_owned());
    }
    // A list in lines stays one.
    let before = keys.iter().last().and_then(|last| last.decor().prefix()?.as_str());
    let indent = before.and_then(|before| Some(format!("\n{}", before.rsplit_once('\n')?.1)));
    keys.push(key);
    if let Some((indent, last)) = indent.zip(keys.iter_mut().last()) {
        last.decor_mut().set_prefix(indent);
    }
    if let Some(store) = document.get_mut(STORE).and_then(Item::as_inline_table_mut) {
        store.fmt();
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const OTHER: &str = "RWSf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn a_key_is_added_once_and_all_else_stays() {
        let lists = [
            ("", format!("trusted_keys = [\"{KEY}\"]\n")),
            (
                &*format!("trusted_keys = ['{OTHER}'] # ours\n"),
                format!("trusted_keys = ['{OTHER}', \"{KEY}\"] # ours\n"),
            ),
            (
                &*format!("trusted_keys = [\n  # ours\n  '{OTHER}',\n]\n"),
                format!("trusted_keys = [\n  # ours\n  '{OTHER}',\n  \"{KEY}\",\n]\n"),
            ),
        ];
        for (before, after) in lists {
            let text =
                |keys: &str| format!("models_dirs = ['/m']\n[store] # NAS\nurl = 's3://x'\n{keys}");
            let with = with_trusted_key(&text(before), KEY).unwrap();
            assert_eq!(with, text(&after));
            assert_eq!(with_trusted_key(&with, KEY).unwrap(), with, "once");
            let config: Config = toml::from_str(&with).unwrap();
            config.check().unwrap();
            assert!(config.store.unwrap().trusted_keys.contains(&KEY.to_owned()));
        }
    }

    #[test]
    fn an_inline_table_is_one_too() {
        let with = with_trusted_key("store = { url = 's3://x' } # NAS\n", KEY).unwrap();
        assert_eq!(
            with,
            format!("store = {{ url = 's3://x', trusted_keys = [\"{KEY}\"] }} # NAS\n")
        );
    }

    #[test]
    fn where_there_is_no_place_for_it_nothing_is_written() {
        for (text, said) in [
            ("models_dirs = ['/m']\n", "no [store]"),
            ("store = 's3://x'\n", "no [store]"),
            ("[store]\nurl = 's3://x'\ntrusted_keys = 'RW'\n", "no list"),
            ("no TOML", "expected"),
        ] {
            let error = with_trusted_key(text, KEY).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
