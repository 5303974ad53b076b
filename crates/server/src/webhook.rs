//! Alarms are posted to an address of the operator's.

use std::time::Duration;

use bytes::Bytes;
use evercube_service::Service;
use http::{Request, Uri, header};
use http_body_util::Full;
use tokio::sync::broadcast::error::RecvError;

use crate::transport::PeerClient;

const LIMIT: Duration = Duration::from_secs(10);
const TRIES: u32 = 3;

/// Posts every alarm of this server from now on, as JSON.
pub fn spawn(service: &Service, client: PeerClient, to: Uri) {
    let mut alarms = service.alarms.subscribe();
    tokio::spawn(async move {
        loop {
            let alarm = match alarms.recv().await {
                Ok(alarm) => alarm,
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "alarms came faster than they could be posted");
                    continue;
                }
                Err(RecvError::Closed) => return,
            };
            let body = Bytes::from(serde_json::to_vec(&alarm).unwrap_or_default());
            for attempt in 1..=TRIES {
                let request = Request::post(to.clone())
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(Full::new(body.clone()));
                let Ok(request) = request else { break };
                match client.send(request, LIMIT).await {
                    Ok(answer) if answer.status().is_success() => break,
                    Ok(answer) => {
                        let status = answer.status().as_u16();
                        tracing::warn!(status, attempt, "the webhook refused an alarm");
                    }
                    Err(e) => tracing::warn!(error = %e, attempt, "an alarm could not be posted"),
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    });
}
