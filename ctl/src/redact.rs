//! Without passwords and tokens: what is sent to strangers.

use std::{borrow::Cow, sync::LazyLock};

use regex::{Captures, Regex};

const GONE: &str = "…";

/// Whoever is named in a URL, to the last `@` before a space or quote: a password may hold any other character.
const USERINFO: &str = r#"(?P<keep>[A-Za-z][A-Za-z0-9+.-]*:/{1,3})(?:[^\s"'<>]|\\.)*@"#;

/// What programs call secrets, with its value: in a configuration, an environment, a URL, JSON or a header.
const NAMED: &str = r#"(?ix)
    (?P<keep>
        (?:[a-z0-9_.-]* (?: passw(?:or)?d | passphrase | pwd | secret | token | api[_-]?key | access[_-]?key
            | private[_-]?key | credentials? | authorization | cookie | session[_-]?id ) | \bauth | \bkey | \bsig(?:nature)? )
        ["']? \s* [=:] \s*
    )
    (?: "(?:[^"\\]|\\.)*" | '[^']*' | (?:(?:bearer|basic|token)\s+)? [^\s,;&"'}\]]+ )"#;

/// Flags of web UIs that take a name and a password.
const FLAGS: &str =
    r#"(?P<keep>--(?:gradio-|api-)?auth(?:-path)?(?:[ =]+))(?:"[^"]*"|'[^']*'|[^\s"']+)"#;

/// Tokens that are known by their form.
const FORMS: &str = r"(?x)
    (?P<keep>\b (?:hf_ | gh[pousr]_ | github_pat_ | sk- | xox[abp]- | AKIA | glpat-) ) [A-Za-z0-9_-]{12,}
    | (?P<jwt>\beyJ) [A-Za-z0-9_-]+ \. [A-Za-z0-9_-]+ \. [A-Za-z0-9_-]*";

static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [USERINFO, FLAGS, FORMS, NAMED].iter().filter_map(|each| Regex::new(each).ok()).collect()
});

/// Without any secrets that can be told by how they are written, and without those that are `known`.
pub(crate) fn redact(text: &str, known: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in known {
        text = text.replace(secret.as_str(), GONE);
    }
    for pattern in PATTERNS.iter() {
        let without = |found: &Captures<'_>| {
            let keep = found.name("keep").or(found.name("jwt")).map_or("", |keep| keep.as_str());
            let whole = found.get(0).map_or("", |whole| whole.as_str());
            if is_harmless(whole, &whole[keep.len()..]) {
                return whole.to_owned();
            }
            let quote = whole[keep.len()..].chars().next().filter(|c| matches!(c, '"' | '\''));
            let quote = quote.map(String::from).unwrap_or_default();
            let at = if whole.ends_with('@') { "@" } else { "" };
            format!("{keep}{quote}{GONE}{quote}{at}")
        };
        if let Cow::Owned(replaced) = pattern.replace_all(&text, without) {
            text = replaced;
        }
    }
    text
}

/// What is called like a secret here and is none: an engine's key, which is a hash, and what is gone already.
fn is_harmless(found: &str, value: &str) -> bool {
    let value = value.trim_matches(['"', '\'']);
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_hash = value.len() >= 12 && value.bytes().all(is_digit);
    let name = found.to_ascii_lowercase();
    let is_ours = name.starts_with("key") || name.starts_with("sig");
    is_hash && is_ours || value.starts_with(GONE) || matches!(value, "null" | "true" | "false")
}

/// The secrets in the URLs of a text.
pub(crate) fn in_text(text: &str) -> Vec<String> {
    let Some(userinfo) = PATTERNS.first() else { return Vec::new() };
    userinfo.find_iter(text).flat_map(|found| in_url(found.as_str())).collect()
}

/// The secrets in a URL, in the forms that a program may write them in.
fn in_url(url: &str) -> Vec<String> {
    let Some((_, rest)) = url.split_once("://") else { return Vec::new() };
    let Some((userinfo, _)) = rest.rsplit_once('@') else { return Vec::new() };
    let password = userinfo.split_once(':').map_or(userinfo, |(_, password)| password);
    let decoded = percent_encoding::percent_decode_str(password).decode_utf8_lossy().into_owned();
    let encoded =
        percent_encoding::utf8_percent_encode(&decoded, percent_encoding::NON_ALPHANUMERIC)
            .to_string();
    let mut found = vec![userinfo.to_owned(), password.to_owned(), decoded, encoded];
    // Fewer characters are found everywhere.
    found.retain(|secret| secret.chars().count() > 3);
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_survives_however_it_is_written() {
        for text in [
            "webui_url = \"http://me:SECRET@host:7860\"",
            "webui_url = \"http://me:SEC@RET@host:7860\"",
            "webui_url = 'http://me:a@SECRET/x@host'",
            "http://SECRET@host/",
            "http://me:%53SECRET%40@host two http://x:SECRET@b",
            "webui_url = \"http://me:SE\\\"SECRET@host\"",
            "ftp://u:SECRET@h, socks5h://u:SECRET@h",
            "GET /sdapi/v1/options?token=SECRET&x=1",
            "HF_TOKEN=SECRET",
            "CIVITAI_API_KEY: SECRET",
            "\"password\": \"SECRET with spaces\",",
            "password='SECRET'",
            "Authorization: Bearer SECRET",
            "authorization: Basic SECRET==",
            "Set-Cookie: SECRET; path=/",
            "--gradio-auth me:SECRET --api",
            "--api-auth=me:SECRET",
            "hf_SECRETSECRETSECRET and ghp_SECRETSECRET1234",
            "eyJSECRET.SECRET.SECRET",
            "aws_secret_access_key = SECRET",
        ] {
            let told = redact(text, &[]);
            assert!(!told.contains("SECRET"), "{text}: {told}");
            assert!(told.contains(GONE), "{text}: {told}");
        }
    }

    #[test]
    fn what_a_bug_report_is_for_stays() {
        for text in [
            "webui_url = \"http://127.0.0.1:7860\"\nquota = \"50 GB\"\n",
            "tokens = 75\nbatch = { min = 1 }",
            "{\"key\":\"01a2680123456789abcdef\",\"tokens\":77}",
            "\"signature\": \"0303030303030303\",",
            "/models/a@b.safetensors: rejected",
            "me@example.org wrote",
            "models_dirs = [\"/m\"] # mine",
        ] {
            assert_eq!(redact(text, &[]), text);
        }
        let told = redact("a = \"http://me:x@host:7860/path\"\nquota = 1", &[]);
        assert_eq!(told, format!("a = \"http://{GONE}@host:7860/path\"\nquota = 1"));
    }

    #[test]
    fn the_password_that_is_configured_is_gone_in_every_form() {
        let known = in_url("http://me:p%40ss word@host:7860");
        for text in ["p%40ss word", "said p@ss word", "p%40ss%20word"] {
            assert!(redact(text, &known).contains(GONE), "{text}: {known:?}");
        }
        assert!(in_url("http://host:7860").is_empty());
    }
}
