//! A keep-alive HTTP/1.1 connection to the server and the few calls that set the bench up.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// One connection, one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

/// Who sends: an account with an address in a domain of its own.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    /// Its address.
    pub from: String,
    /// Its API key.
    pub key: String,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // How it ends shows in the request that was under way.
            connection.await.ok();
        });
        Ok(Self { address, sender })
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn call(
        &mut self,
        method: Method,
        path: &str,
        key: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes)> {
        self.sender.ready().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, body))
    }

    /// Creates something and gives the answer.
    pub(crate) async fn create(&mut self, path: &str, key: &str, new: Value) -> Result<Value> {
        let body = Bytes::from(serde_json::to_vec(&new)?);
        let (status, body) = self.call(Method::POST, path, key, body).await?;
        if status != StatusCode::CREATED {
            bail!("POST {path} answered {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(serde_json::from_slice(&body)?)
    }

    /// Makes a domain that signs with the given algorithms, an account in it and its key.
    pub(crate) async fn make_sender(
        &mut self,
        admin_key: &str,
        name: &str,
        algorithms: &[&str],
    ) -> Result<Sender> {
        let domain = format!("{name}.bench.test");
        let from = format!("bench@{domain}");
        let new = json!({"name": domain, "dkim": {"algorithms": algorithms}});
        self.create("/v1/domains", admin_key, new).await?;
        let new = json!({"name": name, "addresses": [from], "password": "bench pass phrase"});
        let account = self.create("/v1/accounts", admin_key, new).await?;
        let scopes = ["send", "webhooks:write"];
        let new = json!({"name": name, "account_id": account.get("id"), "scopes": scopes});
        let key = self.create("/v1/api-keys", admin_key, new).await?;
        let key = key
            .get("key")
            .and_then(Value::as_str)
            .context("the new API key is not in the answer")?;
        Ok(Sender { from, key: key.to_owned() })
    }
}
