//! Lists over HTTP, a page at a time.

use serde_json::json;

use crate::harness::{Control, Market, text};

#[tokio::test(flavor = "multi_thread")]
async fn pages_together_are_the_whole_list() {
    let control = Control::start().await;
    let mut made = Vec::new();
    for number in 0..7 {
        made.push(text(
            &control
                .make("/v1/tenants", &json!({"name": format!("t{number}")}))
                .await,
            "id",
        ));
    }
    made.sort();
    let (mut seen, mut sizes, mut path) =
        (Vec::new(), Vec::new(), "/v1/tenants?limit=3".to_owned());
    loop {
        let page = control.get(&control.operator, &path).await.expect(200);
        let items = page["data"].as_array().unwrap();
        sizes.push(items.len());
        seen.extend(items.iter().map(|item| text(item, "id")));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/tenants?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, made);
    assert_eq!(sizes, [3, 3, 1]);
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offers_are_paged_and_filtered() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    for number in 1..=3 {
        market
            .node(&control, number, 1_000 * u64::from(number))
            .await;
    }
    let key = &market.project_key;
    let first = control.get(key, "/v1/offers?limit=2").await.expect(200);
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    assert_eq!(first["data"][0]["provider_name"], "Ranch");
    assert_eq!(first["data"][0]["free"]["cpu_milli"], 4_000);
    let cursor = text(&first, "next_cursor");
    let rest = control
        .get(key, &format!("/v1/offers?limit=2&cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(rest["data"].as_array().unwrap().len(), 1);
    assert_eq!(rest["data"][0]["price_usd_per_hour"], "0.003000");
    for (filter, expected) in [
        ("class=cpu", 3),
        ("class=h100", 0),
        ("country=KR", 3),
        ("country=DE", 0),
    ] {
        let page = control
            .get(key, &format!("/v1/offers?{filter}"))
            .await
            .expect(200);
        assert_eq!(page["data"].as_array().unwrap().len(), expected, "{filter}");
    }
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_nobody_knows_is_named() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let key = &market.project_key;
    let refused = control.get(key, "/v1/offers?countri=KR").await;
    assert_eq!((refused.status.as_u16(), refused.code()), (422, "invalid"));
    assert_eq!(
        text(&refused.body, "detail"),
        "`countri` is no parameter of GET /v1/offers: it has limit, cursor, class, country"
    );
    let path = format!("/v1/projects/{}?verbose=1", market.project);
    let refused = control.get(key, &path).await;
    assert!(
        text(&refused.body, "detail").ends_with("it has none"),
        "{:#}",
        refused.body
    );
    control.running.stop().await;
}
