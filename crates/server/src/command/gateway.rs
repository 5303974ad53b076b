//! `evercube gateway`: one address in front of a group of servers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::client::authority;
use crate::command::serve::{start_logging, terminated};
use crate::failure::{Failure, Outcome};
use crate::gateway::{Gateway, Pool, relay};
use crate::http::listen;

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
}

pub async fn run(args: &GatewayArgs) -> Outcome {
    start_logging();
    let servers = args.servers.iter().map(|url| authority(url)).collect::<Outcome<Vec<_>>>()?;
    let listener = TcpListener::bind(args.listen).await.map_err(|e| {
        Failure::Refused(format!("cannot listen on {} (--listen): {e}", args.listen))
    })?;
    let address = listener.local_addr().map_or(args.listen, |a| a);
    let names = servers.join(", ");
    let gateway = Arc::new(Gateway {
        pool: Arc::new(Pool::new(servers)),
        hold: Duration::from_secs(args.hold),
        buffer: args.buffer,
    });
    gateway.pool.watch();
    eprintln!("evercube gateway listening on http://{address}, in front of {names}");
    let (stop, stopping) = watch::channel(false);
    let serving = tokio::spawn(listen::serve(
        listener,
        move |request| relay(Arc::clone(&gateway), request),
        stopping,
    ));
    terminated().await;
    let _listener_may_be_gone = stop.send(true);
    let _ended = serving.await;
    Ok(())
}
