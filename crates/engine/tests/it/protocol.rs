//! The engine on its socket: streaming, cancelling, refusing, probing, draining.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use remuda_engine::serve;
use remuda_engine::{Config, serve as serve_module};
use remuda_types::Constraint;
use remuda_types::{Digest, Entropy, RequestId, Time};
use remuda_wire::frame::Frames;
use remuda_wire::infer::{Ask, EndReason, Ready, RefusedReason, Reply, Sampler, Start, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::codec::Framed;

use crate::fixture::{DIGEST, config, prompt};

type Client = Framed<UnixStream, Frames<Reply, Ask>>;

struct Server {
    socket: PathBuf,
    _folder: tempfile::TempDir,
    shutdown: oneshot::Sender<()>,
    done: JoinHandle<Result<(), serve_module::Error>>,
}

impl Server {
    fn start(config: Config) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).expect("bound");
        let (shutdown, stopped) = oneshot::channel::<()>();
        let until = async move {
            stopped.await.ok();
        };
        let done = tokio::spawn(serve(config, listener, until));
        Self {
            socket,
            _folder: folder,
            shutdown,
            done,
        }
    }

    async fn ask(&self, ask: Ask) -> Client {
        let mut client = self.connect().await;
        client.send(ask).await.expect("sent");
        client
    }

    async fn connect(&self) -> Client {
        let stream = UnixStream::connect(&self.socket).await.expect("connected");
        Framed::new(stream, Frames::default())
    }

    async fn probe(&self) -> Ready {
        let mut client = self.ask(Ask::Probe).await;
        match client.next().await {
            Some(Ok(Reply::Ready(ready))) => ready,
            other => panic!("{other:?}"),
        }
    }

    async fn until(&self, holds: impl Fn(&Ready) -> bool) -> Ready {
        loop {
            let ready = self.probe().await;
            if holds(&ready) {
                return ready;
            }
        }
    }

    async fn stop(self) {
        self.shutdown.send(()).expect("still serving");
        self.done.await.expect("no panic").expect("no error");
    }
}

fn start(max_tokens: u32) -> Start {
    Start {
        request: RequestId::new(Time::from_millis(1), Entropy([0; 10])),
        model: DIGEST,
        prompt: prompt(0),
        generated: Vec::new(),
        sampler: Sampler::default(),
        seed: 1,
        max_tokens,
        constraint: None,
        top_logprobs: 0,
    }
}

/// A start that no end-of-generation token cuts short: what it must follow has no end.
fn endless() -> Ask {
    Ask::Start(Box::new(Start {
        constraint: Some(Constraint::Lark("start: (/[a-z ]/)~1000".into())),
        ..start(400)
    }))
}

async fn all(client: &mut Client) -> (Vec<Token>, Option<Reply>) {
    let mut tokens = Vec::new();
    while let Some(reply) = client.next().await {
        match reply.expect("a frame") {
            Reply::Token(token) => tokens.push(token),
            last => return (tokens, Some(last)),
        }
    }
    (tokens, None)
}

async fn refusal(client: &mut Client) -> Option<RefusedReason> {
    match all(client).await.1 {
        Some(Reply::Refused(refused)) => Some(refused.reason),
        _ => None,
    }
}

async fn in_time<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(2), test)
        .await
        .expect("nothing hangs")
}

#[tokio::test]
async fn tokens_come_in_order_with_their_logprobs_and_an_end() {
    in_time(async {
        let server = Server::start(config());
        let asked = Start {
            top_logprobs: 3,
            ..start(6)
        };
        let (tokens, end) = all(&mut server.ask(Ask::Start(Box::new(asked.clone()))).await).await;
        let indices: Vec<u32> = tokens.iter().map(|token| token.index).collect();
        assert_eq!(indices, [0, 1, 2, 3, 4, 5]);
        for token in &tokens {
            assert_eq!(token.top.len(), 3);
            assert!(token.top.is_sorted_by(|a, b| a.logprob >= b.logprob));
            assert!(
                token
                    .logprob
                    .is_some_and(|logprob| logprob <= token.top[0].logprob)
            );
        }
        assert!(matches!(end, Some(Reply::End(end)) if end.reason == EndReason::Length));
        let generated = tokens[..4].iter().map(|token| token.id).collect();
        let resumed = Ask::Start(Box::new(Start {
            generated,
            ..asked.clone()
        }));
        let (rest, end) = all(&mut server.ask(resumed).await).await;
        assert_eq!(rest, &tokens[4..], "indices, ids and logprobs go on");
        let cached = u32::try_from(asked.prompt.len()).expect("short");
        assert!(matches!(end, Some(Reply::End(end)) if end.cached_tokens == cached));
        let complete = Start {
            generated: vec![1, 2],
            ..start(2)
        };
        let (none, end) = all(&mut server.ask(Ask::Start(Box::new(complete))).await).await;
        assert!(none.is_empty() && matches!(end, Some(Reply::End(_))));
        server.stop().await;
    })
    .await;
}

#[tokio::test]
async fn leaving_frees_the_slot_and_a_full_queue_refuses() {
    in_time(async {
        let server = Server::start(Config {
            slots: 1,
            queue: 1,
            ..config()
        });
        let mut running = server.ask(endless()).await;
        assert!(matches!(running.next().await, Some(Ok(Reply::Token(_)))));
        let mut waiting = server.ask(endless()).await;
        // Connections are taken in order, so a probe answered after it shows that it is queued.
        assert_eq!(server.probe().await.active, 1);
        let mut refused = server.ask(endless()).await;
        assert_eq!(refusal(&mut refused).await, Some(RefusedReason::Busy));
        drop(running);
        assert!(
            matches!(waiting.next().await, Some(Ok(Reply::Token(_)))),
            "the slot is free"
        );
        drop(waiting);
        let ready = server.until(|ready| ready.active == 0).await;
        assert_eq!(
            (ready.model, ready.slots, ready.context_tokens),
            (DIGEST, 1, 512)
        );
        assert!(ready.generated_tokens >= 2);
        server.stop().await;
    })
    .await;
}

#[tokio::test]
async fn wrong_requests_and_malformed_frames_are_refused() {
    in_time(async {
        let server = Server::start(config());
        let wrong = [
            (
                Start {
                    model: Digest([1; 32]),
                    ..start(4)
                },
                RefusedReason::WrongModel,
            ),
            (
                Start {
                    prompt: Vec::new(),
                    ..start(4)
                },
                RefusedReason::Invalid,
            ),
            (
                Start {
                    prompt: vec![49_152],
                    ..start(4)
                },
                RefusedReason::Invalid,
            ),
            (start(512), RefusedReason::Invalid),
            (
                Start {
                    constraint: Some(Constraint::Lark("not one".into())),
                    ..start(4)
                },
                RefusedReason::Invalid,
            ),
        ];
        for (asked, reason) in wrong {
            let mut client = server.ask(Ask::Start(Box::new(asked))).await;
            assert_eq!(refusal(&mut client).await, Some(reason));
        }
        for bytes in [
            &b"\0\0\0\x03abc"[..],
            b"\xff\xff\xff\xff",
            b"GET / HTTP/1.1\r\n\r\n",
        ] {
            let mut client = server.connect().await;
            client.get_mut().write_all(bytes).await.expect("written");
            assert_eq!(refusal(&mut client).await, Some(RefusedReason::Invalid));
            let mut rest = Vec::new();
            client
                .get_mut()
                .read_to_end(&mut rest)
                .await
                .expect("closed");
            assert!(rest.is_empty());
        }
        drop(server.connect().await);
        assert_eq!(server.probe().await.active, 0, "and it still serves");
        server.stop().await;
    })
    .await;
}

#[tokio::test]
async fn shutdown_ends_what_runs_and_what_waits_as_draining() {
    in_time(async {
        let grace = Duration::from_millis(100);
        let server = Server::start(Config {
            slots: 1,
            queue: 4,
            drain_grace: grace,
            ..config()
        });
        let mut running = server.ask(endless()).await;
        assert!(matches!(running.next().await, Some(Ok(Reply::Token(_)))));
        let mut waiting = server.ask(endless()).await;
        // Its frame is read once a probe sent after it is answered and one more token has come.
        server.probe().await;
        running.next().await;
        server.shutdown.send(()).expect("still serving");
        for client in [&mut running, &mut waiting] {
            let last = all(client).await.1;
            let draining =
                matches!(&last, Some(Reply::End(end)) if end.reason == EndReason::Draining);
            assert!(draining, "{last:?}");
        }
        server.done.await.expect("no panic").expect("no error");
        assert!(
            UnixStream::connect(&server.socket).await.is_err(),
            "nobody accepts any more"
        );
    })
    .await;
}
