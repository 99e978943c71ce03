//! The ledger as bytes, for snapshots of the state.

use minicbor::decode::{self, Decoder};
use minicbor::encode::{self, Encoder, Write};
use minicbor::{Decode, Encode};
use remuda_types::{Table, TransferId};

use super::Ledger;
use crate::account::Account;
use crate::balance::Balance;
use crate::entry::Pending;

/// The encoded form, without what is derived.
#[derive(Decode)]
#[cbor(map)]
struct Snapshot {
    #[n(0)]
    accounts: Table<Account, Balance>,
    #[n(1)]
    reservations: Table<TransferId, Pending>,
}

impl<C> Encode<C> for Ledger {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.map(2)?
            .u8(0)?
            .encode_with(&self.accounts, context)?
            .u8(1)?
            .encode_with(&self.reservations, context)?
            .ok()
    }
}

/// Reads what was encoded. Whether its figures agree is for [`invariant::check`](crate::invariant::check).
impl<'b, C> Decode<'b, C> for Ledger {
    fn decode(d: &mut Decoder<'b>, context: &mut C) -> Result<Self, decode::Error> {
        let Snapshot {
            accounts,
            reservations,
        } = d.decode_with(context)?;
        let deadline = |(&id, pending): (&TransferId, &Pending)| Some((pending.expires?, id));
        let deadlines = reservations.iter().filter_map(deadline).collect();
        Ok(Self {
            accounts,
            reservations,
            deadlines,
        })
    }
}
