//! The side that buys: models and workloads.

use std::time::Duration;

use remuda_types::{Digest, ProjectId, ReplicaId, WorkloadId};
use remuda_wire::api::WorkloadSpec;
use remuda_wire::api::later::{PlaceOrder, Reservation, Reserve, StandingOrder};
use remuda_wire::api::model::{AddModel, Model};
use remuda_wire::api::replica::{Logs, ScaleWorkload, Workload};

use reqwest::Method;
use reqwest::header::IF_MATCH;

use super::{Client, Error, Query};

/// Control hashes the file before it answers: a large model takes minutes.
const HASHED_WITHIN: Duration = Duration::from_hours(1);

/// With an operator's key, whose it is to be.
fn in_project(path: &str, project: Option<ProjectId>) -> String {
    project.map_or_else(
        || path.to_owned(),
        |project| format!("{path}?project={project}"),
    )
}

impl Client {
    /// Offers a model: a file on control's machine, instead of the one that the name stands for.
    pub(crate) async fn add_model(
        &self,
        model: &AddModel,
        replaces: Option<Digest>,
    ) -> Result<Model, Error> {
        let request = self.request(Method::POST, "/v1/models").json(model);
        let request = request.timeout(HASHED_WITHIN);
        let request = match replaces {
            Some(digest) => request.header(IF_MATCH, format!("\"{digest}\"")),
            None => request,
        };
        self.json(self.write(request).await?).await
    }

    /// All models that may be deployed.
    pub(crate) async fn models(&self) -> Result<Vec<Model>, Error> {
        self.list("/v1/models", &[]).await
    }

    /// Has something run.
    pub(crate) async fn deploy(
        &self,
        project: Option<ProjectId>,
        spec: &WorkloadSpec,
    ) -> Result<Workload, Error> {
        self.post(&in_project("/v1/workloads", project), spec).await
    }

    /// Has something run as soon as there is room for it.
    pub(crate) async fn place_order(
        &self,
        project: Option<ProjectId>,
        order: &PlaceOrder,
    ) -> Result<StandingOrder, Error> {
        self.post(&in_project("/v1/orders", project), order).await
    }

    /// All standing orders that the key may see.
    pub(crate) async fn orders(&self) -> Result<Vec<StandingOrder>, Error> {
        self.list("/v1/orders", &[]).await
    }

    /// Wants no longer what was ordered.
    pub(crate) async fn cancel_order(&self, order: WorkloadId) -> Result<(), Error> {
        self.delete(&format!("/v1/orders/{order}")).await
    }

    /// Keeps capacity for something.
    pub(crate) async fn reserve(
        &self,
        project: Option<ProjectId>,
        asked: &Reserve,
    ) -> Result<Reservation, Error> {
        self.post(&in_project("/v1/reservations", project), asked)
            .await
    }

    /// All reservations that the key may see.
    pub(crate) async fn reservations(&self) -> Result<Vec<Reservation>, Error> {
        self.list("/v1/reservations", &[]).await
    }

    /// Gives up a reservation.
    pub(crate) async fn cancel_reservation(&self, reservation: WorkloadId) -> Result<(), Error> {
        self.delete(&format!("/v1/reservations/{reservation}"))
            .await
    }

    /// All workloads that the key may see, or those of a project.
    pub(crate) async fn workloads(&self, query: Query<'_>) -> Result<Vec<Workload>, Error> {
        self.list("/v1/workloads", query).await
    }

    /// One workload.
    pub(crate) async fn workload(&self, workload: WorkloadId) -> Result<Workload, Error> {
        self.get(&format!("/v1/workloads/{workload}"), &[]).await
    }

    /// More or fewer copies.
    pub(crate) async fn scale(
        &self,
        workload: WorkloadId,
        replicas: u32,
    ) -> Result<Workload, Error> {
        self.patch(
            &format!("/v1/workloads/{workload}"),
            &ScaleWorkload { replicas },
        )
        .await
    }

    /// Wants it run no longer.
    pub(crate) async fn stop(&self, workload: WorkloadId) -> Result<(), Error> {
        self.delete(&format!("/v1/workloads/{workload}")).await
    }

    /// What a replica's last run printed.
    pub(crate) async fn logs(
        &self,
        workload: WorkloadId,
        replica: ReplicaId,
        tail: u32,
    ) -> Result<Logs, Error> {
        let query = [("replica", replica.to_string()), ("tail", tail.to_string())];
        self.get(&format!("/v1/workloads/{workload}/logs"), &query)
            .await
    }
}
