//! Rounds: break the node that serves, measure, heal, wait until all is as before.

use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use remuda_types::{Shape, Span, Tier, Time, WorkloadId};
use remuda_wire::api::WorkloadSpec;
use remuda_wire::api::workload::{ModelSpec, PlacementSpec};
use serde::Serialize;

use super::fault::Fault;
use super::load::Stream;
use super::topology::Topology;
use crate::client::Client;
use crate::clock;
use crate::up::{self, Door, Layout, Local, Loss, ModelFile, Ports, Programs, SEATS};

/// How long anything of a round may take.
const WITHIN: Duration = Duration::from_mins(1);

/// The seeds of the streams of a round.
const SEEDS: [u64; 2] = [11, 12];

/// Pieces of a stream before its node is broken.
const PIECES_BEFORE: usize = 8;

/// A network to break.
pub(super) struct Ground {
    local: Local,
    tenant: Client,
    door: Door,
    model: String,
    workload: WorkloadId,
    /// What each seed gives without trouble.
    expected: Vec<String>,
}

/// What one round took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    detect: Span,
    resume: Option<Span>,
    replace: Span,
    failed: u64,
}

/// What all rounds of a fault took.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    fault: Fault,
    detect: Histogram<u64>,
    resume: Histogram<u64>,
    replace: Histogram<u64>,
    failed: u64,
}

impl Ground {
    /// Starts a network and deploys the model.
    pub(super) async fn prepare(
        folder: &Path,
        port_base: u16,
        model: &ModelFile,
        topology: &Topology,
        log: Option<String>,
    ) -> anyhow::Result<Self> {
        let programs = Programs {
            binary: std::env::current_exe()?,
            log,
            layout: Layout::make(folder)?,
            ports: Ports::from(port_base),
            hosts: topology.hosts(),
        };
        let (local, buyer, model) = up::network(programs, model).await?;
        let tenant = up::client(&local.programs, Some(buyer.key.clone()))?;
        let door = Door::new(&local.programs.gateway_url(), buyer.key.clone())?;
        let workload = tenant.deploy(None, &spec(&model)).await?.id;
        let mut ground = Self {
            local,
            tenant,
            door,
            model,
            workload,
            expected: Vec::new(),
        };
        ground.all_ready().await?;
        for seed in SEEDS {
            let read = Stream::start(&ground.door, &ground.model, seed)
                .read()
                .await?;
            ground.expected.push(read.text().to_owned());
        }
        Ok(ground)
    }

    /// Takes the network down.
    pub(super) async fn clear(self) {
        self.local.stop().await;
    }

    /// One round.
    pub(super) async fn round(
        &mut self,
        fault: Fault,
        topology: &Topology,
    ) -> anyhow::Result<Round> {
        let since = up::bookmark(&self.local.client).await?;
        let mut streams = SEEDS.map(|seed| Stream::start(&self.door, &self.model, seed));
        for stream in &mut streams {
            stream.has(PIECES_BEFORE).await?;
        }
        let seat = self.local.serving().await?;
        let node = self.local.node_up(seat).await?;
        let broken = clock::now();
        fault.make(&self.local, topology, seat)?;
        let made = clock::now();
        let loss = Loss::follow(&self.local.client, &since, node);
        let loss = tokio::time::timeout(WITHIN, loss).await??;
        let (resume, failed) = self.outcome(streams, (broken, made)).await;
        fault.heal(&mut self.local, topology, seat).await?;
        self.all_up().await?;
        self.all_ready().await?;
        let (detect, replace) = (loss.judged.since(broken), loss.replaced.since(broken));
        Ok(Round {
            detect,
            resume,
            replace,
            failed,
        })
    }

    /// When the stream on the broken node went on, which is the one that was silent longest; and
    /// how many did not come out as they should have.
    async fn outcome(
        &self,
        streams: [Stream; SEEDS.len()],
        (broken, made): (Time, Time),
    ) -> (Option<Span>, u64) {
        let (mut silence, mut failed) = (None, 0);
        for (stream, expected) in streams.into_iter().zip(&self.expected) {
            match stream.read().await {
                Ok(read) if read.text() == expected => {
                    silence = silence.max(read.silence(broken, made));
                }
                Ok(read) => {
                    tracing::error!(text = read.text(), expected, "a stream differs");
                    failed += 1;
                }
                Err(error) => {
                    tracing::error!(%error, "a stream failed");
                    failed += 1;
                }
            }
        }
        (silence.map(|silence| silence.end.since(broken)), failed)
    }

    async fn all_up(&self) -> anyhow::Result<()> {
        for seat in 0..SEATS.len() {
            self.local.node_up(seat).await?;
        }
        Ok(())
    }

    async fn all_ready(&self) -> anyhow::Result<()> {
        up::until("two replicas being ready", WITHIN, || async {
            let workload = self.tenant.workload(self.workload).await?;
            let ready = workload
                .replicas
                .iter()
                .all(|replica| replica.phase == "ready");
            Ok::<_, anyhow::Error>(ready.then_some(()))
        })
        .await
    }
}

fn spec(model: &str) -> WorkloadSpec {
    WorkloadSpec {
        name: model.to_owned(),
        tier: Tier::MultiSite,
        replicas: 2,
        resources: Shape {
            cpu_milli: 500,
            memory_mib: 512,
            ..Shape::default()
        },
        placement: PlacementSpec::default(),
        model: Some(ModelSpec {
            name: model.to_owned(),
            context_tokens: 1_024,
            slots: 4,
            threads: 1,
            prompt_usd_per_million: "0".to_owned(),
            completion_usd_per_million: "0".to_owned(),
        }),
        process: None,
        tags: std::collections::BTreeMap::new(),
    }
}

impl Figures {
    pub(super) fn new(fault: Fault) -> anyhow::Result<Self> {
        // Milliseconds up to ten minutes, three digits of them.
        let histogram = || Histogram::<u64>::new_with_bounds(1, 600_000, 3);
        Ok(Self {
            fault,
            detect: histogram()?,
            resume: histogram()?,
            replace: histogram()?,
            failed: 0,
        })
    }

    pub(super) fn take(&mut self, round: &Round) {
        self.detect.saturating_record(round.detect.as_millis());
        self.replace.saturating_record(round.replace.as_millis());
        if let Some(resume) = round.resume {
            self.resume.saturating_record(resume.as_millis());
        }
        self.failed += round.failed;
    }

    pub(super) fn text(&self) -> String {
        let row = |what: &str, of: &Histogram<u64>| {
            let (p50, p99) = (of.value_at_quantile(0.5), of.value_at_quantile(0.99));
            format!("  {what:<22} p50 {p50:>6} ms   p99 {p99:>6} ms\n")
        };
        format!(
            "{}, {} times: {} requests failed\n{}{}{}",
            self.fault,
            self.detect.len(),
            self.failed,
            row("judged lost", &self.detect),
            row("streams went on", &self.resume),
            row("replacement ready", &self.replace),
        )
    }
}

impl Serialize for Figures {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let quantile = |of: &Histogram<u64>, at: f64| of.value_at_quantile(at);
        let mut object = serializer.serialize_struct("Figures", 11)?;
        object.serialize_field("bench", "failover")?;
        object.serialize_field("fault", &self.fault)?;
        object.serialize_field("n", &self.detect.len())?;
        object.serialize_field("detect_p50_ms", &quantile(&self.detect, 0.5))?;
        object.serialize_field("detect_p99_ms", &quantile(&self.detect, 0.99))?;
        object.serialize_field("resume_p50_ms", &quantile(&self.resume, 0.5))?;
        object.serialize_field("resume_p99_ms", &quantile(&self.resume, 0.99))?;
        object.serialize_field("replace_p50_ms", &quantile(&self.replace, 0.5))?;
        object.serialize_field("replace_p99_ms", &quantile(&self.replace, 0.99))?;
        object.serialize_field("failed_requests", &self.failed)?;
        object.serialize_field("resume_n", &self.resume.len())?;
        object.end()
    }
}
