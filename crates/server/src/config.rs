//! Settings of a server: defaults, then `evercube.toml`, then `EVERCUBE_…`, then flags, each with
//! where it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evercube_service::audit::{AuditConfig, Queries};
use evercube_service::bearer::IssuerConfig;
use evercube_service::config::{ServerLimits, bytes, seconds};

use evercube_service::NamedTargets;
use evercube_vault::KeySources;

use crate::failure::{Failure, Outcome};
use crate::issuer::may_be_asked;
use crate::tls::files::{Files, files};

mod compared;

use compared::compared;

/// The settings as flags.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Settings file; ./evercube.toml where it exists
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of this server's data [default: ./evercube-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Address for clients [default: 127.0.0.1:8383]
    #[arg(long, value_name = "A:P")]
    pub listen: Option<String>,
    /// Name of this server in its group
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Region this server stands in
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Address for the other members [default: a free loopback port, remembered]
    #[arg(long, value_name = "A:P")]
    pub peer_listen: Option<String>,
    /// Peer addresses of members to join; ignored once the folder belongs to a group
    #[arg(long, value_name = "A:P", value_delimiter = ',')]
    pub join: Vec<String>,
    /// File with the token that lets this server join
    #[arg(long, value_name = "FILE")]
    pub join_token_file: Option<String>,
    /// Address told to clients and gateways, as host:port [default: that of --listen]
    #[arg(long, value_name = "H:P")]
    pub advertise: Option<String>,
    /// data, witness, learner or replica [default: data]
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Folder a model may read files from; may be given several times
    #[arg(long, value_name = "DIR")]
    pub source_dir: Vec<String>,
    /// Threads for queries [default: the processors the process may use]
    #[arg(long, value_name = "N")]
    pub threads: Option<String>,
    /// Post alarms (a region lost, degraded, promoted) to this URL
    #[arg(long, value_name = "URL")]
    pub alarm_webhook: Option<String>,
    /// PEM file with this server's certificate chain: clients connect by https
    #[arg(long, value_name = "FILE")]
    pub tls_certificate: Option<String>,
    /// PEM file with the key of the certificate
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// Oldest TLS that is spoken with clients, 1.2 or 1.3 [default: 1.2]
    #[arg(long, value_name = "VERSION")]
    pub tls_min_version: Option<String>,
    /// PEM file with authorities that are trusted besides those of this machine, for the https
    /// addresses this server asks itself: other groups, the webhook, the issuer of tokens
    #[arg(long, value_name = "FILE")]
    pub ca: Option<String>,
    /// File with the key that opens the data folder, which is encrypted with it
    #[arg(long, value_name = "FILE")]
    pub encryption_key_file: Option<String>,
    /// Command that prints that key, as one that asks a key service
    #[arg(long, value_name = "COMMAND")]
    pub encryption_key_command: Option<String>,
    /// Every caller is the administrator; on loopback only
    #[arg(long)]
    pub no_auth: bool,
}

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(PathBuf),
    Environment(String),
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// Texts of one setting (lists have several, switches `true` or `false`) and their origin.
#[derive(Debug, Clone)]
pub struct Setting {
    pub values: Vec<String>,
    pub origin: Origin,
}

/// Name of a setting in the file; in the environment it is upper case behind `EVERCUBE_`.
const NAMES: &[(&str, Shape)] = &[
    ("data", Shape::One),
    ("listen", Shape::One),
    ("name", Shape::One),
    ("region", Shape::One),
    ("peer_listen", Shape::One),
    ("join", Shape::Many),
    ("join_token_file", Shape::One),
    ("advertise", Shape::One),
    ("peer_certificate_life", Shape::One),
    ("kind", Shape::One),
    ("source_dir", Shape::Many),
    ("threads", Shape::One),
    ("no_auth", Shape::One),
    ("rights_age", Shape::One),
    ("tls_certificate", Shape::One),
    ("tls_key", Shape::One),
    ("tls_min_version", Shape::One),
    ("ca", Shape::One),
    ("alarm_webhook", Shape::One),
    ("query_memory", Shape::One),
    ("queries_memory", Shape::One),
    ("calculation_memory", Shape::One),
    ("query_rows", Shape::One),
    ("query_timeout", Shape::One),
    ("scan_cache", Shape::One),
    ("request_size", Shape::One),
    ("audit_queries", Shape::One),
    ("audit_size", Shape::One),
    ("encryption_key", Shape::One),
    ("encryption_key_file", Shape::One),
    ("encryption_key_command", Shape::One),
    ("connections", Shape::One),
    ("connections_per_address", Shape::One),
    ("oidc_issuer", Shape::One),
    ("oidc_audience", Shape::Many),
    ("oidc_user_claim", Shape::One),
    ("oidc_groups_claim", Shape::One),
    ("oidc_admin_group", Shape::Many),
];
const KINDS: [&str; 4] = ["data", "witness", "learner", "replica"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    One,
    Many,
}

/// All settings by name, those that were set and the defaults.
#[derive(Debug, Clone)]
pub struct Settings(BTreeMap<&'static str, Setting>, Targets);

/// The `[targets.NAME]` of the settings file: the settings of each by name.
pub type Targets = BTreeMap<String, BTreeMap<String, String>>;

/// What a server starts with.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    pub data: PathBuf,
    pub listen: SocketAddr,
    pub name: Option<String>,
    pub region: Option<String>,
    pub peer_listen: Option<SocketAddr>,
    pub join: Vec<String>,
    pub join_token_file: Option<PathBuf>,
    /// What clients and gateways are told, where it is not the address listened on.
    pub advertise: Option<String>,
    /// How long the certificates that members show each other are good for.
    pub peer_certificate_life: Duration,
    pub kind: String,
    pub source_dirs: Vec<PathBuf>,
    pub threads: usize,
    pub no_auth: bool,
    /// How old users and roles may be while the server is cut off.
    pub rights_age: Duration,
    /// How clients connect by https; `None`: by http.
    pub tls: Option<Files>,
    /// Authorities that are trusted besides those of this machine.
    pub ca: Option<PathBuf>,
    /// Where alarms are posted to, as `http://host:port/path`.
    pub alarm_webhook: Option<http::Uri>,
    pub targets: NamedTargets,
    pub limits: ServerLimits,
    pub own_limits: BTreeSet<String>,
    pub audit: AuditConfig,
    /// Where the keys come from that open the data folder; none: it is not encrypted.
    pub encryption_keys: KeySources,
    /// Whose bearer tokens count.
    pub issuer: Option<IssuerConfig>,
    /// The settings as they are compared with those of the other servers.
    pub compared: BTreeMap<String, String>,
}

impl Settings {
    /// `environment` gives the value of a variable; `processors` is the default of `threads`.
    ///
    /// # Errors
    /// `Usage` for a settings file that cannot be read or names an unknown setting.
    pub fn resolve(
        flags: &Flags,
        environment: impl Fn(&str) -> Option<String>,
        processors: usize,
    ) -> Outcome<Self> {
        let mut all = BTreeMap::new();
        let mut set = |name, values: Vec<String>, origin| {
            all.insert(name, Setting { values, origin });
        };
        for (name, value) in
            [("data", "./evercube-data"), ("listen", "127.0.0.1:8383"), ("kind", "data")]
        {
            set(name, vec![value.to_owned()], Origin::Default);
        }
        set("threads", vec![processors.to_string()], Origin::Default);
        set("no_auth", vec!["false".into()], Origin::Default);
        set("rights_age", vec!["300s".into()], Origin::Default);
        set("tls_min_version", vec!["1.2".into()], Origin::Default);
        set("peer_certificate_life", vec!["90d".into()], Origin::Default);
        let limits = ServerLimits::default();
        for (name, bytes) in [
            ("query_memory", limits.query_memory),
            ("queries_memory", limits.queries_memory),
            ("calculation_memory", limits.calculation_memory),
            ("scan_cache", limits.scan_cache),
            ("request_size", limits.request_size),
        ] {
            set(name, vec![format!("{}MB", bytes >> 20)], Origin::Default);
        }
        for (name, number) in [
            ("query_rows", limits.query_rows),
            ("connections", limits.connections),
            ("connections_per_address", limits.connections_per_address),
        ] {
            set(name, vec![number.to_string()], Origin::Default);
        }
        set("query_timeout", vec!["0s".into()], Origin::Default);
        set("audit_queries", vec!["names".into()], Origin::Default);
        set("oidc_user_claim", vec!["preferred_username".into()], Origin::Default);
        set("oidc_groups_claim", vec!["groups".into()], Origin::Default);
        let audit_size = AuditConfig::default().size >> 20;
        set("audit_size", vec![format!("{audit_size}MB")], Origin::Default);
        let config =
            flags.config.clone().or_else(|| environment("EVERCUBE_CONFIG").map(Into::into));
        let file = match config {
            Some(file) => Some(file),
            None => Some(PathBuf::from("evercube.toml")).filter(|f| f.exists()),
        };
        let mut targets = Targets::default();
        if let Some(file) = file {
            let read = read_file(&file)?;
            targets = read.targets;
            for (name, values) in read.settings {
                set(name, values, Origin::File(file.clone()));
            }
        }
        for (name, shape) in NAMES {
            let variable = format!("EVERCUBE_{}", name.to_uppercase());
            if let Some(value) = environment(&variable).filter(|v| !v.is_empty()) {
                let values = match shape {
                    Shape::One => vec![value],
                    Shape::Many => value.split(',').map(|v| v.trim().to_owned()).collect(),
                };
                set(name, values, Origin::Environment(variable));
            }
        }
        for (name, value) in [
            ("data", &flags.data),
            ("listen", &flags.listen),
            ("name", &flags.name),
            ("region", &flags.region),
            ("peer_listen", &flags.peer_listen),
            ("kind", &flags.kind),
            ("threads", &flags.threads),
            ("alarm_webhook", &flags.alarm_webhook),
            ("join_token_file", &flags.join_token_file),
            ("advertise", &flags.advertise),
            ("tls_certificate", &flags.tls_certificate),
            ("tls_key", &flags.tls_key),
            ("tls_min_version", &flags.tls_min_version),
            ("ca", &flags.ca),
            ("encryption_key_file", &flags.encryption_key_file),
            ("encryption_key_command", &flags.encryption_key_command),
        ] {
            if let Some(value) = value {
                set(name, vec![value.clone()], Origin::Flag);
            }
        }
        for (name, values) in [("join", &flags.join), ("source_dir", &flags.source_dir)] {
            if !values.is_empty() {
                set(name, values.clone(), Origin::Flag);
            }
        }
        if flags.no_auth {
            set("no_auth", vec!["true".into()], Origin::Flag);
        }
        Ok(Self(all, targets))
    }

    /// Whether a setting's value is never shown.
    pub fn is_secret(name: &str) -> bool {
        name == "encryption_key"
    }

    pub fn targets(&self) -> &Targets {
        &self.1
    }

    fn named_targets(&self) -> Outcome<NamedTargets> {
        let mut named = NamedTargets::default();
        for (name, settings) in &self.1 {
            let added = named.add(name, settings.clone().into_iter().collect());
            added.map_err(|e| Failure::Usage(format!("in the settings file, {e}")))?;
        }
        Ok(named)
    }

    /// Name, values and origin of every setting, in the order of the documentation.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, bool, Option<&Setting>)> {
        NAMES.iter().map(|(name, shape)| (*name, *shape == Shape::Many, self.0.get(name)))
    }

    /// The settings as a server needs them.
    ///
    /// # Errors
    /// `Usage` naming the setting and its origin, also for what is not safe: no authentication or
    /// a peer address outside of loopback.
    pub fn for_serve(&self) -> Outcome<ServeSettings> {
        let kind = self.text("kind").unwrap_or("data").to_ascii_lowercase();
        if !KINDS.contains(&kind.as_str()) {
            return Err(self.wrong("kind", &format!("it is one of {}", KINDS.join(", "))));
        }
        let listen = self.address("listen")?.unwrap_or(([127, 0, 0, 1], 8383).into());
        let peer_listen = self.address("peer_listen")?;
        let no_auth = match self.text("no_auth").unwrap_or("false") {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => return Err(self.wrong("no_auth", "it is true or false")),
        };
        if no_auth && !listen.ip().is_loopback() {
            return Err(self.wrong("listen", "without authentication it must be on loopback"));
        }
        if no_auth && peer_listen.is_some_and(|a| !a.ip().is_loopback()) {
            return Err(self.wrong("peer_listen", "without authentication it must be on loopback"));
        }
        if peer_listen.is_some_and(|a| a.ip().is_unspecified()) {
            let why =
                "other members are told this address; write the one they reach this server by";
            return Err(self.wrong("peer_listen", why));
        }
        let threads = match self.text("threads").unwrap_or("1").parse() {
            Ok(n) if n > 0 => n,
            _ => return Err(self.wrong("threads", "it is a number from 1")),
        };
        let alarm_webhook = match self.text("alarm_webhook").map(str::parse::<http::Uri>) {
            None => None,
            Some(Ok(uri)) if matches!(uri.scheme_str(), Some("http" | "https")) => Some(uri),
            Some(_) => {
                return Err(self
                    .wrong("alarm_webhook", "write it as http://host/path or https://host/path"));
            }
        };
        let many = |name| self.0.get(name).map_or(Vec::new(), |s| s.values.clone());
        Ok(ServeSettings {
            data: self.text("data").unwrap_or("./evercube-data").into(),
            listen,
            name: self.text("name").map(str::to_owned),
            region: self.text("region").map(str::to_owned),
            peer_listen,
            join: many("join"),
            join_token_file: self.text("join_token_file").map(PathBuf::from),
            advertise: self.advertise()?,
            peer_certificate_life: self.peer_certificate_life()?,
            kind,
            source_dirs: many("source_dir").into_iter().map(PathBuf::from).collect(),
            threads,
            no_auth,
            rights_age: seconds(self.text("rights_age").unwrap_or_default())
                .ok_or_else(|| self.wrong("rights_age", "write it as 300s"))?,
            tls: self.tls()?,
            ca: self.text("ca").map(PathBuf::from),
            alarm_webhook,
            targets: self.named_targets()?,
            limits: self.limits()?,
            own_limits: self.own_limits(),
            audit: self.audit()?,
            encryption_keys: KeySources {
                text: self.text("encryption_key").map(str::to_owned),
                file: self.text("encryption_key_file").map(PathBuf::from),
                command: self.text("encryption_key_command").map(str::to_owned),
            },
            issuer: self.issuer()?,
            compared: compared(self),
        })
    }

    fn advertise(&self) -> Outcome<Option<String>> {
        let Some(text) = self.text("advertise") else { return Ok(None) };
        match names_host_and_port(text) {
            true => Ok(Some(text.to_owned())),
            false => Err(self.wrong("advertise", "write it as host:port")),
        }
    }

    fn peer_certificate_life(&self) -> Outcome<Duration> {
        let name = "peer_certificate_life";
        let text = self.text(name).unwrap_or_default().trim();
        let found = match text.strip_suffix('d') {
            Some(days) => {
                days.parse::<u32>().ok().map(|d| Duration::from_secs(u64::from(d) * 86_400))
            }
            None => seconds(text),
        };
        let fit = Duration::from_secs(1)..=Duration::from_secs(3650 * 86_400);
        found
            .filter(|life| fit.contains(life))
            .ok_or_else(|| self.wrong(name, "write it as 90d, or 3600s; at most ten years"))
    }

    fn tls(&self) -> Outcome<Option<Files>> {
        let path = |name| self.text(name).map(Path::new);
        let min_version = self.text("tls_min_version").unwrap_or("1.2");
        files(path("tls_certificate"), path("tls_key"), min_version)
    }

    fn limits(&self) -> Outcome<ServerLimits> {
        let mut limits = ServerLimits::default();
        for name in ServerLimits::NAMES {
            let text = self.text(name).unwrap_or_default();
            limits.set(name, text).map_err(|why| self.wrong(name, why))?;
        }
        Ok(limits)
    }

    /// Names of the limits that somebody set for this server.
    fn own_limits(&self) -> BTreeSet<String> {
        let is_set = |name: &&str| self.0.get(name).is_some_and(|s| s.origin != Origin::Default);
        ServerLimits::NAMES.iter().filter(|n| is_set(n)).map(|n| (*n).to_owned()).collect()
    }

    fn issuer(&self) -> Outcome<Option<IssuerConfig>> {
        let Some(issuer) = self.text("oidc_issuer") else { return Ok(None) };
        if !issuer.parse().is_ok_and(|uri| may_be_asked(&uri)) {
            let why = "write it as https://login.example.com/…, exactly as in its tokens";
            return Err(self.wrong("oidc_issuer", why));
        }
        let many = |name| self.0.get(name).map_or(Vec::new(), |s| s.values.clone());
        let audiences = many("oidc_audience");
        if audiences.is_empty() {
            let why = "oidc_audience must say for whom its tokens are made";
            return Err(self.wrong("oidc_issuer", why));
        }
        let text = |name| self.text(name).unwrap_or_default().to_owned();
        Ok(Some(IssuerConfig {
            issuer: issuer.to_owned(),
            audiences,
            user_claim: text("oidc_user_claim"),
            groups_claim: text("oidc_groups_claim"),
            administrators: many("oidc_admin_group"),
        }))
    }

    fn audit(&self) -> Outcome<AuditConfig> {
        let queries = match self.text("audit_queries").unwrap_or_default() {
            "none" => Queries::None,
            "names" => Queries::Names,
            "text" => Queries::Text,
            _ => return Err(self.wrong("audit_queries", "it is none, names or text")),
        };
        let size = bytes(self.text("audit_size").unwrap_or_default());
        let size = size.filter(|s| *s >= 4 << 20).map(|s| s as u64);
        let size =
            size.ok_or_else(|| self.wrong("audit_size", "write it as 512MB; at least 4MB"))?;
        Ok(AuditConfig { queries, size })
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.values.first().map(String::as_str)
    }

    fn address(&self, name: &'static str) -> Outcome<Option<SocketAddr>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let full = text.replacen("localhost:", "127.0.0.1:", 1);
        full.parse().map(Some).map_err(|_| self.wrong(name, "write it as 127.0.0.1:8383"))
    }

    fn wrong(&self, name: &str, why: &str) -> Failure {
        let origin = self.0.get(name).map_or(Origin::Default, |s| s.origin.clone());
        let value = self.text(name).unwrap_or_default();
        Failure::Usage(format!("the setting {name} = '{value}' ({origin}) cannot be used: {why}"))
    }
}

/// What a settings file says.
struct FromFile {
    settings: Vec<(&'static str, Vec<String>)>,
    targets: Targets,
}

fn read_file(file: &Path) -> Outcome<FromFile> {
    let wrong = |why: String| Failure::Usage(format!("settings in '{}': {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| wrong(e.to_string()))?;
    let mut all = Vec::new();
    let mut targets = Targets::default();
    for (key, value) in table {
        if key == "targets" {
            targets = read_targets(&value)
                .ok_or_else(|| wrong("targets are written as [targets.NAME] with texts".into()))?;
            continue;
        }
        let wanted = key.replace('-', "_");
        let Some((name, shape)) = NAMES.iter().find(|(name, _)| *name == wanted) else {
            let known: Vec<&str> = NAMES.iter().map(|(n, _)| *n).collect();
            return Err(wrong(format!("'{key}' is unknown; there are {}", known.join(", "))));
        };
        let values = match value {
            toml::Value::Array(list) if *shape == Shape::Many => {
                list.iter().map(scalar).collect::<Option<Vec<_>>>()
            }
            other => scalar(&other).map(|v| vec![v]),
        };
        all.push((*name, values.ok_or_else(|| wrong(format!("'{key}' has the wrong type")))?));
    }
    Ok(FromFile { settings: all, targets })
}

fn read_targets(value: &toml::Value) -> Option<Targets> {
    let mut targets = Targets::default();
    for (name, settings) in value.as_table()? {
        let mut of = BTreeMap::new();
        for (key, value) in settings.as_table()? {
            of.insert(key.replace('-', "_"), scalar(value)?);
        }
        targets.insert(name.clone(), of);
    }
    Some(targets)
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(s) => Some(s.clone()),
        toml::Value::Integer(n) => Some(n.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        _ => None,
    }
}

impl ServeSettings {
    /// # Errors
    /// `Usage` where an address to join at is none.
    pub fn check_join(&self) -> Outcome {
        let Some(wrong) = self.join.iter().find(|a| !names_host_and_port(a)) else { return Ok(()) };
        Err(Failure::Usage(format!(
            "the setting join = '{}' cannot be used: '{wrong}' is no address; write the peer address of a member as host:port",
            self.join.join(",")
        )))
    }
}

fn names_host_and_port(text: &str) -> bool {
    let named = text.parse::<http::uri::Authority>().ok();
    named.is_some_and(|a| !text.contains('@') && a.port_u16().is_some_and(|port| port > 0))
}
