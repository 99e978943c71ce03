//! Requests of gateways: who is let through, to what, and for how long.

use ed25519_dalek::SigningKey;
use remuda_types::{Digest, GatewayKey, NodeKey, Span, Time};
use remuda_wire::grant::Grant;
use remuda_wire::infer::{RefusedReason, Reply};
use remuda_wire::node::{Assigned, ExitReason, ObservedState, Wanted};

use crate::control::{Session, grant, now, sign, signer};
use crate::gateway::{Gateway, Request};
use crate::rig::{Rig, assigned, process, soon};
use crate::roles::ENDLESS;

const WEIGHTS: &[u8] = b"weights";

/// A daemon with a model that is ready under lease 1, epoch 2, and a gateway.
async fn with_model() -> (Rig, Session, Gateway) {
    let (rig, mut session) = Rig::start().await;
    session
        .assign(vec![assigned(1, 2, rig.model(WEIGHTS))])
        .await;
    session.until_ready(1, 2).await;
    let gateway = Gateway::dial(&rig.node, 3).await;
    (rig, session, gateway)
}

fn good(rig: &Rig, gateway: &Gateway) -> Grant {
    grant(1, 2, gateway.key(), rig.node.key())
}

async fn endless(rig: &Rig, gateway: &Gateway) -> Request {
    let mut request = gateway.open(1, &good(rig, gateway)).await;
    request.start(Digest::of(WEIGHTS), ENDLESS, 1).await;
    assert!(matches!(request.next().await, Some(Reply::Token(_))));
    request
}

#[tokio::test]
async fn a_granted_request_is_answered() {
    let (rig, _session, gateway) = with_model().await;
    let mut request = gateway.open(1, &good(&rig, &gateway)).await;
    request.start(Digest::of(WEIGHTS), 0, 100).await;
    for expected in 0..100 {
        let reply = request.next().await;
        assert!(
            matches!(&reply, Some(Reply::Token(token)) if token.index == expected),
            "{reply:?}"
        );
    }
    assert!(matches!(request.next().await, Some(Reply::End(_))));
    assert_eq!(request.next().await, None);
    assert_eq!(gateway.ping(&rig.node, 77).await, 77);
}

#[tokio::test]
async fn a_grant_opens_one_replica_to_one_gateway_until_it_expires() {
    let (rig, mut session, gateway) = with_model().await;
    let good = good(&rig, &gateway);
    let past = Time::from_millis(now().as_millis() - Span::HOUR.as_millis());
    let wrong = [
        Grant {
            lease_epoch: 1,
            ..good.clone()
        },
        Grant {
            gateway: GatewayKey([8; 32]),
            ..good.clone()
        },
        Grant {
            node: NodeKey([8; 32]),
            ..good.clone()
        },
        Grant {
            expires: past,
            ..good.clone()
        },
    ];
    for grant in &wrong {
        let refused = gateway.refusal(1, sign(&signer(), grant)).await;
        assert_eq!(refused.reason, RefusedReason::NotGranted, "{grant:?}");
    }
    let forged = sign(&SigningKey::from_bytes(&[1; 32]), &good);
    assert_eq!(
        gateway.refusal(1, forged).await.reason,
        RefusedReason::NotGranted
    );
    let other_lease = sign(&signer(), &good);
    assert_eq!(
        gateway.refusal(2, other_lease).await.reason,
        RefusedReason::NotGranted
    );
    let newer = Grant {
        lease_epoch: 3,
        ..good.clone()
    };
    assert_eq!(
        gateway.refusal(1, sign(&signer(), &newer)).await.reason,
        RefusedReason::Busy
    );
    // A process takes no frames; its grant opens nothing.
    let replicas = vec![
        assigned(1, 2, rig.model(WEIGHTS)),
        assigned(5, 1, process(&[])),
    ];
    session.assign(replicas).await;
    session.until_ready(5, 1).await;
    let plain = sign(&signer(), &grant(5, 1, gateway.key(), rig.node.key()));
    assert_eq!(
        gateway.refusal(5, plain).await.reason,
        RefusedReason::Invalid
    );
}

#[tokio::test]
async fn a_gateway_that_leaves_cancels() {
    let (rig, session, gateway) = with_model().await;
    let mut request = endless(&rig, &gateway).await;
    request.asks.reset();
    drop(request);
    session.logged(1, "the gateway", 1).await;
}

#[tokio::test]
async fn requests_are_served_while_control_is_gone() {
    let (rig, session, gateway) = with_model().await;
    drop(session);
    let Rig {
        folder: _folder,
        control,
        node,
    } = rig;
    control.vanish().await;
    let grant = grant(1, 2, gateway.key(), node.key());
    let mut request = gateway.open(1, &grant).await;
    request.start(Digest::of(WEIGHTS), 0, 1).await;
    assert!(matches!(request.next().await, Some(Reply::Token(_))));
}

#[tokio::test]
async fn a_draining_replica_finishes_what_it_has() {
    let (rig, mut session, gateway) = with_model().await;
    let mut request = endless(&rig, &gateway).await;
    let draining = Assigned {
        wanted: Wanted::Drain(Time::FOREVER),
        ..assigned(1, 2, rig.model(WEIGHTS))
    };
    session.assign(vec![draining]).await;
    session
        .until("draining", 1, 2, |state| *state == ObservedState::Draining)
        .await;
    let refused = gateway
        .refusal(1, sign(&signer(), &good(&rig, &gateway)))
        .await;
    assert_eq!(refused.reason, RefusedReason::Busy);
    assert!(
        matches!(request.next().await, Some(Reply::Token(_))),
        "it goes on"
    );
    request.asks.reset();
    drop(request);
    let exit = session.until_ended(1, 2).await;
    assert_eq!(
        (exit.reason, exit.detail.as_str()),
        (ExitReason::Stopped, "drained")
    );
}

#[tokio::test]
async fn a_fence_cuts_what_is_in_flight() {
    let (rig, mut session, gateway) = with_model().await;
    let mut request = endless(&rig, &gateway).await;
    session
        .assign(vec![assigned(1, 3, rig.model(WEIGHTS))])
        .await;
    request.broken().await;
    session.until_ready(1, 3).await;
    let old = sign(&signer(), &good(&rig, &gateway));
    assert_eq!(
        gateway.refusal(1, old).await.reason,
        RefusedReason::NotGranted
    );
    let newer = Grant {
        lease_epoch: 3,
        ..good(&rig, &gateway)
    };
    let mut request = gateway.open(1, &newer).await;
    request.start(Digest::of(WEIGHTS), 0, 1).await;
    assert!(matches!(request.next().await, Some(Reply::Token(_))));
}

#[tokio::test]
async fn a_dead_engine_ends_its_requests_at_once() {
    let (rig, session, gateway) = with_model().await;
    let mut request = endless(&rig, &gateway).await;
    let pid = nix::unistd::Pid::from_raw(session.pid(1, 1).await);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    soon("the break", request.broken()).await;
}

#[tokio::test]
async fn strangers_do_not_take_the_room_of_gateways() {
    let (rig, _session, gateway) = with_model().await;
    let mut running = endless(&rig, &gateway).await;
    let stranger = Gateway::dial(&rig.node, 4).await;
    let mut crowd = Vec::new();
    for _ in 0..70 {
        crowd.push(stranger.connect(&rig.node).await);
    }
    soon("the oldest to leave", crowd[0].closed()).await;
    let last = crowd.last().unwrap();
    assert!(last.close_reason().is_none(), "the newest has room");
    let second = Gateway::dial(&rig.node, 5).await;
    let mut request = endless(&rig, &second).await;
    soon("the newest to leave", last.closed()).await;
    // The streams on them end with their connections; those of gateways do not.
    for request in [&mut running, &mut request] {
        assert!(matches!(request.next().await, Some(Reply::Token(_))));
    }
}
