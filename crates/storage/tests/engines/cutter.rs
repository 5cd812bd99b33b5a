//! A proxy before the server that cuts a connection in the middle of its COMMIT.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Where the next COMMIT gets lost; one only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It does not reach the server.
    Question = 1,
    /// The server commits, and nobody hears of it.
    Answer = 2,
}

const NONE: u8 = 0;

/// Whether a message of either driver asks for a commit, rather than for an isolation level.
fn commits(message: &[u8]) -> bool {
    let commit = b"COMMIT";
    (0..message.len()).any(|at| message[at..].starts_with(commit) && message.get(at + commit.len()) != Some(&b'T'))
}

/// Stands before a server until its test ends.
pub(crate) struct Cutter {
    address: SocketAddr,
    armed: Arc<AtomicU8>,
}

impl Cutter {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let armed = Arc::new(AtomicU8::new(NONE));
        let watched = Arc::clone(&armed);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&watched)));
            }
        });
        Self { address, armed }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Loses the next COMMIT.
    pub(crate) fn arm(&self, cut: Cut) {
        self.armed.store(cut as u8, Ordering::SeqCst);
    }

    /// Whether it has lost the one that it was armed for.
    pub(crate) fn has_cut(&self) -> bool {
        self.armed.load(Ordering::SeqCst) == NONE
    }
}

/// Hands on both ways until one side closes, or the connection is cut.
async fn pass(mut client: TcpStream, mut server: TcpStream, armed: Arc<AtomicU8>) {
    let (mut asked, mut answered) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                let message = &asked[..length];
                let cut = if commits(message) { armed.swap(NONE, Ordering::SeqCst) } else { NONE };
                if cut == Cut::Question as u8 || server.write_all(message).await.is_err() {
                    return;
                }
                if cut == Cut::Answer as u8 {
                    // Its answer means that it is done.
                    let _done = server.read(&mut answered).await;
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
