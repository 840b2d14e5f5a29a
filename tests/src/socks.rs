//! A SOCKS5 server for tests (RFC 1928, RFC 1929): it takes connections on a loopback port and
//! passes them on, from another address of the loopback network.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Connections that a proxy makes come from here.
pub const EXIT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 77));

/// A running proxy; dropping it ends its connections.
pub struct Socks5 {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<SocketAddr>>>,
    _stop: DropGuard,
}

impl Socks5 {
    /// Starts a proxy that wants this name and password, or none.
    ///
    /// # Panics
    /// When there is no free port: a test cannot go on without its proxy.
    #[expect(clippy::expect_used, reason = "a test cannot go on without its proxy")]
    pub async fn start(login: Option<(&str, &str)>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let addr = listener.local_addr().expect("a listener has an address");
        let login = login.map(|(name, password)| (name.to_owned(), password.to_owned()));
        let asked = Arc::new(Mutex::default());
        let stop = CancellationToken::new();
        let serving = serve(listener, login, asked.clone(), stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(serving));
        Self { addr, asked, _stop: stop.drop_guard() }
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where clients wanted to go.
    pub fn asked(&self) -> Vec<SocketAddr> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(
    listener: TcpListener,
    login: Option<(String, String)>,
    asked: Arc<Mutex<Vec<SocketAddr>>>,
    stop: CancellationToken,
) {
    while let Ok((client, _)) = listener.accept().await {
        let (login, asked) = (login.clone(), asked.clone());
        let passing = async move { pass(client, login, &asked).await };
        let stop = stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled_owned(passing).await });
    }
}

async fn pass(
    mut client: TcpStream,
    login: Option<(String, String)>,
    asked: &Mutex<Vec<SocketAddr>>,
) -> io::Result<()> {
    if !greet(&mut client, login).await? {
        return Ok(());
    }
    let to = target(&mut client).await?;
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(to);
    let socket = TcpSocket::new_v4()?;
    socket.bind((EXIT, 0).into())?;
    match socket.connect(to).await {
        Ok(mut server) => {
            client.write_all(&[5, 0, 0, 1, 127, 0, 0, 77, 0, 0]).await?;
            copy_bidirectional(&mut client, &mut server).await.map(drop)
        }
        // Connection refused.
        Err(_) => client.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await,
    }
}

/// RFC 1928 §3, RFC 1929 §2.
async fn greet(client: &mut TcpStream, login: Option<(String, String)>) -> io::Result<bool> {
    let methods = text(client).await?;
    let wanted = if login.is_some() { 2 } else { 0 };
    if !methods.contains(&wanted) {
        client.write_all(&[5, 255]).await?;
        return Ok(false);
    }
    client.write_all(&[5, wanted]).await?;
    let Some((name, password)) = login else { return Ok(true) };
    let given = (text(client).await?, short(client).await?);
    let right = given == (name.into_bytes(), password.into_bytes());
    client.write_all(&[1, u8::from(!right)]).await?;
    Ok(right)
}

/// A version, and what a length goes before.
async fn text(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    client.read_u8().await?;
    short(client).await
}

async fn short(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; client.read_u8().await?.into()];
    client.read_exact(&mut octets).await?;
    Ok(octets)
}

/// RFC 1928 §4: CONNECT to an address; names are not for a proxy to look up.
async fn target(client: &mut TcpStream) -> io::Result<SocketAddr> {
    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    if head != [5, 1, 0, 1] {
        return Err(io::Error::other("not CONNECT to an IPv4 address"));
    }
    let address = Ipv4Addr::from(client.read_u32().await?);
    Ok((address, client.read_u16().await?).into())
}
