//! `evercube gateway`: one address in front of a group of servers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use evercube_service::certificates::CertificateBook;
use evercube_service::config::ServerLimits;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::client::base_url;
use crate::command::serve::start_logging;
use crate::failure::{Failure, Outcome};
use crate::gateway::{Gateway, Pool, relay};
use crate::http::connections::Connections;
use crate::http::listen;
use crate::termination::Termination;
use crate::tls;
use crate::tls::accept::Acceptor;
use crate::tls::files::{files, in_the_clear};
use crate::transport::PeerClient;

/// Start a gateway: clients connect to it and stay connected while servers come and go
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube gateway --listen 127.0.0.1:8380 --servers http://10.0.0.1:8383,http://10.1.0.1:8383"
)]
pub struct GatewayArgs {
    /// Address for clients
    #[arg(
        long,
        value_name = "A:P",
        env = "EVERCUBE_GATEWAY_LISTEN",
        default_value = "127.0.0.1:8380"
    )]
    listen: SocketAddr,
    /// Servers of the group; other members are found through them
    #[arg(long, value_name = "URL,…", value_delimiter = ',', required = true)]
    servers: Vec<String>,
    /// Seconds a request waits while no server answers
    #[arg(long, value_name = "SECONDS", env = "EVERCUBE_GATEWAY_HOLD", default_value_t = 30)]
    hold: u64,
    /// Bytes of an answer held until it is complete; a longer one is passed on while it comes
    #[arg(long, value_name = "BYTES", env = "EVERCUBE_GATEWAY_BUFFER", default_value_t = 16 << 20)]
    buffer: usize,
    /// PEM file with the authority behind the servers' certificates, for https URLs; without it
    /// those this machine trusts
    #[arg(long, value_name = "FILE", env = "EVERCUBE_CA")]
    ca: Option<PathBuf>,
    /// PEM file with the gateway's certificate chain: clients connect by https
    #[arg(
        long,
        value_name = "FILE",
        env = "EVERCUBE_GATEWAY_TLS_CERTIFICATE",
        requires = "tls_key"
    )]
    tls_certificate: Option<PathBuf>,
    /// PEM file with the key of the certificate
    #[arg(
        long,
        value_name = "FILE",
        env = "EVERCUBE_GATEWAY_TLS_KEY",
        requires = "tls_certificate"
    )]
    tls_key: Option<PathBuf>,
    /// Oldest TLS that is spoken, 1.2 or 1.3
    #[arg(
        long,
        value_name = "VERSION",
        env = "EVERCUBE_GATEWAY_TLS_MIN_VERSION",
        default_value = "1.2"
    )]
    tls_min_version: String,
}

pub async fn run(args: &GatewayArgs) -> Outcome {
    start_logging();
    let mut termination = Termination::listen()?;
    let servers = args.servers.iter().map(|url| base_url(url)).collect::<Outcome<Vec<_>>>()?;
    let files =
        files(args.tls_certificate.as_deref(), args.tls_key.as_deref(), &args.tls_min_version)?;
    let encrypted = servers.iter().any(|s| s.starts_with("https:"));
    let roots = tls::roots(args.ca.as_deref(), encrypted)?;
    let client = PeerClient::new(tls::client_config(roots)?);
    let listener = TcpListener::bind(args.listen).await.map_err(|e| {
        Failure::Refused(format!("cannot listen on {} (--listen): {e}", args.listen))
    })?;
    let address = listener.local_addr().map_or(args.listen, |a| a);
    let names = servers.join(", ");
    let gateway = Arc::new(Gateway {
        pool: Arc::new(Pool::new(servers, client)),
        hold: Duration::from_secs(args.hold),
        buffer: args.buffer,
    });
    gateway.pool.watch();
    let scheme = if files.is_some() { "https" } else { "http" };
    let acceptor = match files {
        Some(files) => files.acceptor(&CertificateBook::default())?,
        None => Acceptor::plain(),
    };
    eprintln!("evercube gateway listening on {scheme}://{address}, in front of {names}");
    if let Some(warning) = in_the_clear(address, scheme) {
        eprintln!("{warning}");
    }
    let (stop, stopping) = watch::channel(false);
    let serving = tokio::spawn(listen::serve(
        listener,
        acceptor,
        Some(Connections::new(|| ServerLimits::default().into())),
        move |request| relay(Arc::clone(&gateway), request),
        stopping,
    ));
    termination.comes().await;
    let _listener_may_be_gone = stop.send(true);
    let _ended = serving.await;
    Ok(())
}
