//! A proxy in front of one or several Consuls, that fails as it is told.

use std::{
    net::SocketAddr,
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::sleep,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What the proxy does with connections, those that are open included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Hands them on, to the targets in turn.
    Pass,
    /// Takes what is sent and never answers.
    Hang,
    /// Hands them on after a delay, on each connection.
    Slow(Duration),
    /// Closes them.
    Close,
    /// Answers each request with this, whatever was asked.
    Answer(Vec<u8>),
}

impl Behaviour {
    /// Answers with a status and a body.
    pub fn answer(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Answer(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes())
    }
}

/// Those it hands connections on to.
type Targets = Arc<[SocketAddr]>;

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    behaviour: watch::Sender<Behaviour>,
    targets: Arc<RwLock<Targets>>,
    accepted: Arc<AtomicUsize>,
    _stop: DropGuard,
}

impl Proxy {
    /// In front of these, which it takes in turn; one that can't be connected to is passed over.
    pub async fn start(targets: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (behaviour, watched) = watch::channel(Behaviour::Pass);
        let accepted = Arc::new(AtomicUsize::new(0));
        let stop = CancellationToken::new();
        let targets = Arc::new(RwLock::new(targets.into()));
        let serving = serve(listener, Arc::clone(&targets), watched, Arc::clone(&accepted));
        tokio::spawn(stop.clone().run_until_cancelled_owned(serving));
        Self { address, behaviour, targets, accepted, _stop: stop.drop_guard() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does so from now on. Open connections are broken.
    pub fn behave(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
    }

    /// Leads to these from now on. Open connections stay with those they were led to.
    pub fn lead_to(&self, targets: impl IntoIterator<Item = SocketAddr>) {
        *self.targets.write().unwrap() = targets.into_iter().collect();
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

async fn serve(
    listener: TcpListener,
    targets: Arc<RwLock<Targets>>,
    behaviour: watch::Receiver<Behaviour>,
    accepted: Arc<AtomicUsize>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let turn = accepted.fetch_add(1, Ordering::Relaxed);
        let (targets, mut behaviour) = (Arc::clone(&targets.read().unwrap()), behaviour.clone());
        tokio::spawn(async move {
            let now = behaviour.borrow_and_update().clone();
            // Ends with the proxy, too.
            tokio::select! {
                () = connection(stream, now, &targets, turn) => {}
                _ = behaviour.changed() => {}
            }
        });
    }
}

async fn connection(mut stream: TcpStream, behaviour: Behaviour, targets: &[SocketAddr], turn: usize) {
    match behaviour {
        Behaviour::Pass => pass(&mut stream, targets, turn).await,
        Behaviour::Slow(delay) => {
            sleep(delay).await;
            pass(&mut stream, targets, turn).await;
        }
        Behaviour::Close => {}
        Behaviour::Hang => swallow(&mut stream, None).await,
        Behaviour::Answer(bytes) => swallow(&mut stream, Some(&bytes)).await,
    }
}

async fn pass(stream: &mut TcpStream, targets: &[SocketAddr], turn: usize) {
    for offset in 0..targets.len() {
        if let Ok(mut target) = TcpStream::connect(targets[(turn + offset) % targets.len()]).await {
            let _ = copy_bidirectional(stream, &mut target).await;
            return;
        }
    }
}

/// Reads whatever comes, and answers every piece of it that ends like a request.
async fn swallow(stream: &mut TcpStream, answer: Option<&[u8]>) {
    let mut piece = [0; 8 * 1024];
    while let Ok(1..) = stream.read(&mut piece).await {
        if let Some(answer) = answer
            && stream.write_all(answer).await.is_err()
        {
            return;
        }
    }
}
