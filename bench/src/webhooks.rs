//! How fast events are told: endpoints that were disabled while messages were sent are enabled, and
//! all that has happened meanwhile goes out.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Connection, Sender};
use crate::process::{self, Cpu};
use crate::receiver::{Receiver, wait_for};
use crate::report::{line, number, rate, round};

/// Each message is accepted and delivered.
const EVENTS: u64 = 2;
/// How long receivers may see nothing before we call events lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// Endpoints that wait to be enabled.
pub(crate) struct Endpoints {
    api: Connection,
    key: String,
    ids: Vec<String>,
    fast: Vec<Receiver>,
    hanging: usize,
}

/// What a run showed.
pub(crate) struct Told {
    /// Calls a second that were answered.
    pub per_second: f64,
}

impl Endpoints {
    /// Makes endpoints of the sender's account: at receivers that answer, and at some that hang.
    pub(crate) async fn make(
        mut api: Connection,
        sender: &Sender,
        (fast, hanging): (usize, usize),
    ) -> Result<Self> {
        let mut receivers = Vec::new();
        let mut ids = Vec::new();
        for number in 0..fast + hanging {
            let receiver = Receiver::start(number < fast).await?;
            let new = json!({"url": format!("http://{}/", receiver.address), "enabled": false});
            let made = api.create("/v1/webhooks", &sender.key, new).await?;
            let id = made.get("id").and_then(Value::as_str).context("an endpoint without id")?;
            ids.push(id.to_owned());
            if number < fast {
                receivers.push(receiver);
            }
        }
        Ok(Self { api, key: sender.key.clone(), ids, fast: receivers, hanging })
    }

    /// Enables all and measures until those that answer have had everything; then deletes all.
    pub(crate) async fn tell(mut self, messages: u64, server: u32) -> Result<Told> {
        let cpu = process::cpu(server);
        let started = Instant::now();
        for id in &self.ids {
            let path = format!("/v1/webhooks/{id}/enable");
            let answer = self.api.call(Method::POST, &path, &self.key, Bytes::new()).await?;
            if answer.0 != StatusCode::OK {
                bail!("POST {path} answered {}", answer.0);
            }
        }
        let last = wait_for(&self.fast, messages * EVENTS, PATIENCE).await;
        let used = process::cpu(server) - cpu;
        let calls: u64 = self.fast.iter().map(Receiver::calls).sum();
        let wanted = messages * EVENTS * u64::try_from(self.fast.len())?;
        let per_second = rate(calls, last - started);
        line(&json!({
            "bench": "webhooks",
            "endpoints": self.fast.len(),
            "hanging": self.hanging,
            "per_second": round(per_second),
            "told": calls,
            "missing": wanted.saturating_sub(calls),
            "repeated": calls.saturating_sub(wanted),
            "cpu_seconds_per_1000": per_1000(used, calls),
        }))?;
        for id in &self.ids {
            let path = format!("/v1/webhooks/{id}");
            self.api.call(Method::DELETE, &path, &self.key, Bytes::new()).await?;
        }
        if calls < wanted {
            bail!("{} events were not told", wanted - calls);
        }
        Ok(Told { per_second })
    }
}

fn per_1000(used: Cpu, calls: u64) -> Value {
    let thousands = number(calls.max(1)) / 1000.0;
    json!({
        "server": round(used.server / thousands),
        "postgres": round(used.postgres / thousands),
        "receivers": round(used.bench / thousands),
    })
}
