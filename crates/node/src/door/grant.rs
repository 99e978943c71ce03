//! Route grants, checked against control's key. Pure: the view says whether the epoch is the one
//! that is held.

use ed25519_dalek::{Signature, VerifyingKey};
use remuda_types::{GatewayKey, LeaseId, NodeKey, Time};
use remuda_wire::grant::{Grant, SIGNING_DOMAIN, SignedGrant};
use remuda_wire::infer::{Refused, RefusedReason};

/// What a grant must say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// This node.
    pub(super) node: NodeKey,
    /// Whose connection it is.
    pub(super) gateway: GatewayKey,
    /// What the request asks for.
    pub(super) lease: LeaseId,
    /// Control's time.
    pub(super) now: Time,
}

/// Why a grant is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    #[error("this node has not heard control yet, so it knows no grant")]
    NoKey,
    #[error("control did not sign the grant")]
    Forged,
    #[error("the grant cannot be read")]
    Malformed,
    #[error("the grant is another gateway's")]
    OtherGateway,
    #[error("the grant is for another node")]
    OtherNode,
    #[error("the grant is for another lease")]
    OtherLease,
    #[error("the grant has expired: ask control for a new one")]
    Expired,
    #[error("the lease has a newer epoch: ask control for a new grant")]
    Superseded,
}

impl Denied {
    /// As the gateway is told.
    pub(super) fn refused(self) -> Refused {
        Refused {
            reason: RefusedReason::NotGranted,
            detail: self.to_string(),
        }
    }
}

/// The grant, if control signed it for this use.
pub(super) fn verify(
    signed: &SignedGrant,
    key: &[u8; 32],
    expected: &Expected,
) -> Result<Grant, Denied> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| Denied::Forged)?;
    let signature = Signature::from_slice(&signed.signature).map_err(|_| Denied::Forged)?;
    let message = [SIGNING_DOMAIN, &signed.grant].concat();
    key.verify_strict(&message, &signature)
        .map_err(|_| Denied::Forged)?;
    let grant: Grant = minicbor::decode(&signed.grant).map_err(|_| Denied::Malformed)?;
    let conditions = [
        (grant.gateway == expected.gateway, Denied::OtherGateway),
        (grant.node == expected.node, Denied::OtherNode),
        (grant.lease == expected.lease, Denied::OtherLease),
        (grant.expires > expected.now, Denied::Expired),
    ];
    match conditions.iter().find(|(holds, _)| !holds) {
        Some((_, denied)) => Err(*denied),
        None => Ok(grant),
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};
    use proptest::prelude::*;

    use super::*;

    fn grant() -> Grant {
        Grant {
            lease: LeaseId::from_u128(1),
            lease_epoch: 4,
            gateway: GatewayKey([2; 32]),
            node: NodeKey([3; 32]),
            expires: Time::from_millis(1_000),
        }
    }

    fn expected() -> Expected {
        Expected {
            node: NodeKey([3; 32]),
            gateway: GatewayKey([2; 32]),
            lease: LeaseId::from_u128(1),
            now: Time::from_millis(999),
        }
    }

    fn control() -> SigningKey {
        SigningKey::from_bytes(&[9; 32])
    }

    fn sign(key: &SigningKey, grant: &Grant) -> SignedGrant {
        let grant = minicbor::to_vec(grant).unwrap();
        let message = [SIGNING_DOMAIN, &grant].concat();
        SignedGrant {
            signature: key.sign(&message).to_bytes().to_vec(),
            grant,
        }
    }

    fn check(signed: &SignedGrant, expected: &Expected) -> Result<Grant, Denied> {
        verify(signed, control().verifying_key().as_bytes(), expected)
    }

    #[test]
    fn a_grant_is_good_for_what_it_says_only() {
        let signed = sign(&control(), &grant());
        assert_eq!(check(&signed, &expected()), Ok(grant()));
        let wrong = [
            (
                Expected {
                    gateway: GatewayKey([8; 32]),
                    ..expected()
                },
                Denied::OtherGateway,
            ),
            (
                Expected {
                    node: NodeKey([8; 32]),
                    ..expected()
                },
                Denied::OtherNode,
            ),
            (
                Expected {
                    lease: LeaseId::from_u128(8),
                    ..expected()
                },
                Denied::OtherLease,
            ),
            (
                Expected {
                    now: Time::from_millis(1_000),
                    ..expected()
                },
                Denied::Expired,
            ),
        ];
        for (expected, denied) in wrong {
            assert_eq!(check(&signed, &expected), Err(denied));
        }
        let forged = sign(&SigningKey::from_bytes(&[1; 32]), &grant());
        assert_eq!(check(&forged, &expected()), Err(Denied::Forged));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_found(at in 0_usize..200, bit in 0_u32..8) {
            let mut signed = sign(&control(), &grant());
            let all = signed.grant.len() + signed.signature.len();
            let at = at % all;
            let SignedGrant { grant, signature } = &mut signed;
            let byte = grant.iter_mut().chain(signature).nth(at);
            *byte.ok_or_else(|| TestCaseError::fail("out of range"))? ^= 1 << bit;
            prop_assert_eq!(check(&signed, &expected()), Err(Denied::Forged));
        }

        #[test]
        fn any_bytes_are_denied(grant: Vec<u8>, signature: Vec<u8>) {
            let signed = SignedGrant { grant, signature };
            prop_assert_eq!(check(&signed, &expected()), Err(Denied::Forged));
        }
    }
}
