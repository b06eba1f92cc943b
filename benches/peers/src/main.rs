//! The bench with the published session stores that users would pick instead: beside ours and beside what
//! all stand on, in one process. `cargo xtask bench` runs it.

#![forbid(unsafe_code)]

mod actix;
mod axum_session;
mod tower;

use benches::{Bench, Group, Site};

fn main() {
    let mut groups = Group::all();
    for group in &mut groups {
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
    Bench::main(&groups, &Site::all());
}
