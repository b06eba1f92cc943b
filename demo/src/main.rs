//! A small web application with sessions.

fn main() {}
