//! `remuda replay`: the network as it was after any record.

use std::collections::BTreeMap;
use std::path::PathBuf;

use remuda_control::core::recover::{self, RecoverError};
use remuda_control::network::State;
use remuda_journal::{Reader, Seq};
use remuda_types::Digest;
use remuda_wire::api::Usd;
use serde::Serialize;

use super::audit::unopened;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::progress;
use crate::table::{Table, details};
use crate::view;

/// The network as it was after any record, rebuilt from the journal
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Control's data folder, or a copy of it
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The last record; all if not given
    #[arg(long, value_name = "SEQ")]
    to: Option<u64>,
}

/// The network as it was.
#[derive(Serialize)]
struct Replayed {
    seq: u64,
    clock_ms: u64,
    /// BLAKE3 of the encoded state: equal for equal histories.
    digest: Digest,
    counts: BTreeMap<&'static str, usize>,
    nodes: BTreeMap<String, String>,
    leases: BTreeMap<String, &'static str>,
    balances: BTreeMap<String, Usd>,
    ledger_total_micros: String,
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let reader = Reader::open(&args.data_dir).map_err(unopened)?;
    let wheel = progress::wheel(context.output, "replaying the journal");
    let recovered =
        recover::network_at(&reader, None, Seq(args.to.unwrap_or(u64::MAX))).map_err(unread)?;
    wheel.finish_and_clear();
    if let Some(to) = args.to.filter(|to| *to > recovered.seq.0) {
        return Err(beyond(to, recovered.seq).into());
    }
    let replayed = Replayed::of(recovered.seq, recovered.network.state())?;
    Ok(context.output.show(&replayed, Replayed::text)?)
}

pub(super) fn unread(error: RecoverError) -> Failure {
    let (message, way_out) = (
        "the journal cannot be replayed",
        "`remuda audit verify` tells where it is damaged",
    );
    Failure::new(Exit::Unverified, message, way_out).caused_by(error)
}

fn beyond(to: u64, last: Seq) -> Failure {
    let message = format!(
        "there is no record {to}: the journal ends with record {}",
        last.0
    );
    Failure::new(Exit::Usage, message, "leave `--to` out to see all of it")
}

impl Replayed {
    fn of(seq: Seq, state: &State) -> anyhow::Result<Self> {
        let encoded = minicbor::to_vec(state)?;
        let presence = |of: &_| view::word(of);
        let accounts = state.ledger.accounts();
        Ok(Self {
            seq: seq.0,
            clock_ms: state.clock.as_millis(),
            digest: Digest::of(&encoded),
            counts: counts(state),
            nodes: state
                .nodes
                .iter()
                .map(|(id, node)| (id.to_string(), presence(&node.presence)))
                .collect(),
            leases: state
                .leases
                .iter()
                .map(|(id, lease)| (id.to_string(), lease.phase.as_str()))
                .collect(),
            balances: accounts
                .map(|(account, of)| (account.to_string(), Usd(of.posted)))
                .collect(),
            ledger_total_micros: state.ledger.total_micros().to_string(),
        })
    }

    fn text(&self) -> String {
        let mut lines = vec![
            ("record", self.seq.to_string()),
            ("clock", view::instant(self.clock_ms)),
            ("digest", self.digest.to_string()),
        ];
        lines.extend(
            self.counts
                .iter()
                .map(|(what, count)| (*what, count.to_string())),
        );
        lines.push((
            "ledger sums to",
            format!("{} micro-USD", self.ledger_total_micros),
        ));
        let balances = Table::new(["ACCOUNT", "POSTED"])
            .when_empty("no money")
            .rows(
                self.balances
                    .iter()
                    .map(|(account, posted)| [account.clone(), posted.to_string()]),
            );
        format!("{}\n\n{}", details(&lines), balances.render(false))
    }
}

fn counts(state: &State) -> BTreeMap<&'static str, usize> {
    BTreeMap::from([
        ("providers", state.providers.len()),
        ("sites", state.sites.len()),
        ("nodes", state.nodes.len()),
        ("tenants", state.tenants.len()),
        ("projects", state.projects.len()),
        ("keys", state.keys.len()),
        ("gateways", state.gateways.len()),
        ("models", state.models.len()),
        ("workloads", state.workloads.len()),
        ("replicas", state.replicas.len()),
        ("leases", state.leases.len()),
        ("tranches", state.tranches.len()),
    ])
}
