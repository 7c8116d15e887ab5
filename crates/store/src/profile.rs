//! What the AWS command line keeps in `~/.aws`, which object_store does not read.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use configparser::ini::{Ini, IniDefault};
use object_store::aws::AmazonS3ConfigKey;

type Section = HashMap<String, Option<String>>;

/// The variables that say where credentials are from; with any of them, those of the files do not count.
const CREDENTIALS: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
];

/// What the files of `AWS_PROFILE` add to the variables of the environment.
pub(crate) fn options(
    home: Option<&Path>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Vec<(AmazonS3ConfigKey, String)> {
    let file = |name: &str, usual: &str| {
        let named = variable(name).map(PathBuf::from);
        let path = named.or_else(|| Some(home?.join(".aws").join(usual)));
        path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
    };
    let profile = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    let credentials = section(&file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), &profile);
    // There, other profiles than the default one are named `profile NAME`.
    let config = file("AWS_CONFIG_FILE", "config");
    let mut config_section = section(&config, &format!("profile {profile}"));
    if profile == "default" && config_section.is_empty() {
        config_section = section(&config, &profile);
    }
    let value = |key: &str| {
        let one = |section: &Section| section.get(key).cloned().flatten();
        one(&credentials).or_else(|| one(&config_section)).filter(|value| !value.is_empty())
    };
    let is_set = |names: &[&str]| names.iter().any(|name| variable(name).is_some());

    let mut options = Vec::new();
    if !is_set(&CREDENTIALS)
        && let (Some(id), Some(secret)) =
            (value("aws_access_key_id"), value("aws_secret_access_key"))
    {
        options.push((AmazonS3ConfigKey::AccessKeyId, id));
        options.push((AmazonS3ConfigKey::SecretAccessKey, secret));
        options.extend(value("aws_session_token").map(|token| (AmazonS3ConfigKey::Token, token)));
    }
    if !is_set(&["AWS_REGION", "AWS_DEFAULT_REGION"]) {
        options.extend(value("region").map(|region| (AmazonS3ConfigKey::Region, region)));
    }
    if !is_set(&["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"]) {
        options.extend(value("endpoint_url").map(|url| (AmazonS3ConfigKey::Endpoint, url)));
    }
    options
}

/// The lines of a file's section; none if the file is not understood.
fn section(text: &str, name: &str) -> Section {
    let mut defaults = IniDefault::default();
    // A secret key can have any of these characters, and a profile may be called as the parser's own section.
    defaults.comment_symbols = vec!['#', ';'];
    defaults.inline_comment_symbols = Some(Vec::new());
    defaults.delimiters = vec!['='];
    defaults.default_section = String::from("\0");
    defaults.case_sensitive = true;
    let mut sections = Ini::new_from_defaults(defaults).read(text.to_owned()).unwrap_or_default();
    sections.remove(name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS_FILE: &str = "
[default]
aws_access_key_id = DEFAULT
aws_secret_access_key = a+b/c=#;:d ; e
# comment
[other]
aws_access_key_id=OTHER
aws_secret_access_key=secret
aws_session_token=token
[half]
aws_access_key_id=HALF
";
    const CONFIG_FILE: &str = "
[default]
region = eu-central-1
[profile other]
region = eu-north-1
endpoint_url = https://minio.example:9000
s3 =
  addressing_style = path
[profile keys]
aws_access_key_id = KEYS
aws_secret_access_key = secret
";

    #[test]
    fn the_profile_adds_to_the_environment() {
        use AmazonS3ConfigKey::{AccessKeyId, Endpoint, Region, SecretAccessKey, Token};
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        fs::write(home.path().join(".aws/credentials"), CREDENTIALS_FILE).unwrap();
        fs::write(home.path().join(".aws/config"), CONFIG_FILE).unwrap();
        let default = [(AccessKeyId, "DEFAULT"), (SecretAccessKey, "a+b/c=#;:d ; e")];
        let region = (Region, "eu-central-1");
        let other = [
            (AccessKeyId, "OTHER"),
            (SecretAccessKey, "secret"),
            (Token, "token"),
            (Region, "eu-north-1"),
            (Endpoint, "https://minio.example:9000"),
        ];
        for (variables, expected) in [
            (vec![], [&default[..], &[region]].concat()),
            (vec![("AWS_PROFILE", "default")], [&default[..], &[region]].concat()),
            (vec![("AWS_PROFILE", "other")], other.to_vec()),
            (
                vec![("AWS_PROFILE", "keys")],
                vec![(AccessKeyId, "KEYS"), (SecretAccessKey, "secret")],
            ),
            (vec![("AWS_PROFILE", "half")], vec![]),
            (vec![("AWS_PROFILE", "unknown")], vec![]),
            (vec![("AWS_ACCESS_KEY_ID", "ENV")], vec![region]),
            (vec![("AWS_WEB_IDENTITY_TOKEN_FILE", "/x")], vec![region]),
            (vec![("AWS_REGION", "x")], default.to_vec()),
            (
                vec![
                    ("AWS_PROFILE", "other"),
                    ("AWS_ENDPOINT_URL", "http://x"),
                    ("AWS_REGION", "x"),
                ],
                other[..3].to_vec(),
            ),
            (vec![("AWS_CONFIG_FILE", "/nowhere")], default.to_vec()),
            (vec![("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")], vec![region]),
        ] {
            let variable = |name: &str| {
                variables
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value).to_owned())
            };
            let expected: Vec<_> =
                expected.into_iter().map(|(key, value)| (key, value.to_owned())).collect();
            assert_eq!(options(Some(home.path()), &variable), expected, "{variables:?}");
        }
        assert!(options(None, &|_| None).is_empty());
        assert!(options(Some(Path::new("/nowhere")), &|_| None).is_empty());
    }
}
