//! `evercube config`: the settings a server started here would have, and where each came from.

use crate::client::Secrets;
use crate::config::{Flags, Settings};
use crate::failure::Outcome;
use crate::output::print;

/// Print the effective settings and where each came from
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  EVERCUBE_LISTEN=127.0.0.1:9000 evercube config")]
pub struct Config {
    #[command(flatten)]
    flags: Flags,
}

pub fn run(args: &Config) -> Outcome {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let settings = Settings::resolve(&args.flags, |name| std::env::var(name).ok(), processors)?;
    print(&text(&settings, &Secrets::from_environment()))?;
    settings.for_serve().map(drop)
}

fn text(settings: &Settings, secrets: &Secrets) -> String {
    let mut out = String::new();
    for (name, many, setting) in settings.iter() {
        let Some(setting) = setting else {
            out.push_str(&format!("# {name} is not set\n"));
            continue;
        };
        let quoted: Vec<String> =
            setting.values.iter().map(|v| toml::Value::String(v.clone()).to_string()).collect();
        let value = match setting.values.first() {
            _ if Settings::is_secret(name) => "\"********\"".to_owned(),
            _ if many => format!("[{}]", quoted.join(", ")),
            Some(v) if matches!(name, "no_auth" | "threads") => v.clone(),
            _ => quoted.concat(),
        };
        out.push_str(&format!("{name} = {value}  # {}\n", setting.origin));
    }
    for (name, of) in settings.targets() {
        out.push_str(&format!("\n[targets.{name}]\n"));
        for (key, value) in of {
            // Whatever is not known to be harmless is taken for a secret.
            let shown = ["url", "endpoint", "region", "allow_http"].contains(&key.as_str())
                || key.ends_with("_file");
            let value = if shown { value.as_str() } else { "********" };
            out.push_str(&format!("{key} = {}\n", toml::Value::String(value.to_owned())));
        }
    }
    for (name, secret) in
        [("EVERCUBE_PASSWORD", &secrets.password), ("EVERCUBE_TOKEN", &secrets.token)]
    {
        if secret.is_some() {
            out.push_str(&format!("# {name} is set: ********\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_origins_win_and_secrets_stay_hidden() {
        let dir = std::env::temp_dir().join(format!("evercube-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("evercube.toml");
        let target = "[targets.off]\nurl = \"s3://b/p\"\naccess_key_id = \"hush\"\n";
        let texts = format!("region = \"file\"\nname = \"file\"\nthreads = 3\n{target}");
        std::fs::write(&file, texts).unwrap();
        let flags =
            Flags { config: Some(file.clone()), name: Some("flag".into()), ..Flags::default() };
        let environment = |n: &str| match n {
            "EVERCUBE_NAME" | "EVERCUBE_REGION" => Some("environment".into()),
            "EVERCUBE_SOURCE_DIR" => Some("a, b".into()),
            _ => None,
        };
        let settings = Settings::resolve(&flags, environment, 8).unwrap();
        let secrets = Secrets { password: Some("hush".into()), token: None };
        let out = text(&settings, &secrets);
        assert!(out.contains("name = \"flag\"  # flag"), "{out}");
        assert!(out.contains("region = \"environment\"  # EVERCUBE_REGION"), "{out}");
        assert!(out.contains(&format!("threads = 3  # {}", file.display())), "{out}");
        assert!(out.contains("source_dir = [\"a\", \"b\"]"), "{out}");
        assert!(out.contains("[targets.off]\naccess_key_id = \"********\""), "{out}");
        assert!(out.contains("url = \"s3://b/p\""), "{out}");
        assert!(!out.contains("hush"), "{out}");
        assert!(settings.for_serve().is_ok());

        std::fs::write(&file, "lissten = 1").unwrap();
        let refused = Settings::resolve(&flags, |_| None, 8).unwrap_err();
        assert!(refused.to_string().contains("'lissten' is unknown"), "{refused}");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn no_auth_and_peers_stay_on_loopback() {
        let at = |listen: &str, peer: Option<&str>, no_auth| {
            let flags = Flags {
                config: Some("/dev/null".into()),
                listen: Some(listen.into()),
                peer_listen: peer.map(Into::into),
                no_auth,
                ..Flags::default()
            };
            Settings::resolve(&flags, |_| None, 1).unwrap().for_serve()
        };
        assert!(at("0.0.0.0:1", None, false).is_ok());
        assert!(at("0.0.0.0:1", None, true).is_err());
        assert!(at("[::1]:1", Some("127.0.0.1:2"), true).is_ok());
        assert!(at("127.0.0.1:1", Some("10.0.0.1:2"), true).is_err());
        assert!(at("127.0.0.1:1", Some("10.0.0.1:2"), false).is_ok());
        assert!(at("127.0.0.1:1", Some("0.0.0.0:2"), false).is_err());
    }
}
