//! Nodes that control does not let in: a wrong clock, a key that is in use.

use std::time::SystemTime;

use remuda_link::Stream;
use remuda_types::{Capacity, Time};
use remuda_wire::ALPN_NODE;
use remuda_wire::node::{
    AssignmentStamp, ControlMessage, Hello, Inventory, NodeMessage, SessionRefused,
};
use tempfile::tempdir;

use super::lone_control::Control;

/// A node's first words.
fn hello(boot: u64, clock: Time) -> Hello {
    let capacity = Capacity {
        gpus: 0,
        gpu_memory_mib: 0,
        cpu_milli: 1_000,
        memory_mib: 512,
        disk_mib: 512,
    };
    Hello {
        version: "test".to_owned(),
        boot,
        addresses: Vec::new(),
        clock,
        inventory: Inventory {
            class: "cpu".parse().unwrap(),
            capacity,
            description: String::new(),
        },
        enrolment: None,
        holds: AssignmentStamp::default(),
        pauses: Vec::new(),
        leaving: false,
        replicas: Vec::new(),
    }
}

fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    Time::from_millis(u64::try_from(since.as_millis()).unwrap())
}

/// What control says to it.
async fn refused(control: &Control, hello: Hello) -> SessionRefused {
    let (_endpoint, connection) = control.dialled(9, ALPN_NODE).await;
    let mut stream = Stream::<ControlMessage, NodeMessage>::open(&connection)
        .await
        .unwrap();
    match stream
        .ask(&NodeMessage::Hello(Box::new(hello)))
        .await
        .unwrap()
    {
        ControlMessage::Refused(refused) => refused,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_a_wrong_clock_is_told_how_wrong_it_is() {
    let home = tempdir().unwrap();
    let control = Control::start(home.path()).await;
    let hour = remuda_types::Span::HOUR;
    let ahead = refused(&control, hello(1, now() + hour)).await;
    assert!(
        ahead.detail.contains("ahead of control's"),
        "{}",
        ahead.detail
    );
    assert!(ahead.retry, "its clock may be set");
    let behind = refused(&control, hello(1, now() - hour)).await;
    assert!(
        behind.detail.contains("behind control's"),
        "{}",
        behind.detail
    );
    // One with the right time and no right to join is told that.
    let unknown = refused(&control, hello(1, now())).await;
    assert!(
        unknown.detail.contains("join it with a provider's key"),
        "{}",
        unknown.detail
    );
    assert!(!unknown.retry);
}
