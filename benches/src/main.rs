//! Our stores and their floors, without anybody else's: what can be built with the workspace alone.

use benches::{Bench, Group, Site};

fn main() {
    Bench::main(&Group::all(), &Site::all());
}
