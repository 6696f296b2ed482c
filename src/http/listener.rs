//! Where connections come in: at a socket of this server's own, at one that a service manager holds, or at the one of
//! the server that this one replaces.
//!
//! Connections wait in the kernel's queue of a socket, which is there for as long as somebody has the socket. So none is
//! refused while servers come and go, if the socket stays: systemd keeps it between two servers
//! (`LISTEN_FDS`), and a server hands it on to its successor through a socket of files in the data directory.
//! `SO_REUSEPORT` would give each server a queue of its own, and those who wait in the old one's when it closes would
//! be cut off.

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

/// How long the two servers of a handover wait for each other.
const HANDOVER_MAX: Duration = Duration::from_secs(30);
/// After a failure to accept, such as too many open files.
const RETRY_DELAY: Duration = Duration::from_millis(100);
/// What goes with the socket, and what is answered once the successor serves.
const HERE_IT_IS: u8 = b'L';
const SERVING: u8 = b'S';

fn invalid(reason: String) -> Error {
    Error::invalid("http.listen", reason)
}

/// The socket that a service manager passes, if it does. To be called before this process starts another one, which
/// would inherit it.
pub fn passed() -> Result<Option<TcpListener>> {
    let mut passed = listenfd::ListenFd::from_env();
    match passed.len() {
        0 => return Ok(None),
        1 => {}
        count => return Err(invalid(format!("{count} sockets were passed in LISTEN_FDS, expected one"))),
    }
    let unusable = |error: io::Error| invalid(format!("the socket in LISTEN_FDS cannot be used: {error}"));
    passed.take_tcp_listener(0).map_err(unusable)?.map(nonblocking).transpose().map_err(unusable)
}

/// A socket of this process's own.
pub async fn bind(listen: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(listen).await.map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => ": end what listens there, or take its place with --replace",
            _ => "",
        };
        invalid(format!("{listen} cannot be listened on: {error}{advice}"))
    })
}

fn nonblocking(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// The server that this one replaces: it serves on until it is dismissed.
#[derive(Debug)]
pub struct Predecessor(UnixStream);

impl Predecessor {
    /// Tells it to drain and end. It may have ended by itself, which is as good.
    pub fn dismiss(mut self) {
        let _ = self.0.write_all(&[SERVING]);
    }
}

/// Asks the server that listens at `listen` for its socket. None if there is no such server of this data directory.
pub async fn take_over(data_dir: &Path, listen: SocketAddr) -> Result<Option<(TcpListener, Predecessor)>> {
    let data_dir = data_dir.to_owned();
    let asked = tokio::task::spawn_blocking(move || ask(&data_dir, listen)).await;
    let asked = asked.map_err(|error| Error::internal("asking a server for its socket", error))?;
    let unusable = |error| invalid(format!("the server at {listen} does not hand over its socket: {error}"));
    match asked.map_err(unusable)? {
        Some((listener, predecessor)) => Ok(Some((nonblocking(listener).map_err(unusable)?, predecessor))),
        None => Ok(None),
    }
}

fn ask(data_dir: &Path, listen: SocketAddr) -> io::Result<Option<(std::net::TcpListener, Predecessor)>> {
    let place = Place::of(data_dir, listen)?;
    let stream = match UnixStream::connect(place.path()) {
        Ok(stream) => stream,
        // Nobody ever offered it, or whoever did was killed.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(HANDOVER_MAX))?;
    stream.set_write_timeout(Some(HANDOVER_MAX))?;
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(&stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let listener = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    match listener {
        Some(listener) if byte == [HERE_IT_IS] => Ok(Some((listener.into(), Predecessor(stream)))),
        _ => Err(io::Error::other("it sent something else")),
    }
}

/// Offers `listener` to a successor until `shutdown`, which it fires once a successor serves.
pub async fn offer(listener: OwnedFd, data_dir: PathBuf, listen: SocketAddr, shutdown: CancellationToken) {
    let (place, door) = match open_door(&data_dir, listen) {
        Ok(opened) => opened,
        Err(error) => {
            tracing::warn!(%error, "The server cannot be replaced with --replace");
            return;
        }
    };
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = door.accept() => accepted,
        };
        let handed_over = async {
            let (stream, _) = accepted?;
            tokio::time::timeout(HANDOVER_MAX, hand_over(listener.as_fd(), stream)).await?
        };
        match handed_over.await {
            Ok(()) => {
                tracing::info!("Another server takes over");
                shutdown.cancel();
                // The name is the successor's now.
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "A server that wanted to take over did not");
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
    }
    // What is left behind is found to be nobody's.
    let _ = fs::remove_file(place.path());
}

/// Ends once the successor says that it serves.
async fn hand_over(listener: BorrowedFd<'_>, mut stream: tokio::net::UnixStream) -> io::Result<()> {
    let send = || -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let sockets = [listener];
        if !control.push(SendAncillaryMessage::ScmRights(&sockets)) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        sendmsg(&stream, &[IoSlice::new(&[HERE_IT_IS])], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    };
    stream.writable().await?;
    stream.try_io(Interest::WRITABLE, send)?;
    match stream.read_u8().await? {
        SERVING => Ok(()),
        _ => Err(io::Error::other("it answered something else")),
    }
}

fn open_door(data_dir: &Path, listen: SocketAddr) -> io::Result<(Place, UnixListener)> {
    let place = Place::of(data_dir, listen)?;
    let draft = place.draft();
    let _ = fs::remove_file(&draft);
    let door = UnixListener::bind(&draft)?;
    // In place of the predecessor's, or of one that was left behind.
    fs::rename(draft, place.path())?;
    Ok((place, door))
}

/// Where a server of a data directory is asked for its socket. Nobody else may enter the directory.
struct Place {
    dir: File,
    name: String,
}

impl Place {
    fn of(data_dir: &Path, listen: SocketAddr) -> io::Result<Self> {
        Ok(Self { dir: File::open(data_dir)?, name: format!("serve-{listen}.sock") })
    }

    /// By way of the open directory, since the system takes short paths of sockets only.
    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.dir.as_raw_fd())).join(&self.name)
    }

    fn draft(&self) -> PathBuf {
        self.path().with_extension(std::process::id().to_string())
    }
}
