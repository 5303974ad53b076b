//! `evercube serve`: one server, alone or in a group.

use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evercube_metastore::Transport;
use evercube_service::certificates::CertificateBook;
use evercube_service::{Authorities, FilePolicy, Service, ServiceConfig};
use evercube_vault::Vault;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::{Flags, ServeSettings, Settings};
use crate::failure::{Failure, Outcome};
use crate::http::connections::Connections;
use crate::http::gate::Gate;
use crate::http::{ServerState, client, listen, peer};
use crate::issuer::Issuer;
use crate::process;
use crate::termination::Termination;
use crate::tls;
use crate::tls::accept::{Acceptor, Notes};
use crate::tls::files::in_the_clear;
use crate::tls::founding::{self, Kept};
use crate::tls::member::Mutual;
use crate::transport::reach::Reach;
use crate::transport::{PeerClient, warm};
use crate::webhook;

/// Start a server
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube serve --no-auth --listen 127.0.0.1:8383 --data ./evercube-data"
)]
pub struct Serve {
    #[command(flatten)]
    flags: Flags,
}

/// How long a commit waits for a member that is away.
const DEGRADE_GRACE: Duration = Duration::from_secs(1);

pub async fn run(args: &Serve) -> Outcome {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let settings =
        Settings::resolve(&args.flags, |name| std::env::var(name).ok(), processors)?.for_serve()?;
    if settings.data.exists() && !settings.data.is_dir() {
        return Err(Failure::Usage(format!(
            "the setting data = '{}' cannot be used: that is a file; name a folder",
            settings.data.display()
        )));
    }
    // A folder that belongs to a group joins none.
    if !settings.data.join("metastore").exists() {
        settings.check_join()?;
    }
    start_logging();
    process::stay_away();
    let mut termination = Termination::listen()?;
    let (stop, stopping) = watch::channel(false);
    let clients = bind("listen", settings.listen).await?;
    let (members, peer_address) = bind_peers(&settings).await?;
    let certificates = CertificateBook::default();
    let for_clients = match settings.tls.clone() {
        Some(files) => files.acceptor(&certificates)?,
        None => Acceptor::plain(),
    };
    let vault = open_vault(&settings).await?;
    let own = founding::credentials(&settings, vault.as_deref(), &mut termination).await?;
    require_proof(&settings, &peer_address, own.is_some())?;
    let mutual = own.as_ref().map(Mutual::new).transpose()?;
    let peers = Arc::new(match &mutual {
        Some(mutual) => PeerClient::to_members(mutual.client.clone())?,
        None => PeerClient::new(tls::client_config(rustls::RootCertStore::empty())?),
    });
    let outside = tls::client_config(tls::roots_of_server(settings.ca.as_deref())?)?;
    let listening = clients.local_addr().map_or(settings.listen, |a| a).to_string();
    let http_address = settings.advertise.clone().unwrap_or(listening);
    let mut config = service_config(&settings, peer_address, http_address)?;
    config.vault = vault;
    config.node_id = own.as_ref().map(|own| own.node_id);
    config.certificates = certificates;
    // What members and clients send meanwhile waits in the listeners' queues.
    let groups = PeerClient::new(outside.clone());
    let transport: Arc<dyn Transport> = Arc::new(Reach { members: Arc::clone(&peers), groups });
    let service = tokio::select! {
        started = Service::start(config, transport) => started
            .map_err(|e| Failure::Refused(format!("the server cannot start: {e}")))?,
        () = termination.comes() => return Ok(()),
    };
    if let Some(to) = settings.alarm_webhook.clone() {
        webhook::spawn(&service, PeerClient::new(outside.clone()), to);
    }
    warm::spawn(&service);
    let for_members = mutual
        .as_ref()
        .map_or_else(Acceptor::plain, |m| Acceptor::of_members(Arc::clone(&m.server)));
    let gate = mutual.is_some().then(|| Gate::new(settings.peer_certificate_life));
    if let (Some(own), Some(mutual)) = (own, mutual) {
        let (data, life) = (settings.data.clone(), settings.peer_certificate_life);
        let (shown, trust) = (mutual.shown, mutual.trust);
        founding::keep_renewed(&service, Kept { data, own, shown, trust, life });
    }
    let issuer = settings.issuer.clone().map(|i| Issuer::new(i, outside));
    let state = Arc::new(ServerState { service, peers, gate, issuer, refusals: Notes::default() });
    let consensus = peer_listener(members, for_members, &state, stopping.clone())?;
    founding::hand_over_authority(&settings.data, &state.service).await?;
    announce(&state, &settings);
    let (ending, of) = (Arc::clone(&state), Arc::clone(&state));
    let serving = tokio::spawn(listen::serve(
        clients,
        for_clients,
        Some(Connections::new(move || of.service.limits().into())),
        move |request| client(Arc::clone(&state), request),
        stopping,
    ));
    ending.service.audit_process("start").await;
    termination.comes().await;
    let _listeners_may_be_gone = stop.send(true);
    let _ended = serving.await;
    ending.service.audit_process("stop").await;
    consensus.shutdown_background();
    Ok(())
}

/// Answers members on threads of its own, so that no load of queries moves the leader.
fn peer_listener(
    members: std::net::TcpListener,
    acceptor: Acceptor,
    state: &Arc<ServerState>,
    stopping: watch::Receiver<bool>,
) -> Outcome<tokio::runtime::Runtime> {
    let failed = |e| Failure::Refused(format!("cannot start the threads for members: {e}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("members")
        .enable_all()
        .build()
        .map_err(failed)?;
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(members).map_err(failed)?
    };
    let state = Arc::clone(state);
    runtime.spawn(listen::serve(
        listener,
        acceptor,
        None,
        move |request| peer::member(Arc::clone(&state), request),
        stopping,
    ));
    Ok(runtime)
}

pub fn start_logging() {
    let wanted = std::env::var("EVERCUBE_LOG").ok().filter(|w| !w.trim().is_empty());
    let wanted = wanted.and_then(|w| tracing_subscriber::EnvFilter::try_new(w).ok());
    // The consensus library repeats at every attempt what the metastore tells once and now and then.
    let filter = wanted.unwrap_or_else(|| tracing_subscriber::EnvFilter::new("warn,openraft=off"));
    let _already_set = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Colours are for people; a file or a collector of logs would keep their codes.
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}

async fn bind(setting: &str, address: SocketAddr) -> Outcome<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| {
        Failure::Refused(format!("cannot listen on {address} (setting {setting}): {e}"))
    })
}

/// The listener for members: as set, as the folder remembers, or on a free port.
async fn bind_peers(settings: &ServeSettings) -> Outcome<(std::net::TcpListener, String)> {
    let remembered = evercube_service::identity::remembered_peer_address(&settings.data)
        .and_then(|a| a.parse().ok());
    let listener = match settings.peer_listen.or(remembered) {
        Some(address) => bind("peer_listen", address).await?,
        None => bind("peer_listen", (Ipv4Addr::LOCALHOST, 0).into()).await?,
    };
    let address = listener
        .local_addr()
        .map_err(|e| Failure::Refused(format!("the peer listener has no address: {e}")))?;
    let listener = listener
        .into_std()
        .map_err(|e| Failure::Refused(format!("the peer listener cannot be handed on: {e}")))?;
    Ok((listener, address.to_string()))
}

/// Members that prove nothing to each other are listened to on this machine only.
fn require_proof(settings: &ServeSettings, peer_address: &str, proved: bool) -> Outcome {
    let outside = peer_address.parse().is_ok_and(|a: SocketAddr| !a.ip().is_loopback());
    if !outside || proved {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "the peer address {peer_address} cannot be used: it must be on loopback, since the members of the group in {} do not prove to each other who they are; form a new group without --no-auth and restore the databases into it",
        settings.data.display()
    )))
}

fn service_config(
    settings: &ServeSettings,
    peer_address: String,
    http_address: String,
) -> Outcome<ServiceConfig> {
    let working_dir = std::env::current_dir()
        .map_err(|e| Failure::Refused(format!("the working directory cannot be read: {e}")))?;
    let files = working_dir.join(&settings.data).join("files");
    let file_policy = match (settings.source_dirs.is_empty(), settings.no_auth) {
        (false, _) => {
            FilePolicy::Folders(settings.source_dirs.iter().map(|d| working_dir.join(d)).collect())
        }
        (true, true) => FilePolicy::Any,
        (true, false) => {
            make_folder(&files)?;
            FilePolicy::Folders(vec![files])
        }
    };
    Ok(ServiceConfig {
        name: settings.name.clone().unwrap_or_default(),
        region: settings.region.clone().unwrap_or_else(|| "local".into()),
        kind: settings.kind.clone(),
        node_id: None,
        data_dir: settings.data.clone(),
        peer_address,
        http_address,
        file_policy,
        authorities: Authorities::new(tls::roots_of_server(settings.ca.as_deref())?),
        working_dir,
        no_auth: settings.no_auth,
        rights_age: settings.rights_age,
        threads: settings.threads,
        join: settings.join.clone(),
        limits: settings.limits,
        own_limits: settings.own_limits.clone(),
        audit: settings.audit,
        degrade_grace: DEGRADE_GRACE,
        targets: settings.targets.clone(),
        certificates: CertificateBook::default(),
        settings: settings.compared.clone(),
        vault: None,
    })
}

/// The keys of the data folder, where it is encrypted or is to be.
async fn open_vault(settings: &ServeSettings) -> Outcome<Option<Arc<Vault>>> {
    let (data, sources) = (settings.data.clone(), settings.encryption_keys.clone());
    // A command that gives a key may take its time.
    let opened = tokio::task::spawn_blocking(move || Vault::open(&data, &sources)).await;
    let opened = opened.map_err(|e| Failure::Refused(e.to_string()))?;
    opened.map_err(|e| Failure::Refused(format!("the server cannot start: {e}")))
}

fn make_folder(folder: &Path) -> Outcome {
    std::fs::create_dir_all(folder)
        .map_err(|e| Failure::Refused(format!("cannot make the folder {}: {e}", folder.display())))
}

/// One line for people and scripts, once requests are answered.
fn announce(state: &ServerState, settings: &ServeSettings) {
    let config = &state.service.config;
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    eprintln!(
        "evercube {} ({}) listening on {scheme}://{}, peers on {}, data in {}",
        config.name,
        config.region,
        config.http_address,
        config.peer_address,
        config.data_dir.display()
    );
    if let Some(vault) = &config.vault {
        let names = vault.slots();
        let only = if names.len() == 1 { "only " } else { "" };
        eprintln!(
            "the data folder is encrypted and opened {only}by the key {}; without its keys it is lost",
            names.join(" or ")
        );
    }
    if let Some(warning) = in_the_clear(settings.listen, scheme) {
        eprintln!("{warning}");
    }
    if config.no_auth && settings.source_dirs.is_empty() {
        eprintln!(
            "without authentication and --source-dir, models may read any file this process can"
        );
    }
    let password = config.data_dir.join("admin-password");
    if !config.no_auth && password.exists() {
        eprintln!("the first administrator is 'admin', its password is in {}", password.display());
    }
}
