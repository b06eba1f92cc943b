//! Every subject of ours, for a moment: that what is measured works, and nothing about its speed.

use benches::{
    CLUSTER, ClusterContender, ClusterLength, Filter, Group, Length, Payload, Service, Site,
    SiteGround, measure, measure_clusters, try_out,
};

/// A call that fails, or that does not find its session, panics.
#[tokio::test(flavor = "multi_thread")]
async fn every_verb_of_every_store_and_floor_does_its_work() {
    let groups = Group::all();
    let rows = measure(&groups, &Filter::default(), Length::SMOKE, 7).await;
    for group in &groups {
        for contender in &group.contenders {
            let count = rows
                .iter()
                .filter(|row| (row.group, row.subject) == (group.name, contender.name))
                .filter(|row| row.rate > 0.0)
                .count();
            // Loads and writes at three sizes, creates at one, each with three numbers in flight.
            let expected = if group.operations.len() == 3 { 7 } else { 3 } * 3;
            assert_eq!(count, expected, "{}, {}", group.name, contender.name);
        }
    }
}

/// A session is made by one request, read and counted up by others.
#[tokio::test(flavor = "multi_thread")]
async fn every_site_counts() {
    let (redis, postgres) = (
        Service::Redis.start().await,
        Service::Postgres.start().await,
    );
    let ground = SiteGround {
        redis: redis.url(),
        postgres: postgres.url(),
        payload: Payload::of(200),
    };
    try_out(&Site::all(), &ground).await;
}

/// Nodes in processes of their own: writes spread, ends too, and what is missed comes after.
#[tokio::test(flavor = "multi_thread")]
async fn every_figure_of_a_cluster_is_measured() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_benches"));
    let contenders = ClusterContender::all();
    let all = Filter::new(CLUSTER);
    let rows = measure_clusters(&contenders, program, &all, ClusterLength::SMOKE, 7).await;
    let of = |name: &str| rows.iter().filter(|row| row.subject() == name).count();
    assert_eq!(of("store-cluster"), 19, "{rows:#?}");
    assert_eq!(of("raw TLS"), 4, "{rows:#?}");
}
