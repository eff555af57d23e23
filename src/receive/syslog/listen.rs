//! The sockets: messages as they come go to the [`Receiver`] in groups.
//!
//! Syslog knows no acknowledgement. Over TCP nothing more is read while the journal is full, and
//! the sender waits. Over UDP what comes meanwhile is dropped and counted.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::add;
use super::frames::Frames;
use crate::{Protocol, Push, Receiver, Refused};

/// Connections at a time; more are closed at once, and their senders try again.
const CONNECTIONS_MAX: usize = 256;
/// The largest datagram there is.
const DATAGRAM_BYTES: usize = 65_536;
/// Datagrams that go into one group: a sync of the disk is shared by so many.
const GROUP_MAX: usize = 512;
/// Groups of datagrams that may wait for the disk.
const GROUPS_WAITING: usize = 16;
/// What is read from a connection at a time.
const READ_BYTES: usize = 64 << 10;
/// How long a connection waits before it tries again to hand over what it has.
const RETRY: Duration = Duration::from_millis(500);

/// Bound sockets; `None` where syslog is not wanted.
#[derive(Debug, Default)]
pub struct Sockets {
    udp: Option<std::net::UdpSocket>,
    tcp: Option<std::net::TcpListener>,
}

impl Sockets {
    /// Binds the addresses that are given.
    ///
    /// # Errors
    /// The address that cannot be bound, and why.
    pub fn bind(udp: Option<&str>, tcp: Option<&str>) -> Result<Self, (String, io::Error)> {
        let failed = |what: &str, address: &str| {
            let what = format!("cannot listen on {address} for syslog over {what}");
            move |error| (what, error)
        };
        let udp = udp.map(|address| {
            std::net::UdpSocket::bind(address)
                .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
                .map_err(failed("UDP", address))
        });
        let tcp = tcp.map(|address| {
            std::net::TcpListener::bind(address)
                .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
                .map_err(failed("TCP", address))
        });
        Ok(Self {
            udp: udp.transpose()?,
            tcp: tcp.transpose()?,
        })
    }

    /// Whether there is nothing to listen on.
    pub fn is_empty(&self) -> bool {
        self.udp.is_none() && self.tcp.is_none()
    }

    /// The bound addresses, UDP and TCP: a port of 0 has become one.
    pub fn addresses(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let udp = self
            .udp
            .as_ref()
            .and_then(|socket| socket.local_addr().ok());
        let tcp = self
            .tcp
            .as_ref()
            .and_then(|socket| socket.local_addr().ok());
        (udp, tcp)
    }
}

/// Listens until it is cancelled. The sockets are cloned, so that it can be started again.
pub async fn run(receiver: Arc<Receiver>, sockets: Arc<Sockets>, cancel: CancellationToken) {
    let udp = sockets.udp.as_ref().map(|socket| {
        let socket = socket.try_clone().and_then(UdpSocket::from_std);
        (socket, receiver.clone())
    });
    let tcp = sockets.tcp.as_ref().map(|socket| {
        let socket = socket.try_clone().and_then(TcpListener::from_std);
        (socket, receiver.clone())
    });
    let failed = |error: io::Error| error!(%error, "cannot use a syslog socket");
    let udp = async {
        match udp {
            Some((Ok(socket), receiver)) => datagrams(socket, receiver, &cancel).await,
            Some((Err(error), _)) => failed(error),
            None => {}
        }
    };
    let tcp = async {
        match tcp {
            Some((Ok(socket), receiver)) => connections(socket, receiver, &cancel).await,
            Some((Err(error), _)) => failed(error),
            None => {}
        }
    };
    tokio::join!(udp, tcp);
}

type Datagram = (IpAddr, Vec<u8>);

/// Reads datagrams, and beside that hands them over: a slow disk must not slow down reading.
async fn datagrams(socket: UdpSocket, receiver: Arc<Receiver>, cancel: &CancellationToken) {
    let (groups, mut waiting) = mpsc::channel::<Vec<Datagram>>(GROUPS_WAITING);
    let read = async {
        let groups = groups;
        let mut buffer = vec![0; DATAGRAM_BYTES];
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                ready = socket.readable() => if let Err(error) = ready {
                    warn!(%error, "cannot read syslog datagrams");
                    return;
                },
            }
            let mut group = Vec::new();
            while group.len() < GROUP_MAX {
                match socket.try_recv_from(&mut buffer) {
                    Ok((length, from)) => {
                        let bytes = buffer.get(..length).unwrap_or_default();
                        group.push((from.ip(), bytes.to_vec()));
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => {
                        warn!(%error, "cannot read a syslog datagram");
                        break;
                    }
                }
            }
            if let Err(mpsc::error::TrySendError::Full(lost)) = groups.try_send(group) {
                let why = Refused::Full(format!(
                    "{} messages came faster than the disk takes them and were dropped",
                    lost.len()
                ));
                let from = lost.first().map(|(from, _)| *from);
                receiver.refused(Protocol::SyslogUdp, from, model::time::now_ns(), &why);
            }
        }
    };
    let write = async {
        while let Some(group) = waiting.recv().await {
            let receiver = receiver.clone();
            let done = tokio::task::spawn_blocking(move || take_datagrams(&receiver, &group));
            if done.await.is_err() {
                error!("taking syslog messages failed unexpectedly");
            }
        }
    };
    tokio::join!(read, write);
}

/// A push for each sender of the group.
fn take_datagrams(receiver: &Receiver, group: &[Datagram]) {
    let zone = TimeZone::system();
    let now_ns = model::time::now_ns();
    let mut rest = group;
    while let Some((from, _)) = rest.first() {
        let same = rest.iter().take_while(|(other, _)| other == from).count();
        let (messages, others) = rest.split_at_checked(same).unwrap_or((rest, &[]));
        rest = others;
        let mut push = receiver.push(Protocol::SyslogUdp, now_ns);
        let filled = messages
            .iter()
            .try_for_each(|(_, bytes)| add(&mut push, bytes, Some(*from), &zone));
        if let Err(why) = filled {
            receiver.refused(Protocol::SyslogUdp, Some(*from), now_ns, &why);
        }
        // A failure is counted and shown by the receiver; the sender cannot be told.
        let _ = receiver.accept(push, Some(*from));
    }
}

async fn connections(socket: TcpListener, receiver: Arc<Receiver>, cancel: &CancellationToken) {
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            Some(_) = open.join_next(), if !open.is_empty() => {
                receiver.metrics().syslog_connections.set(open.len() as i64);
                continue;
            }
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) if open.len() < CONNECTIONS_MAX => {
                let connection = connection(stream, from.ip(), receiver.clone(), cancel.clone());
                open.spawn(connection);
                receiver.metrics().syslog_connections.set(open.len() as i64);
            }
            Ok((stream, from)) => {
                drop(stream);
                let why = Refused::Full(format!(
                    "{CONNECTIONS_MAX} syslog connections are open, another one was closed"
                ));
                receiver.refused(
                    Protocol::SyslogTcp,
                    Some(from.ip()),
                    model::time::now_ns(),
                    &why,
                );
            }
            Err(error) => {
                // As a rule too many open files: let some close.
                warn!(%error, "cannot accept a syslog connection");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
    // What they have read they still hand over.
    while open.join_next().await.is_some() {}
    receiver.metrics().syslog_connections.set(0);
}

async fn connection(
    mut stream: TcpStream,
    from: IpAddr,
    receiver: Arc<Receiver>,
    cancel: CancellationToken,
) {
    let zone = TimeZone::system();
    let mut frames = Frames::new(receiver.limits().line_bytes_max);
    let mut chunk = vec![0; READ_BYTES];
    loop {
        let length = tokio::select! {
            () = cancel.cancelled() => 0,
            read = stream.read(&mut chunk) => read.unwrap_or(0),
        };
        let mut push = receiver.push(Protocol::SyslogTcp, model::time::now_ns());
        let bytes = chunk.get(..length).unwrap_or_default();
        frames.buffer().extend_from_slice(bytes);
        let mut filled = Ok(());
        while let Some(frame) = frames.next() {
            filled = filled.and_then(|()| add(&mut push, frame, Some(from), &zone));
        }
        if length == 0 {
            filled = filled.and_then(|()| add(&mut push, frames.rest(), Some(from), &zone));
        }
        if let Err(why) = filled {
            receiver.refused(Protocol::SyslogTcp, Some(from), model::time::now_ns(), &why);
        }
        if !hand_over(&receiver, push, from, &cancel).await || length == 0 {
            return;
        }
    }
}

/// Hands over for as long as it takes; meanwhile nothing more is read. `false` at the end.
async fn hand_over(
    receiver: &Arc<Receiver>,
    push: Push,
    from: IpAddr,
    cancel: &CancellationToken,
) -> bool {
    let mut push = push;
    loop {
        if push.lines() == 0 && push.rejected().is_none() {
            return true;
        }
        let copy = push.clone();
        let receiver = receiver.clone();
        let taken = tokio::task::spawn_blocking(move || receiver.accept(copy, Some(from))).await;
        match taken {
            Ok(Ok(())) => return true,
            Ok(Err(_)) => {}
            Err(_) => error!("taking syslog messages failed unexpectedly"),
        }
        tokio::select! {
            () = cancel.cancelled() => return false,
            () = tokio::time::sleep(RETRY) => {}
        }
        push.forget_tally();
    }
}
