//! A run: what is asked for on the command line, and what is printed.

use std::path::PathBuf;

use clap::Parser;
use serde::Serialize;

use crate::group::{Filter, Group};
use crate::http::{self, HttpLength, Site, SiteRow};
use crate::stores::{self, Length, Row};
use crate::table;

/// Measures session stores: ours, what they stand on, and, where they are built in, other people's.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
pub struct Bench {
    /// What to measure: `memory`, `redis/load`, `postgres/write/2KB/64`; everything without it
    #[arg(default_value = "")]
    filter: String,
    /// A short form, for a look
    #[arg(long)]
    quick: bool,
    /// The seed of the order of rounds and of sessions
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder to keep tables (Markdown) and figures (JSON) in
    #[arg(long)]
    results: Option<PathBuf>,
}

impl Bench {
    /// Does what the command line says, with these groups.
    ///
    /// # Panics
    ///
    /// When something that is measured fails.
    pub fn main(groups: &[Group], sites: &[Site]) {
        let bench = Self::parse();
        // Two, as many as the cores that the figures are for.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(bench.run(groups, sites));
    }

    async fn run(&self, groups: &[Group], sites: &[Site]) {
        let (length, http_length) = if self.quick {
            (Length::QUICK, HttpLength::QUICK)
        } else {
            (Length::WHOLE, HttpLength::WHOLE)
        };
        let filter = Filter::new(&self.filter);
        let results = Results {
            seed: self.seed,
            stores: stores::measure(groups, &filter, length, self.seed).await,
            http: http::measure(sites, &filter, http_length, self.seed).await,
        };
        let tables = results.tables();
        println!("{tables}");
        if let Some(folder) = &self.results {
            std::fs::create_dir_all(folder).unwrap();
            let figures = serde_json::to_string_pretty(&results).unwrap();
            std::fs::write(folder.join("results.json"), figures).unwrap();
            std::fs::write(folder.join("results.md"), tables).unwrap();
        }
    }
}

/// Everything that a run measured.
#[derive(Debug, Serialize)]
struct Results {
    seed: u64,
    stores: Vec<Row>,
    http: Vec<SiteRow>,
}

impl Results {
    fn tables(&self) -> String {
        table::stores(&self.stores) + &table::http(&self.http)
    }
}
