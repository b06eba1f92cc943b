//! Our stores and their floors, without anybody else's: what can be built with the workspace alone.

fn main() {
    benches::Bench::new().main();
}
