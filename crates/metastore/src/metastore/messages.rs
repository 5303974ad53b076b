//! What other members send.

use evercube_base::{Error, Result};

use super::handover::HandOver;
use super::membership::{LOST, Removal};
use super::{Metastore, millis, unavailable};
use crate::coding::{decode, encode};

impl Metastore {
    /// Answers another member.
    pub async fn handle(&self, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        if path != "raft/who"
            && let Some(why) = self.why_out()
        {
            return Err(unavailable(why));
        }
        match self.meant_for_me(path)? {
            "raft/append" => self.append(body).await,
            "raft/vote" => self.vote(body).await,
            "raft/heard" => encode(&self.heard().await?),
            "raft/snapshot" => encode(&self.raft().install_snapshot(decode(body)?).await),
            "raft/hand-to" => self.hand_over_here(decode(body)?).await.map(|()| Vec::new()),
            "raft/hand-over" => {
                self.hand_over_here(HandOver::plain(decode(body)?)).await.map(|()| Vec::new())
            }
            "raft/take-over" => self.take_over(decode(body)?).await.map(|()| Vec::new()),
            "raft/forget-leader" => self.forget_leader(body).await.map(|()| Vec::new()),
            "raft/leads-no-more" => self.leader_left(decode(body)?).await.map(|()| Vec::new()),
            "raft/kind" => self.change_kind_here(decode(body)?).await.map(|()| Vec::new()),
            "raft/propose" => encode(&self.propose_here(decode(body)?).await?),
            "raft/propose-next" => encode(&self.propose_when_leading(decode(body)?).await?),
            "raft/read-index" => encode(&self.read_index_here().await?),
            "raft/read-index-next" => encode(&self.read_index_when_leading().await?),
            "raft/who" => encode(&self.config.node_id),
            "raft/silence" => encode(&self.silence_of(decode(body)?).map(millis)),
            "raft/remove" => {
                self.remove_here(decode(body)?, |c| self.propose(c)).await.map(|()| Vec::new())
            }
            "raft/remove-once" => {
                let Removal { id, request_id } = decode(body)?;
                let propose = |c| self.propose_once(&request_id, c);
                self.remove_here(id, propose).await.map(|()| Vec::new())
            }
            "raft/lost" => {
                self.refused.lost(LOST);
                Ok(Vec::new())
            }
            "raft/join" => self.let_in(body).await.map(|()| Vec::new()),
            _ => Err(Error::not_found(format!("the metastore knows no request '{path}'"))),
        }
    }

    /// The path without the member it is meant for, where it says so.
    fn meant_for_me<'a>(&self, path: &'a str) -> Result<&'a str> {
        let addressed =
            path.rsplit_once('/').and_then(|(p, id)| Some((p, id.parse::<u64>().ok()?)));
        match addressed {
            Some((path, id)) if id == self.config.node_id => Ok(path),
            Some(_) => Err(unavailable("another member is at this address now")),
            None => Ok(path),
        }
    }
}
