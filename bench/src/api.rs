//! A keep-alive HTTP/1.1 connection to the server and the few calls that set the bench up.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
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

/// An answer that does not end.
#[derive(Debug)]
pub(crate) struct Stream {
    body: Incoming,
    seen: Vec<u8>,
    _connection: Connection,
}

impl Stream {
    /// Returns when `text` has come.
    pub(crate) async fn wait_for(&mut self, text: &str) -> Result<()> {
        while memchr::memmem::find(&self.seen, text.as_bytes()).is_none() {
            let frame = self.body.frame().await.context("the stream has ended")??;
            self.seen.extend_from_slice(&frame.into_data().unwrap_or_default());
        }
        Ok(())
    }
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
        let response = self.send((method, path), key, ("application/json", body)).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, body))
    }

    async fn send(
        &mut self,
        (method, path): (Method, &str),
        key: &str,
        (media_type, body): (&str, Bytes),
    ) -> Result<Response<Incoming>> {
        self.sender.ready().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, media_type)
            .body(Full::new(body))?;
        Ok(self.sender.send_request(request).await?)
    }

    /// The id of the mailbox with the role `inbox`.
    pub(crate) async fn inbox(&mut self, key: &str) -> Result<String> {
        let (_, body) = self.call(Method::GET, "/v1/mailboxes", key, Bytes::new()).await?;
        let list: Value = serde_json::from_slice(&body)?;
        let all = list.get("data").and_then(Value::as_array);
        let inbox = all
            .into_iter()
            .flatten()
            .find(|mailbox| mailbox.get("role").and_then(Value::as_str) == Some("inbox"));
        let id = inbox.and_then(|mailbox| mailbox.get("id")?.as_str()).context("no inbox")?;
        Ok(id.to_owned())
    }

    /// Stores a mail in a mailbox.
    pub(crate) async fn append(
        &mut self,
        key: &str,
        mailbox: &str,
        mail: Bytes,
    ) -> Result<(StatusCode, Bytes)> {
        let path = format!("/v1/mail?mailbox_id={mailbox}");
        let response = self.send((Method::POST, &path), key, ("message/rfc822", mail)).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    /// Reads an answer of any length and counts its lines.
    pub(crate) async fn count_lines(&mut self, path: &str, key: &str) -> Result<u64> {
        let request = (Method::GET, path);
        let response = self.send(request, key, ("application/json", Bytes::new())).await?;
        let mut body = response.into_body();
        let mut lines = 0;
        while let Some(frame) = body.frame().await {
            let data = frame?.into_data().unwrap_or_default();
            lines += u64::try_from(memchr::memchr_iter(b'\n', &data).count())?;
        }
        Ok(lines)
    }

    /// Opens a live stream.
    pub(crate) async fn open_stream(mut self, path: &str, key: &str) -> Result<Stream> {
        let request = (Method::GET, path);
        let response = self.send(request, key, ("application/json", Bytes::new())).await?;
        if response.status() != StatusCode::OK {
            bail!("GET {path} answered {}", response.status());
        }
        Ok(Stream { body: response.into_body(), seen: Vec::new(), _connection: self })
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
        let scopes = [
            "send",
            "webhooks:write",
            "messages:read",
            "events:read",
            "suppressions:read",
            "suppressions:write",
            "mail:read",
            "mail:write",
        ];
        let new = json!({"name": name, "account_id": account.get("id"), "scopes": scopes});
        let key = self.create("/v1/api-keys", admin_key, new).await?;
        let key = key
            .get("key")
            .and_then(Value::as_str)
            .context("the new API key is not in the answer")?;
        Ok(Sender { from, key: key.to_owned() })
    }
}
