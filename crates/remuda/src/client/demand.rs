//! The side that buys: models and workloads.

use std::time::Duration;

use remuda_types::{Digest, ProjectId, ReplicaId, WorkloadId};
use remuda_wire::api::WorkloadSpec;
use remuda_wire::api::model::{AddModel, Model};
use remuda_wire::api::replica::{Logs, ScaleWorkload, Workload};

use reqwest::Method;
use reqwest::header::IF_MATCH;

use super::{Client, Error, Query};

/// Control hashes the file before it answers: a large model takes minutes.
const HASHED_WITHIN: Duration = Duration::from_hours(1);

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
        let path = match project {
            Some(project) => format!("/v1/workloads?project={project}"),
            None => "/v1/workloads".to_owned(),
        };
        self.post(&path, spec).await
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
