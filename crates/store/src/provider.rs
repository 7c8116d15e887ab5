//! The object stores behind addresses, with each provider's usual credentials.

use std::{env, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, HeaderMap, HeaderValue, ObjectStore,
    RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    http::HttpBuilder,
};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::{Limits, StoreError, address::Provider, fault::no_client, profile};

/// What takes longer than this is ended by the callers' own limits, which know what is read.
const REQUEST: &str = "1 day";

/// The bucket or container of this name.
pub(crate) fn bucket(
    provider: Provider,
    name: &str,
    limits: &Limits,
) -> Result<Arc<dyn ObjectStore>, StoreError> {
    set_tls();
    let (retry, options) = (retry(limits), client_options(limits));
    let built: object_store::Result<Arc<dyn ObjectStore>> = match provider {
        Provider::S3 => {
            let mut builder = AmazonS3Builder::from_env().with_bucket_name(name).with_retry(retry);
            let home = env::home_dir();
            let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
            for (key, value) in profile::options(home.as_deref(), &variable) {
                builder = builder.with_config(key, value);
            }
            for (key, value) in options {
                builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
            }
            builder.build().map(|store| Arc::new(store) as _)
        }
        Provider::Google => {
            let mut builder =
                GoogleCloudStorageBuilder::from_env().with_bucket_name(name).with_retry(retry);
            for (key, value) in options {
                builder = builder.with_config(GoogleConfigKey::Client(key), value);
            }
            builder.build().map(|store| Arc::new(store) as _)
        }
        Provider::Azure => {
            let mut builder =
                MicrosoftAzureBuilder::from_env().with_container_name(name).with_retry(retry);
            for (key, value) in options {
                builder = builder.with_config(AzureConfigKey::Client(key), value);
            }
            builder.build().map(|store| Arc::new(store) as _)
        }
    };
    built.map_err(|error| no_client(&error))
}

/// The folder of a web server at this address.
pub(crate) fn web(address: &Url, limits: &Limits) -> Result<Arc<dyn ObjectStore>, StoreError> {
    set_tls();
    let mut options = ClientOptions::new();
    for (key, value) in client_options(limits) {
        options = options.with_config(key, value);
    }
    // Whoever writes http:// has decided so.
    options = options.with_allow_http(address.scheme() == "http");
    let mut url = address.clone();
    if let Some(authorization) = authorization(address) {
        options = options.with_default_headers(authorization);
        // Neither can fail for an address with a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
    }
    let builder = HttpBuilder::new().with_url(url).with_client_options(options);
    let built = builder.with_retry(retry(limits)).build();
    built.map(|store| Arc::new(store) as _).map_err(|error| no_client(&error))
}

/// The header for the address' user and password.
fn authorization(address: &Url) -> Option<HeaderMap> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let password = address.password().unwrap_or_default();
    if address.username().is_empty() && password.is_empty() {
        return None;
    }
    let both = [&decoded(address.username())[..], b":", &decoded(password)].concat();
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(both))).ok()?;
    // Not to be shown, nor sent to where the server redirects.
    value.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert("authorization", value);
    Some(headers)
}

/// reqwest panics without it. A program that has its own keeps it.
fn set_tls() {
    // An error says that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn retry(limits: &Limits) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: limits.retry_within,
            base: 2.0,
        },
        max_retries: limits.retries,
        retry_timeout: limits.retry_within,
    }
}

fn client_options(limits: &Limits) -> [(ClientConfigKey, String); 3] {
    let text = |duration: Duration| format!("{} ms", duration.as_millis());
    [
        (ClientConfigKey::ConnectTimeout, text(limits.connect)),
        (ClientConfigKey::ReadTimeout, text(limits.stall)),
        (ClientConfigKey::Timeout, REQUEST.to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_and_a_password_go_into_a_header() {
        for (address, expected) in [
            ("https://host/x", None),
            ("https://user@host/x", Some("Basic dXNlcjo=")),
            ("https://us%65r:p%40ss@host/x", Some("Basic dXNlcjpwQHNz")),
        ] {
            let headers = authorization(&address.parse().unwrap());
            let value = headers.as_ref().map(|headers| headers["authorization"].to_str().unwrap());
            assert_eq!(value, expected, "{address}");
            assert!(!format!("{headers:?}").contains("dXNl"), "{headers:?}");
        }
    }

    #[test]
    fn a_web_server_is_opened_without_being_asked() {
        let limits = Limits::default();
        web(&"https://user:pw@host/x?sig=1".parse().unwrap(), &limits).unwrap();
        web(&"http://host/".parse().unwrap(), &limits).unwrap();
    }
}
