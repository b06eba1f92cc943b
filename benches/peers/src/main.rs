//! The bench with the published session stores that users would pick instead: beside ours and beside what
//! all stand on, in one process. `cargo xtask bench` runs it.

#![forbid(unsafe_code)]

mod actix;
mod axum_session;
mod reconcile;
mod tower;

use benches::Bench;

fn main() {
    let mut bench = Bench::new();
    for group in &mut bench.groups {
        match group.name {
            "memory" => group
                .contenders
                .extend([tower::newest::memory(), tower::for_stores::moka()]),
            "redis" => group.contenders.extend([
                tower::for_stores::redis(),
                actix::redis(),
                axum_session::redis(),
            ]),
            "postgres" => group.contenders.push(tower::for_stores::postgres()),
            _ => {}
        }
    }
    bench.sites.push(tower::newest::memory_site());
    bench.sites.extend(tower::for_stores::sites());
    bench.sites.extend(axum_session::sites());
    bench.sites.extend(actix::sites());
    bench.weights.push(tower::newest::memory_weight());
    bench.weights.push(tower::for_stores::moka_weight());
    bench.weights.push(reconcile::weight());
    bench.clusters.push(reconcile::nodes());
    bench.main();
}
