//! The storage services, as the configuration and the server's environment describe them.

use std::sync::Arc;
use std::time::Duration;

use evercube_base::{Error, ErrorKind, Result};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientConfigKey, ObjectStore, RetryConfig};

use crate::backup::named::StorageSettings;
use crate::backup::target::{CloudPlace, Provider};

/// A client of the bucket or container of a place.
pub fn connect(at: &CloudPlace) -> Result<Arc<dyn ObjectStore>> {
    let settings = at.settings.with_secrets()?;
    match at.provider {
        Provider::Azure => azure(&at.bucket, &settings),
        Provider::S3 => s3(&at.bucket, &settings),
        Provider::Google => google(&at.bucket, &settings),
    }
}

/// Whether every setting of a target is one its service has.
pub fn check_settings(provider: Provider, settings: &StorageSettings) -> Result<()> {
    for name in settings.names() {
        let known = match provider {
            Provider::Azure => name.parse::<AzureConfigKey>().is_ok(),
            Provider::S3 => name.parse::<AmazonS3ConfigKey>().is_ok(),
            Provider::Google => name == "endpoint" || name.parse::<GoogleConfigKey>().is_ok(),
        };
        if !known {
            return Err(Error::invalid(format!(
                "'{name}' is no setting of a {}:// target",
                provider.scheme()
            )));
        }
    }
    Ok(())
}

fn retry() -> RetryConfig {
    RetryConfig { max_retries: 6, retry_timeout: Duration::from_secs(60), ..RetryConfig::default() }
}

fn unusable(provider: Provider, e: &object_store::Error) -> Error {
    Error::new(
        ErrorKind::Source,
        format!(
            "{} cannot be used: {e}; set {} in the environment of the server, or name a target in its configuration",
            provider.name(),
            provider.variables()
        ),
    )
}

fn s3(bucket: &str, settings: &[(String, String)]) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = AmazonS3Builder::from_env();
    for (name, value) in settings {
        if let Ok(key) = name.parse() {
            builder = builder.with_config(key, value);
        }
    }
    let endpoint = builder
        .get_config_value(&AmazonS3ConfigKey::S3Endpoint)
        .or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint));
    if endpoint.is_some_and(|e| is_loopback(&e)) {
        builder =
            builder.with_config(AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp), "true");
    }
    let builder = builder.with_conditional_put(S3ConditionalPut::ETagMatch);
    let built = builder.with_bucket_name(bucket).with_retry(retry()).build();
    Ok(Arc::new(built.map_err(|e| unusable(Provider::S3, &e))?))
}

/// For an emulator, which knows no accounts.
const NO_ACCOUNT: &str =
    r#"{"private_key":"","private_key_id":"","client_email":"","disable_oauth":true}"#;

fn google(bucket: &str, settings: &[(String, String)]) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = GoogleCloudStorageBuilder::from_env();
    let mut endpoint = std::env::var("STORAGE_EMULATOR_HOST").ok().filter(|e| !e.is_empty());
    for (name, value) in settings {
        if name == "endpoint" {
            endpoint = Some(value.clone());
        } else if let Ok(key) = name.parse() {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = endpoint {
        let whole = if endpoint.contains("://") { endpoint } else { format!("http://{endpoint}") };
        if is_loopback(&whole) {
            builder = builder
                .with_config(GoogleConfigKey::Client(ClientConfigKey::AllowHttp), "true")
                .with_service_account_key(NO_ACCOUNT)
                .with_skip_signature(true);
        }
        builder = builder.with_base_url(whole.trim_end_matches('/'));
    }
    let built = builder.with_bucket_name(bucket).with_retry(retry()).build();
    Ok(Arc::new(built.map_err(|e| unusable(Provider::Google, &e))?))
}

fn azure(container: &str, settings: &[(String, String)]) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = MicrosoftAzureBuilder::from_env();
    if let Ok(text) = std::env::var("AZURE_STORAGE_CONNECTION_STRING") {
        for (key, value) in connection_string(&text) {
            builder = builder.with_config(key, value);
        }
    }
    for (name, value) in settings {
        if let Ok(key) = name.parse() {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = builder.get_config_value(&AzureConfigKey::Endpoint) {
        // An emulator at an address of its own is an endpoint like any other.
        builder = builder.with_use_emulator(false);
        let account = builder.get_config_value(&AzureConfigKey::AccountName);
        if let Some(endpoint) = emulator(&endpoint, account.as_deref()) {
            builder = builder.with_endpoint(endpoint).with_allow_http(true);
        }
    }
    let built = builder.with_container_name(container).with_retry(retry()).build();
    Ok(Arc::new(built.map_err(|e| unusable(Provider::Azure, &e))?))
}

/// An address on this machine, where plain HTTP tells nobody anything.
fn is_loopback(endpoint: &str) -> bool {
    let host = endpoint.strip_prefix("http://").unwrap_or_default();
    ["127.", "localhost", "[::1]"].iter().any(|h| host.starts_with(h))
}

/// An endpoint on this machine, which is an emulator: it has the account in its path.
fn emulator(endpoint: &str, account: Option<&str>) -> Option<String> {
    if !is_loopback(endpoint) {
        return None;
    }
    let host = endpoint.strip_prefix("http://")?;
    let whole = endpoint.trim_end_matches('/');
    Some(match account {
        Some(account) if !host.trim_end_matches('/').contains('/') => format!("{whole}/{account}"),
        _ => whole.to_owned(),
    })
}

/// The settings in a connection string, `Name=value` parted by semicolons.
fn connection_string(text: &str) -> Vec<(AzureConfigKey, String)> {
    let mut found = Vec::new();
    for (name, value) in text.split(';').filter_map(|part| part.split_once('=')) {
        let key = match name.trim().to_ascii_lowercase().as_str() {
            "accountname" => AzureConfigKey::AccountName,
            "accountkey" => AzureConfigKey::AccessKey,
            "blobendpoint" => AzureConfigKey::Endpoint,
            "sharedaccesssignature" => AzureConfigKey::SasKey,
            "usedevelopmentstorage" => AzureConfigKey::UseEmulator,
            _ => continue,
        };
        found.push((key, value.trim().to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_is_read() {
        let text = "DefaultEndpointsProtocol=http;AccountName=dev;AccountKey=a2V5Cg==;BlobEndpoint=http://127.0.0.1:10000/dev;";
        let found = connection_string(text);
        let expected = [
            (AzureConfigKey::AccountName, "dev"),
            (AzureConfigKey::AccessKey, "a2V5Cg=="),
            (AzureConfigKey::Endpoint, "http://127.0.0.1:10000/dev"),
        ];
        assert!(found.iter().map(|(k, v)| (*k, v.as_str())).eq(expected));
    }

    #[test]
    fn an_emulator_is_known_by_its_address() {
        let found = |e: &str| emulator(e, Some("dev"));
        assert_eq!(found("http://127.0.0.1:1").as_deref(), Some("http://127.0.0.1:1/dev"));
        assert_eq!(found("http://localhost:1/dev/").as_deref(), Some("http://localhost:1/dev"));
        assert_eq!(found("https://dev.blob.core.windows.net"), None);
    }
}
