//! A node whose replica writes what it is told to, or letters that depend on seed and position only.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use remuda_link::{Allowance, Connection, Endpoint, Patience, SecretKey, Sender, Stream};
use remuda_types::{Digest, NodeKey};
use remuda_wire::frame;
use remuda_wire::infer::{
    Ask, Candidate, End, EndReason, Open, Ready, Refused, RefusedReason, Reply, Start, Token,
};
use remuda_wire::probe::Ping;
use remuda_wire::{ALPN_INFER, ALPN_PROBE};

/// What goes wrong, once so many tokens of an answer have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The machine is gone: every connection breaks.
    Kill,
    /// The engine hangs: no tokens, no answers to probes, connections stay.
    Freeze,
    /// The stream breaks.
    Reset,
    /// Something that is no frame.
    Garble,
    /// A token that the model does not have.
    UnknownToken,
    /// A token is left out.
    Gap,
    /// The replica drains.
    Drain,
    /// It refuses.
    Refuse(RefusedReason),
    /// It says nothing until it is let go on.
    Wait,
    /// It says that the answer is complete.
    Stop,
}

/// How a node behaves; may be changed while it runs.
#[derive(Debug)]
pub(crate) struct Manner {
    pub(crate) model: Digest,
    /// What the replica writes; empty for letters.
    pub(crate) script: Vec<u32>,
    pub(crate) pause: Duration,
    /// How long its engine takes to answer a probe.
    pub(crate) step: Duration,
    pub(crate) fault: Option<(u32, Fault)>,
}

/// A node that runs.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) key: NodeKey,
    pub(crate) address: SocketAddr,
    endpoint: Endpoint,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    manner: Mutex<Manner>,
    starts: Mutex<Vec<Start>>,
    sent: AtomicU32,
    cancelled: AtomicU32,
    probes: AtomicU32,
}

/// The letter at a position, as every replica writes it.
pub(crate) fn letter(seed: u64, index: u32) -> u32 {
    let mixed = (seed ^ u64::from(index)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    u32::from(b'a') + u32::try_from(mixed % 26).unwrap()
}

/// What a whole answer reads.
pub(crate) fn letters(seed: u64, count: u32) -> String {
    (0..count)
        .map(|index| char::from_u32(letter(seed, index)).unwrap())
        .collect()
}

impl Node {
    pub(crate) async fn start(secret: u8, model: Digest) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), secret, model).await
    }

    /// Starts where another has been, whose socket may take a moment to go.
    pub(crate) async fn start_at(bind: SocketAddr, secret: u8, model: Digest) -> Self {
        let endpoint = loop {
            let endpoint = remuda_link::bind(remuda_link::Config {
                key: SecretKey::from_bytes(&[secret; 32]),
                bind,
                alpns: vec![ALPN_INFER.to_vec(), ALPN_PROBE.to_vec()],
                relays: Vec::new(),
                patience: Patience::default(),
                allowance: Allowance::PEER,
            });
            match endpoint.await {
                Ok(endpoint) => break endpoint,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        let manner = Manner {
            model,
            script: Vec::new(),
            pause: Duration::ZERO,
            step: Duration::ZERO,
            fault: None,
        };
        let shared = Shared {
            manner: Mutex::new(manner),
            starts: Mutex::default(),
            sent: AtomicU32::new(0),
            cancelled: AtomicU32::new(0),
            probes: AtomicU32::new(0),
        };
        let node = Self {
            key: NodeKey(*endpoint.id().as_bytes()),
            address: endpoint.bound_sockets()[0],
            endpoint,
            shared: Arc::new(shared),
        };
        tokio::spawn(node.clone().accept());
        node
    }

    /// Changes how it behaves from now on.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.shared.manner.lock().unwrap());
    }

    /// Requests that reached it.
    pub(crate) fn starts(&self) -> Vec<Start> {
        self.shared.starts.lock().unwrap().clone()
    }

    /// Tokens it has sent.
    pub(crate) fn sent(&self) -> u32 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// Requests that were cancelled.
    pub(crate) fn cancelled(&self) -> u32 {
        self.shared.cancelled.load(Ordering::SeqCst)
    }

    /// Probes that reached it.
    pub(crate) fn probes(&self) -> u32 {
        self.shared.probes.load(Ordering::SeqCst)
    }

    /// Is gone at once.
    pub(crate) async fn kill(&self) {
        self.endpoint.close().await;
    }

    async fn accept(self) {
        while let Some(incoming) = self.endpoint.accept().await {
            let node = self.clone();
            tokio::spawn(async move {
                let Ok(connection) = incoming.await else {
                    return;
                };
                if connection.alpn() == ALPN_PROBE {
                    while let Ok(mut stream) = Stream::<Ping, Ping>::accept(&connection).await {
                        if let Ok(Some(ping)) = stream.receiver.receive().await {
                            drop(stream.sender.send(&ping).await);
                        }
                    }
                    return;
                }
                while let Ok((send, recv)) = connection.accept_bi().await {
                    tokio::spawn(node.clone().answer(connection.clone(), send, recv));
                }
            });
        }
    }

    async fn answer(
        self,
        connection: Connection,
        send: remuda_link::SendStream,
        mut recv: remuda_link::RecvStream,
    ) {
        let Some(_open) = message::<Open>(&mut recv).await else {
            return;
        };
        let Some(ask) = message::<Ask>(&mut recv).await else {
            return;
        };
        let mut sender = Sender::<Reply>::new(send);
        match ask {
            Ask::Probe => {
                self.shared.probes.fetch_add(1, Ordering::SeqCst);
                self.probed(sender).await;
            }
            Ask::Start(start) => {
                self.shared.starts.lock().unwrap().push((*start).clone());
                let mut rest = [0; 1];
                tokio::select! {
                    () = self.generate(&connection, &mut sender, *start) => {}
                    _ = recv.read(&mut rest) => {
                        self.shared.cancelled.fetch_add(1, Ordering::SeqCst);
                    }
                }
            }
        }
    }

    fn is_frozen(&self) -> bool {
        matches!(
            self.shared.manner.lock().unwrap().fault,
            Some((_, Fault::Freeze))
        )
    }

    async fn probed(&self, mut sender: Sender<Reply>) {
        if self.is_frozen() {
            return std::future::pending().await;
        }
        let step = self.shared.manner.lock().unwrap().step;
        tokio::time::sleep(step).await;
        let ready = Ready {
            model: self.shared.manner.lock().unwrap().model,
            active: 0,
            slots: 4,
            context_tokens: 0,
            generated_tokens: 0,
        };
        drop(sender.send(&Reply::Ready(ready)).await);
        sender.finish();
    }

    async fn generate(&self, connection: &Connection, sender: &mut Sender<Reply>, start: Start) {
        let (script, pause) = {
            let manner = self.shared.manner.lock().unwrap();
            (manner.script.clone(), manner.pause)
        };
        let first = u32::try_from(start.generated.len()).unwrap();
        let mut index = first;
        loop {
            if let Some((_, fault)) = self.due(index) {
                if !self.fail(connection, sender, fault, index).await {
                    return;
                }
                continue;
            }
            let reason = if index >= start.max_tokens {
                Some(EndReason::Length)
            } else if !script.is_empty() && index as usize >= script.len() {
                Some(EndReason::Stop)
            } else {
                None
            };
            if let Some(reason) = reason {
                drop(
                    sender
                        .send(&Reply::End(End {
                            reason,
                            cached_tokens: 0,
                        }))
                        .await,
                );
                sender.finish();
                return std::future::pending().await;
            }
            let id = script.get(index as usize).copied();
            let id = id.unwrap_or_else(|| letter(start.seed, index));
            let token = scored(token(index, id), start.top_logprobs);
            if sender.send(&token).await.is_err() {
                return std::future::pending().await;
            }
            index += 1;
            self.shared.sent.fetch_add(1, Ordering::SeqCst);
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    fn due(&self, index: u32) -> Option<(u32, Fault)> {
        self.shared
            .manner
            .lock()
            .unwrap()
            .fault
            .filter(|(after, _)| index >= *after)
    }

    /// Whether the answer goes on after the fault.
    async fn fail(
        &self,
        connection: &Connection,
        sender: &mut Sender<Reply>,
        fault: Fault,
        index: u32,
    ) -> bool {
        match fault {
            Fault::Kill => {
                // What was sent before is delivered: the cut comes after it.
                tokio::time::sleep(Duration::from_millis(100)).await;
                connection.close(9_u32.into(), b"killed");
                self.kill().await;
            }
            Fault::Freeze => std::future::pending().await,
            Fault::Reset => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                sender.reset();
            }
            Fault::Garble => {
                let mut sender = Sender::<Ping>::new(take(sender, connection).await);
                drop(sender.send(&Ping { nonce: 1 }).await);
                return std::future::pending().await;
            }
            Fault::UnknownToken => drop(sender.send(&token(index, 99_999)).await),
            Fault::Gap => drop(sender.send(&token(index + 1, 65)).await),
            Fault::Drain => end(sender, EndReason::Draining).await,
            Fault::Stop => end(sender, EndReason::Stop).await,
            Fault::Refuse(reason) => {
                let detail = "as told".to_owned();
                drop(
                    sender
                        .send(&Reply::Refused(Refused { reason, detail }))
                        .await,
                );
            }
            Fault::Wait => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                return true;
            }
        }
        std::future::pending().await
    }
}

/// The stream below a sender, whose place another stream takes.
async fn take(sender: &mut Sender<Reply>, connection: &Connection) -> remuda_link::SendStream {
    let (spare, _) = connection.open_bi().await.unwrap();
    std::mem::replace(sender, Sender::new(spare)).into_inner()
}

async fn end(sender: &mut Sender<Reply>, reason: EndReason) {
    let end = End {
        reason,
        cached_tokens: 0,
    };
    drop(sender.send(&Reply::End(end)).await);
}

fn token(index: u32, id: u32) -> Reply {
    Reply::Token(Token {
        index,
        id,
        logprob: None,
        top: Vec::new(),
    })
}

/// A token with what is asked for of its probabilities.
fn scored(reply: Reply, top: u8) -> Reply {
    let Reply::Token(token) = reply else {
        return reply;
    };
    let likely = |rank: u8| Candidate {
        id: token.id + u32::from(rank),
        logprob: -0.5 - f32::from(rank),
    };
    Reply::Token(Token {
        logprob: (top > 0).then_some(-0.5),
        top: (0..top).map(likely).collect(),
        ..token
    })
}

async fn message<M: for<'b> minicbor::Decode<'b, ()>>(
    recv: &mut remuda_link::RecvStream,
) -> Option<M> {
    let mut length = [0; 4];
    recv.read_exact(&mut length).await.ok()?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    recv.read_exact(&mut body).await.ok()?;
    frame::read(&body).ok()
}
