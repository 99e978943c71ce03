//! A gateway that is killed: its own streams break, and what their clients are billed is stated.
//!
//! The killed gateway is a process of its own: this very test binary, running [`child`].

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use remuda_gateway::ControlAddress;
use serde_json::{Value, json};

use crate::http::Events;
use crate::node::{Fault, letters};
use crate::world::{self, PROMPT, SECRET, World, chat, price};

/// What a killed gateway's process needs to know.
fn orders(world: &World, name: &str) -> Value {
    let ControlAddress {
        endpoint,
        addresses,
    } = world.control.address();
    json!({
        "dir": world.dir.path(), "name": name,
        "control": endpoint.as_bytes().to_vec(), "address": addresses[0],
    })
}

struct Killable {
    process: Child,
    http: SocketAddr,
}

impl Killable {
    fn start(world: &World, name: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "crash::child",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = process.stdin.take().unwrap();
        writeln!(stdin, "{}", orders(world, name)).unwrap();
        // The child lives as long as its input is open.
        std::mem::forget(stdin);
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let http = lines.map_while(Result::ok).find_map(|line| {
            let (_, address) = line.split_once("listening on ")?;
            address.trim().parse().ok()
        });
        Self {
            process,
            http: http.expect("the gateway starts"),
        }
    }

    /// `SIGKILL`: nothing is flushed, nothing is said.
    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Not a test of its own: what a [`Killable`] runs.
#[test]
#[ignore = "run by the tests that kill it"]
fn child() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let Ok(orders) = serde_json::from_str::<Value>(&line) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let control: [u8; 32] = serde_json::from_value(orders["control"].clone()).unwrap();
        let address = ControlAddress {
            endpoint: remuda_link::EndpointId::from_bytes(&control).unwrap(),
            addresses: vec![orders["address"].as_str().unwrap().parse().unwrap()],
        };
        let dir = Path::new(orders["dir"].as_str().unwrap());
        let name = orders["name"].as_str().unwrap();
        let config = world::config_at(dir, name, address);
        let running = Box::pin(remuda_gateway::start(config)).await.unwrap();
        println!("listening on {}", running.http);
        // Until the test kills us, or is itself gone.
        drop(tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await);
    });
}

async fn ask(world: &World, http: SocketAddr, changes: Value) -> Events {
    world.until_ready(http).await;
    let url = format!("http://{http}/v1/chat/completions");
    let body = chat(changes);
    Events::of(
        world
            .client
            .post(url)
            .bearer_auth(SECRET)
            .json(&body)
            .send()
            .await
            .unwrap(),
    )
}

/// Completion tokens that are billed when a gateway is killed after `pause`, and restarted.
async fn billed_after_kill(pause: Duration) -> (World, u64) {
    let mut world = World::without_gateway(1).await;
    world.nodes[0].set(|manner| manner.fault = Some((30, Fault::Wait)));
    let gateway = Killable::start(&world, "gateway");
    let mut events = ask(
        &world,
        gateway.http,
        json!({"stream": true, "max_tokens": 99, "seed": 3}),
    )
    .await;
    assert_eq!(events.content(30).await, letters(3, 30));
    tokio::time::sleep(pause).await;
    gateway.kill();
    assert_eq!(world.control.state().requests(), 0);
    world.add_gateway("gateway", |_| {}).await;
    // A request of the new life makes sure that the old one's bill had its chance.
    world.nodes[0].set(|manner| manner.fault = None);
    world.chat(json!({"max_tokens": 4})).await;
    let posted = |state: &crate::control::State| state.used().1 % 100 >= 4 && state.requests() >= 1;
    world.control.until("the new one is posted", posted).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (prompt, completion, amount) = world.control.state().used();
    let billed = completion - 4;
    let prompts = if billed == 0 { PROMPT } else { 2 * PROMPT };
    assert_eq!((prompt, amount), (prompts, price(prompts, completion)));
    (world, billed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_bills_what_its_last_checkpoint_says() {
    // Checkpoints come every 50 ms here: after a second, all 30 tokens are in one.
    let (_, billed) = billed_after_kill(Duration::from_secs(1)).await;
    assert_eq!(billed, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_never_bills_more_than_was_delivered() {
    let (_, billed) = billed_after_kill(Duration::ZERO).await;
    assert!(billed <= 30, "{billed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_not_streamed_is_free_when_its_gateway_is_killed() {
    let mut world = World::without_gateway(1).await;
    world.nodes[0].set(|manner| manner.fault = Some((30, Fault::Wait)));
    let gateway = Killable::start(&world, "gateway");
    world.until_ready(gateway.http).await;
    let url = format!("http://{}/v1/chat/completions", gateway.http);
    let body = chat(json!({"max_tokens": 99}));
    let asked = tokio::spawn(
        world
            .client
            .post(url)
            .bearer_auth(SECRET)
            .json(&body)
            .send(),
    );
    while world.nodes[0].sent() < 30 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    gateway.kill();
    assert!(asked.await.unwrap().is_err());
    world.add_gateway("gateway", |_| {}).await;
    world.nodes[0].set(|manner| manner.fault = None);
    world.chat(json!({"max_tokens": 4})).await;
    world
        .control
        .until("the new one is posted", |state| state.requests() == 1)
        .await;
    assert_eq!(world.control.state().used(), (PROMPT, 4, price(PROMPT, 4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_one_of_two_gateways_breaks_its_streams_only() {
    let mut world = World::without_gateway(2).await;
    for node in &world.nodes {
        node.set(|manner| manner.pause = Duration::from_millis(20));
    }
    let killed = Killable::start(&world, "killed");
    world.add_gateway("other", |_| {}).await;
    let wanted = json!({"stream": true, "max_tokens": 60, "seed": 3});
    let mut broken = ask(&world, killed.http, wanted.clone()).await;
    let mut whole = ask(&world, world.gateways[0].http, wanted).await;
    broken.content(5).await;
    whole.content(5).await;
    killed.kill();
    assert_eq!(whole.rest().await.last().unwrap(), "[DONE]");
    let rest = tokio::spawn(async move { broken.rest().await });
    assert!(rest.await.is_err(), "the connection broke without an end");
    world
        .control
        .until("the other's is posted", |state| state.requests() == 1)
        .await;
    assert_eq!(
        world.control.state().used(),
        (PROMPT, 60, price(PROMPT, 60))
    );
    world.add_gateway("killed", |_| {}).await;
    world
        .control
        .until("the broken one is posted", |state| state.requests() == 2)
        .await;
    let billed = world.control.state().used().1 - 60;
    assert!((1..60).contains(&billed), "{billed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn money_in_hand_survives_a_kill_and_is_not_spent_twice() {
    let mut world = World::without_gateway(1).await;
    let worst = price(PROMPT, 8);
    world
        .control
        .state()
        .budgets
        .insert(world::PROJECT, 3 * worst);
    let gateway = Killable::start(&world, "gateway");
    ask(&world, gateway.http, json!({"stream": true}))
        .await
        .rest()
        .await;
    world
        .control
        .until("one is posted", |state| state.requests() == 1)
        .await;
    gateway.kill();
    world.add_gateway("gateway", |_| {}).await;
    let mut served = 0;
    while world.chat(json!({})).await.status() == 200 {
        served += 1;
    }
    assert_eq!(served, 2, "the rest of the tranche, and no more");
    world
        .control
        .until("all are posted", |state| state.requests() == 3)
        .await;
    assert_eq!(world.control.state().used().2, 3 * worst);
}
