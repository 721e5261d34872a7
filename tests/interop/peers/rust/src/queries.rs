//! Queries under way. The library tells results in steps; an operation is answered once, with all of them.

use std::collections::{BTreeSet, HashMap};

use libp2p::{
    PeerId, identify,
    kad::{GetClosestPeersOk, GetProvidersOk, GetRecordOk, PeerInfo, QueryId, QueryResult},
};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::{Outcome, lines};

#[derive(Default)]
pub struct Queries(HashMap<QueryId, Pending>);

struct Pending {
    /// The peer that `find_peer` looks for among the closest ones.
    target: Option<String>,
    values: Vec<Vec<u8>>,
    providers: BTreeSet<PeerId>,
    reply: oneshot::Sender<Outcome>,
}

impl Queries {
    pub fn await_result(&mut self, id: QueryId, request: &Value, reply: oneshot::Sender<Outcome>) {
        let target =
            (request["op"] == "find_peer").then(|| request["peer"].as_str().unwrap_or_default().to_owned());
        self.0.insert(id, Pending { target, values: Vec::new(), providers: BTreeSet::new(), reply });
    }

    /// Queries that the library started by itself (automatic bootstrap, republishing) are nobody's and ignored.
    pub fn on_progress(
        &mut self,
        id: QueryId,
        result: QueryResult,
        last: bool,
        identified: &HashMap<PeerId, identify::Info>,
    ) {
        let Some(pending) = self.0.get_mut(&id) else { return };
        let outcome = pending.absorb(result, identified);
        if last && let Some(pending) = self.0.remove(&id) {
            let _ = pending.reply.send(outcome);
        }
    }
}

impl Pending {
    /// Collects one step and says what the answer would be if it were the last.
    fn absorb(&mut self, result: QueryResult, identified: &HashMap<PeerId, identify::Info>) -> Outcome {
        match result {
            QueryResult::Bootstrap(result) => result.map(|_| json!({})).map_err(|e| e.to_string()),
            QueryResult::GetClosestPeers(result) => {
                let GetClosestPeersOk { peers, .. } = result.map_err(|e| e.to_string())?;
                self.closest(&peers, identified)
            }
            QueryResult::PutRecord(result) => result.map(|_| json!({})).map_err(|e| e.to_string()),
            QueryResult::StartProviding(result) => result.map(|_| json!({})).map_err(|e| e.to_string()),
            QueryResult::GetRecord(result) => {
                if let Ok(GetRecordOk::FoundRecord(found)) = &result {
                    self.values.push(found.record.value.clone());
                }
                // The library chooses nothing: the first record is the value, the rest is there to be looked at.
                match self.values.first() {
                    Some(first) => {
                        let all: Vec<_> = self.values.iter().map(|value| lines::base64(value)).collect();
                        Ok(json!({ "value": lines::base64(first), "values": all }))
                    }
                    None => Err(result.err().map_or("not found".into(), |e| e.to_string())),
                }
            }
            QueryResult::GetProviders(result) => {
                if let GetProvidersOk::FoundProviders { providers, .. } = result.map_err(|e| e.to_string())? {
                    self.providers.extend(providers);
                }
                Ok(json!({ "peers": self.providers(identified) }))
            }
            QueryResult::RepublishProvider(_) | QueryResult::RepublishRecord(_) => Ok(json!({})),
        }
    }

    fn closest(&self, peers: &[PeerInfo], identified: &HashMap<PeerId, identify::Info>) -> Outcome {
        let Some(target) = &self.target else {
            let names: Vec<_> = peers.iter().map(|peer| peer.peer_id.to_string()).collect();
            return Ok(json!({ "peers": names }));
        };
        let found = peers.iter().find(|peer| peer.peer_id.to_string() == *target);
        let found = found.ok_or("not found")?;
        // The query knows what the answers said. A peer that nobody else told of is known by identify alone.
        let met = identified.get(&found.peer_id).map(|info| info.listen_addrs.as_slice()).unwrap_or_default();
        let addrs = if found.addrs.is_empty() { met } else { &found.addrs };
        Ok(json!({ "addrs": addrs.iter().map(ToString::to_string).collect::<Vec<_>>() }))
    }

    /// The library tells names of providers only; addresses are those of the ones we happen to have met.
    fn providers(&self, identified: &HashMap<PeerId, identify::Info>) -> Vec<Value> {
        let entry = |peer: &PeerId| {
            let met = identified.get(peer).map(|info| info.listen_addrs.as_slice()).unwrap_or_default();
            let addrs: Vec<_> = met.iter().map(ToString::to_string).collect();
            json!({ "peer": peer.to_string(), "addrs": addrs })
        };
        self.providers.iter().map(entry).collect()
    }
}
