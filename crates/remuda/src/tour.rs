//! The tour that `remuda up --tour` gives: every step of it is done by the network, nothing is
//! played.
//!
//! A model is placed on two owners and sites; a stream goes on, word for word, though the node that
//! serves it is killed; a provider leaves without notice and pays. What it took and who paid is then
//! read from the journal and the ledger. A step that does not come out as promised fails the tour.

mod accounts;
mod failover;
mod story;
mod timeline;

use std::time::Duration;

use remuda_types::{NodeKey, Shape, SiteId, Tier, WorkloadId};
use remuda_wire::api::WorkloadSpec;
use remuda_wire::api::provider::LeaveManner;
use remuda_wire::api::replica::{Replica, Workload};
use remuda_wire::api::workload::{ModelSpec, PlacementSpec};
use serde_json::json;

use crate::client::Client;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::up::{self, Buyer, Door, Local, SEATS, Seat};
use crate::view;
use failover::Failover;
use story::Story;
use timeline::Timeline;

/// How long replicas may take to be ready.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// How long a workload may take to be over.
const OVER_WITHIN: Duration = Duration::from_mins(1);

/// What the tour's model costs, so that the statements have something to say.
const PROMPT_USD_PER_MILLION: &str = "0.10";
const COMPLETION_USD_PER_MILLION: &str = "0.40";

/// Gives it.
pub(crate) async fn give(
    local: &mut Local,
    buyer: &Buyer,
    model: &str,
    context: &Context,
) -> anyhow::Result<()> {
    let story = Story::new(context.output);
    let logs = local.programs.layout.logs();
    let tenant = up::client(&local.programs, Some(buyer.key.clone()))?;
    let door = Door::new(&local.programs.gateway_url(), buyer.key.clone())?;
    let mut tour = Tour {
        local,
        tenant,
        door,
        buyer,
        model,
        story,
    };
    let walked = tour.walk().await;
    walked.map_err(|error| {
        let message = format!("the tour failed at \"{}\"", tour.story.step());
        let way_out = format!("the programs' logs are in {}", logs.display());
        Failure::new(Exit::Internal, message, way_out)
            .caused_by(error)
            .into()
    })
}

/// Who and what the tour is about.
struct Tour<'a> {
    local: &'a mut Local,
    tenant: Client,
    door: Door,
    buyer: &'a Buyer,
    model: &'a str,
    story: Story,
}

impl Tour<'_> {
    async fn walk(&mut self) -> anyhow::Result<()> {
        self.meet_the_providers().await?;
        self.meet_the_tenant().await?;
        let workload = self.deploy().await?;
        let failover = self.kill_in_mid_stream().await?;
        let timeline = self.see_it_replaced(&workload, &failover).await?;
        self.start_again(failover.seat).await?;
        let left = self.leave_without_notice(workload.id).await?;
        self.settle(workload.id).await?;
        self.show_the_accounts(&timeline).await?;
        self.take_the_seat(left).await?;
        self.deploy_again().await
    }

    async fn meet_the_providers(&mut self) -> anyhow::Result<()> {
        self.story.begin("Three providers join and post bonds");
        let providers = self.local.client.providers().await?;
        for (index, seat) in SEATS.iter().enumerate() {
            let Some(seller) = self.local.seller(index) else {
                continue;
            };
            let Some(provider) = providers.iter().find(|known| known.id == seller.provider) else {
                anyhow::bail!("{} is not a provider", seller.name);
            };
            self.story.say(&format!(
                "{:<11} {} ({}), {} USD/h, bond {} USD",
                provider.name, seat.site, seat.country, seat.price_usd_per_hour, provider.bond_usd,
            ));
        }
        self.resume_all().await
    }

    /// The tour needs all nodes: one may drain since the last run.
    async fn resume_all(&self) -> anyhow::Result<()> {
        let client = &self.local.client;
        let nodes = client.nodes().await?;
        for node in nodes.iter().filter(|node| node.presence == "draining") {
            client.resume(node.id).await?;
            let id = node.id;
            self.story
                .say(&format!("{id} drained since the last run: it is resumed"));
        }
        Ok(())
    }

    async fn meet_the_tenant(&mut self) -> anyhow::Result<()> {
        self.story.begin("A tenant with a budget gets an API key");
        let projects = self.local.client.projects().await?;
        let Some(project) = projects.iter().find(|known| known.id == self.buyer.project) else {
            anyhow::bail!("there is no project {}", self.buyer.project);
        };
        let (available, file) = (project.budget.available_usd, self.buyer.key_file.display());
        self.story.say(&format!(
            "project {}: {available} USD to spend, a hard cap",
            project.name
        ));
        self.story.say(&format!("its key is in {file}"));
        Ok(())
    }

    async fn deploy(&mut self) -> anyhow::Result<Workload> {
        self.story
            .begin("remuda model deploy --replicas 2 --tier multi-site");
        self.stop_earlier().await?;
        let workload = self.tenant.deploy(None, &self.spec()).await?;
        for replica in &workload.replicas {
            self.story.say(&view::placed(replica));
        }
        owners_differ(&workload)?;
        self.all_ready(workload.id).await
    }

    /// One of an earlier tour has the name, and would be charged on.
    async fn stop_earlier(&self) -> anyhow::Result<()> {
        let name = self.model;
        let workloads = self.tenant.workloads(&[]).await?;
        for workload in workloads.iter().filter(|workload| workload.name == name) {
            self.over(workload.id).await?;
        }
        Ok(())
    }

    /// Stops a workload and waits until all of it is settled.
    async fn over(&self, workload: WorkloadId) -> anyhow::Result<()> {
        self.tenant.stop(workload).await?;
        up::until("the workload's end", OVER_WITHIN, || async {
            match self.tenant.workload(workload).await {
                Ok(_) => Ok(None),
                Err(error) if error.is_not_found() => Ok(Some(())),
                Err(error) => Err(anyhow::Error::from(error)),
            }
        })
        .await
    }

    fn spec(&self) -> WorkloadSpec {
        WorkloadSpec {
            name: self.model.to_owned(),
            tier: Tier::MultiSite,
            replicas: 2,
            resources: Shape {
                cpu_milli: 500,
                memory_mib: 512,
                ..Shape::default()
            },
            placement: PlacementSpec::default(),
            model: Some(ModelSpec {
                name: self.model.to_owned(),
                context_tokens: 2_048,
                slots: 4,
                threads: 1,
                prompt_usd_per_million: PROMPT_USD_PER_MILLION.to_owned(),
                completion_usd_per_million: COMPLETION_USD_PER_MILLION.to_owned(),
            }),
            process: None,
            tags: std::collections::BTreeMap::new(),
        }
    }

    /// Waits until all replicas are ready, on nodes that are there.
    async fn all_ready(&self, workload: WorkloadId) -> anyhow::Result<Workload> {
        let wheel = self.story.wheel("the replicas get ready");
        let ready = up::until("two replicas being ready", READY_WITHIN, || async {
            let workload = self.tenant.workload(workload).await?;
            let is_ready = |replica: &Replica| replica.phase == "ready";
            let all = workload.replicas.iter().all(is_ready);
            Ok::<_, anyhow::Error>(Some(workload).filter(|_| all))
        })
        .await?;
        wheel.finish_and_clear();
        for replica in &ready.replicas {
            if let Some(placement) = &replica.placement {
                let site = seat_of(self.local, placement.site).map_or("a site", |(_, at)| at.site);
                self.story.say(&format!(
                    "ready at {site}, owned by {}",
                    placement.provider_name
                ));
            }
        }
        Ok(ready)
    }

    async fn see_it_replaced(
        &mut self,
        workload: &Workload,
        failover: &Failover,
    ) -> anyhow::Result<Timeline> {
        self.story
            .begin("A replacement gets ready on the third node");
        let now = self.all_ready(workload.id).await?;
        owners_differ(&now)?;
        let on_it = |replica: &Replica| {
            replica
                .placement
                .as_ref()
                .is_some_and(|placement| placement.node == failover.node)
        };
        anyhow::ensure!(
            !now.replicas.iter().any(on_it),
            "a replica is still on the dead node"
        );
        Timeline::read(&self.local.client, failover).await
    }

    async fn start_again(&mut self, seat: usize) -> anyhow::Result<()> {
        self.story
            .begin("The owner of the killed node starts it again");
        self.local.revive().await?;
        let wheel = self.story.wheel("the node comes back");
        let node = self.local.node_up(seat).await?;
        wheel.finish_and_clear();
        self.story.say(&format!(
            "{} is up again as node {}",
            SEATS[seat].site,
            short(node)
        ));
        Ok(())
    }

    /// The owner of one of the replicas leaves; says which seat is empty now.
    async fn leave_without_notice(&mut self, workload: WorkloadId) -> anyhow::Result<usize> {
        self.story
            .begin("A provider leaves: remuda provider leave --now");
        let before = self.tenant.workload(workload).await?;
        let placement = before
            .replicas
            .first()
            .and_then(|replica| replica.placement.clone());
        let Some(placement) = placement else {
            anyhow::bail!("the first replica has no place");
        };
        let Some((seat, _)) = seat_of(self.local, placement.site) else {
            anyhow::bail!("nobody of the cast owns {}", placement.site);
        };
        let left = self
            .local
            .client
            .leave(placement.provider, LeaveManner::Now)
            .await?;
        if let Some(node) = self.local.node(seat) {
            node.kill().await;
        }
        let lost = format!("of its bond {} USD are left", left.bond_usd);
        self.story
            .say(&format!("{} left and forfeited: {lost}", left.name));
        let after = self.all_ready(workload).await?;
        owners_differ(&after)?;
        Ok(seat)
    }

    /// Stops the workload, so that everything is settled when the accounts are shown.
    async fn settle(&mut self, workload: WorkloadId) -> anyhow::Result<()> {
        self.story
            .begin("The tenant stops the model, and everything is settled");
        let wheel = self.story.wheel("the last seconds and tokens are posted");
        // Gateways post usage every second.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        self.over(workload).await?;
        wheel.finish_and_clear();
        Ok(())
    }

    async fn show_the_accounts(&mut self, timeline: &Timeline) -> anyhow::Result<()> {
        self.story
            .begin("Who paid, who earned, and that it balances");
        let books = accounts::Books::read(&self.local.client, self.buyer.project).await?;
        self.story.say(&timeline.text());
        self.story.say(&books.text());
        self.story
            .result(&json!({ "timeline": timeline, "books": books }))?;
        books.check()
    }

    /// The empty seat goes to somebody new, so that the network is whole again.
    async fn take_the_seat(&mut self, seat: usize) -> anyhow::Result<()> {
        self.story.begin("Somebody new takes the empty seat");
        self.local.start_node(seat).await?;
        self.local.node_up(seat).await?;
        let name = self
            .local
            .seller(seat)
            .map_or_else(String::new, |seller| seller.name.clone());
        self.story
            .say(&format!("{name} joins at {}", SEATS[seat].site));
        Ok(())
    }

    /// What is left behind is a network that serves.
    async fn deploy_again(&mut self) -> anyhow::Result<()> {
        self.tenant.deploy(None, &self.spec()).await?;
        self.story
            .say(&format!("{} is deployed again, for you", self.model));
        Ok(())
    }
}

fn owners_differ(workload: &Workload) -> anyhow::Result<()> {
    let places = workload
        .replicas
        .iter()
        .filter_map(|replica| replica.placement.as_ref());
    let owners: Vec<_> = places
        .map(|placement| (placement.provider, placement.site))
        .collect();
    let differ = owners.len() == 2 && owners[0].0 != owners[1].0 && owners[0].1 != owners[1].1;
    anyhow::ensure!(differ, "the replicas are not at two owners and sites");
    Ok(())
}

/// The seat of a site.
fn seat_of(local: &Local, site: SiteId) -> Option<(usize, &'static Seat)> {
    let is_it = |seat: &usize| {
        local
            .seller(*seat)
            .is_some_and(|seller| seller.site == site)
    };
    (0..SEATS.len())
        .find(is_it)
        .map(|seat| (seat, &SEATS[seat]))
}

fn short(node: NodeKey) -> String {
    node.to_string().chars().take(12).collect()
}
