//! TCP to a server: from one of our addresses, or through a SOCKS5 proxy (RFC 1928).

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use posthouse_core::ports::transport::{Origin, Proxy};
use tokio::net::{TcpSocket, TcpStream};
use tokio_socks::tcp::Socks5Stream;

/// Connects to `to`. A proxy gets the address, not a name: which host it is has been decided, and is
/// what DANE and MTA-STS were looked up for.
pub(super) async fn connect(origin: &Origin, to: SocketAddr) -> io::Result<TcpStream> {
    let tcp = match &origin.proxy {
        Some(proxy) => through(proxy, to).await?,
        None if origin.addresses.is_empty() => TcpStream::connect(to).await?,
        None => from(&origin.addresses, to).await?,
    };
    // Every write of ours is a whole batch; waiting for more to send only costs time.
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// From the first of `addresses` that this machine has and that fits.
async fn from(addresses: &[IpAddr], to: SocketAddr) -> io::Result<TcpStream> {
    for address in addresses.iter().filter(|address| address.is_ipv4() == to.is_ipv4()) {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        match socket.bind((*address, 0).into()) {
            Ok(()) => return socket.connect(to).await,
            // Of another node.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
            Err(error) => return Err(error),
        }
    }
    let text = "this machine has none of the source addresses of the transport";
    Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text))
}

async fn through(proxy: &Proxy, to: SocketAddr) -> io::Result<TcpStream> {
    let mut failure = io::Error::other("the proxy has no address");
    for address in &proxy.addresses {
        match TcpStream::connect((*address, proxy.port)).await {
            Ok(tcp) => {
                tcp.set_nodelay(true)?;
                return ask(proxy, tcp, to).await;
            }
            Err(error) => {
                failure = io::Error::new(error.kind(), format!("proxy {address}: {error}"));
            }
        }
    }
    Err(failure)
}

/// RFC 1928 §4, with the login of RFC 1929 where there is one.
async fn ask(proxy: &Proxy, tcp: TcpStream, to: SocketAddr) -> io::Result<TcpStream> {
    let asked = match &proxy.credentials {
        None => Socks5Stream::connect_with_socket(tcp, to).await,
        Some(login) => {
            let (name, password) = (login.username.as_str(), login.password.as_str());
            Socks5Stream::connect_with_password_and_socket(tcp, to, name, password).await
        }
    };
    asked
        .map(Socks5Stream::into_inner)
        .map_err(|error| io::Error::other(format!("the proxy did not connect: {error}")))
}
