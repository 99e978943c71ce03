//! Keys over HTTP: scopes, whose things they see, limits.

use serde_json::{Value, json};

use crate::harness::{Control, Market, text};

fn ids(page: &Value) -> Vec<String> {
    page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| text(item, "id"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_and_kept_as_a_digest() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let asked = json!({"scopes": ["read"], "expires_in_s": 3600, "requests_per_minute": 5});
    let issued = control
        .post(&market.project_key, "/v1/keys", &asked)
        .await
        .expect(201);
    let secret = text(&issued, "secret");
    assert!(secret.starts_with(&text(&issued, "prefix")));
    assert_eq!(issued["owner"], market.project);
    assert_eq!(
        issued["expires_ms"].as_u64().unwrap() / 1_000
            - issued["created_ms"].as_u64().unwrap() / 1_000,
        3600
    );
    let listed = control.get(&secret, "/v1/keys").await.expect(200);
    assert!(ids(&listed).contains(&text(&issued, "id")));
    assert!(!listed.to_string().contains(&secret));
    for entry in std::fs::read_dir(control.file("")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let body = secret.rsplit('_').next().unwrap().as_bytes();
            let found = bytes.windows(body.len()).any(|window| window == body);
            assert!(!found, "the secret lies in {}", path.display());
        }
    }
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_when_it_is_revoked_or_expires() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let issued = control
        .make(
            "/v1/keys",
            &json!({"owner": market.project, "scopes": ["read"]}),
        )
        .await;
    let (id, secret) = (text(&issued, "id"), text(&issued, "secret"));
    control.get(&secret, "/v1/keys").await.expect(200);
    control
        .delete(&market.project_key, &format!("/v1/keys/{id}"))
        .await
        .expect(204);
    let refused = control.get(&secret, "/v1/keys").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (401, "unauthenticated")
    );
    assert!(refused.header("www-authenticate").starts_with("Bearer"));
    let at_once = json!({"owner": market.project, "scopes": ["read"], "expires_in_s": 0});
    let refused = control.post(&control.operator, "/v1/keys", &at_once).await;
    assert_eq!(refused.code(), "invalid");
    let never = json!({"owner": market.project, "scopes": ["read"], "expires_in_s": u64::MAX});
    let refused = control.post(&control.operator, "/v1/keys", &never).await;
    assert_eq!(refused.body["errors"][0]["pointer"], "/expires_in_s");
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_needs_its_scope() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let bare = control.key(&market.project, &["inference"]).await;
    for path in [
        "/v1/tenants",
        "/v1/projects",
        "/v1/keys",
        "/v1/providers",
        "/v1/sites",
        "/v1/nodes",
        "/v1/offers",
        "/v1/models",
        "/v1/workloads",
        "/v1/leases",
        "/v1/ledger/accounts",
        "/v1/ledger/statement",
        "/v1/events",
    ] {
        let refused = control.get(&bare, path).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (403, "missing-scope"),
            "{path}"
        );
        assert!(text(&refused.body, "detail").contains("`read`"), "{path}");
    }
    let reader = control.key(&market.project, &["read"]).await;
    let spec = json!({"name": "a", "model": {"name": "tiny"}});
    let (provider, project) = (&market.provider, &market.project);
    for (path, body, scope) in [
        ("/v1/workloads".to_owned(), spec, "deploy"),
        ("/v1/keys".to_owned(), json!({"scopes": ["admin"]}), "admin"),
        (
            format!("/v1/projects/{project}/budget"),
            json!({"amount_usd": "1"}),
            "admin",
        ),
        (
            format!("/v1/providers/{provider}/leave"),
            json!({"manner": "now"}),
            "supply",
        ),
        (
            "/v1/models".to_owned(),
            json!({"name": "a", "path": "/"}),
            "admin",
        ),
    ] {
        let refused = control.post(&reader, &path, &body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (403, "missing-scope"),
            "{path}"
        );
        assert!(
            text(&refused.body, "detail").contains(&format!("`{scope}`")),
            "{path}"
        );
    }
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn things_of_others_do_not_exist() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    market.node(&control, 1, 1_000).await;
    let deployed = market.deploy(&control, 1).await;
    let workload = text(&deployed, "id");
    let lease = text(&deployed["replicas"][0]["placement"], "lease");

    let tenant = text(
        &control.make("/v1/tenants", &json!({"name": "Rival"})).await,
        "id",
    );
    let project = json!({"name": "spy"});
    let project = control
        .make(&format!("/v1/tenants/{tenant}/projects"), &project)
        .await;
    let all = ["read", "deploy", "admin", "supply"];
    let spy = control.key(&text(&project, "id"), &all).await;
    let rival = text(
        &control
            .make("/v1/providers", &json!({"name": "Rival"}))
            .await,
        "id",
    );
    let rival = control.key(&rival, &all).await;

    for key in [&spy, &rival] {
        for path in [
            format!("/v1/workloads/{workload}"),
            format!("/v1/workloads/{workload}/logs"),
            format!("/v1/leases/{lease}"),
            format!("/v1/projects/{}", market.project),
            format!("/v1/providers/{}", market.provider),
            format!(
                "/v1/nodes/{}",
                text(&deployed["replicas"][0]["placement"], "node")
            ),
            format!("/v1/ledger/statement?project={}", market.project),
            format!("/v1/ledger/statement?provider={}", market.provider),
            "/v1/ledger/statement?account=platform-fee".to_owned(),
            format!(
                "/v1/ledger/statement?account=tenant-prepaid:{}",
                market.tenant
            ),
        ] {
            let refused = control.get(key, &path).await;
            assert_eq!(
                (refused.status.as_u16(), refused.code()),
                (404, "not-found"),
                "{path}"
            );
        }
        for path in [
            "/v1/workloads",
            "/v1/leases",
            "/v1/nodes",
            "/v1/sites",
            "/v1/ledger/accounts",
        ] {
            let page = control.get(key, path).await.expect(200);
            assert_eq!(page["data"], json!([]), "{path}");
        }
        let stopped = control
            .delete(key, &format!("/v1/workloads/{workload}"))
            .await;
        assert_eq!(stopped.status.as_u16(), 404);
        let leave = json!({"manner": "now"});
        let left = control
            .post(
                key,
                &format!("/v1/providers/{}/leave", market.provider),
                &leave,
            )
            .await;
        assert_eq!(left.status.as_u16(), 404);
        let stolen = json!({"owner": market.project, "scopes": ["read"]});
        let stolen = control.post(key, "/v1/keys", &stolen).await;
        assert_eq!(
            (stolen.status.as_u16(), stolen.code()),
            (403, "wrong-owner")
        );
    }
    let tenants = control.get(&spy, "/v1/tenants").await.expect(200);
    assert_eq!(ids(&tenants), [tenant]);
    let projects = control.get(&spy, "/v1/projects").await.expect(200);
    assert_eq!(ids(&projects), [text(&project, "id")]);
    // Whose things they are sees them.
    control
        .get(&market.project_key, &format!("/v1/workloads/{workload}"))
        .await
        .expect(200);
    control
        .get(&market.provider_key, &format!("/v1/leases/{lease}"))
        .await
        .expect(200);
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_keys_of_an_owner_have_one_bucket_of_requests() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let (key, other) = (
        control.key(&market.project, &["read"]).await,
        control.key(&market.project, &["read"]).await,
    );
    let first = control.get(&key, "/v1/keys").await;
    assert_eq!(first.header("ratelimit-limit"), "600");
    assert_eq!(first.header("ratelimit-remaining"), "599");
    assert_eq!(first.header("ratelimit-reset"), "1");
    let mut limited = None;
    for _ in 0..5_000 {
        let answer = control.get(&key, "/v1/projects/x").await;
        if answer.status.as_u16() == 429 {
            limited = Some(answer);
            break;
        }
    }
    let limited = limited.expect("5,000 requests are over the limit");
    assert_eq!(limited.code(), "rate-limited");
    assert_eq!(limited.header("ratelimit-remaining"), "0");
    assert_eq!(limited.header("retry-after"), "1");
    for of_same in [&other, &market.project_key] {
        let refused = control.get(of_same, "/v1/keys").await;
        assert_eq!(refused.code(), "rate-limited");
    }
    for of_others in [&market.provider_key, &control.operator] {
        control.get(of_others, "/v1/keys").await.expect(200);
    }
    control.running.stop().await;
}
