//! A run: what is asked for on the command line, and what is printed.

use std::path::PathBuf;

use clap::Parser;
use serde::Serialize;

use crate::cluster::{self, ClusterContender, ClusterLength, ClusterRow};
use crate::group::{Filter, Group};
use crate::http::{self, HttpLength, Site, SiteRow};
use crate::stores::{self, Length, Row};
use crate::table;
use crate::target::{self, Target};
use crate::weight::{self, Weight, WeightRow};

/// What there is to measure.
#[derive(Debug)]
pub struct Bench {
    /// Stores, by what they are compared in.
    pub groups: Vec<Group>,
    /// Web applications.
    pub sites: Vec<Site>,
    /// What holds every session on every node.
    pub clusters: Vec<ClusterContender>,
    /// Stores in memory, by what they weigh.
    pub weights: Vec<Weight>,
}

/// Measures session stores: ours, what they stand on, and, where they are built in, other people's.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Options {
    /// What to measure: memory, redis/load, postgres/write/2KB/64, http, cluster, cluster/heal, bytes;
    /// everything without it
    #[arg(default_value = "")]
    filter: String,
    /// A short form, for a look
    #[arg(long)]
    quick: bool,
    /// The seed of the order in which sessions and subjects have their turns
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder to keep tables (Markdown) and figures (JSON) in
    #[arg(long)]
    results: Option<PathBuf>,
    /// A Markdown file whose part between two comments is replaced by the tables
    #[arg(long)]
    page: Option<PathBuf>,
    /// Only weighs this store, in this process
    #[arg(long, hide = true)]
    weigh: Option<String>,
    /// Is a node of a cluster, and does what its standard input says
    #[arg(long, hide = true)]
    node: bool,
    /// With so many sessions
    #[arg(long, hide = true, default_value_t = 1_000_000)]
    sessions: usize,
}

impl Bench {
    /// Our stores and what they stand on.
    #[must_use]
    pub fn new() -> Self {
        Self {
            groups: Group::all(),
            sites: Site::all(),
            clusters: ClusterContender::all(),
            weights: Weight::all(),
        }
    }

    /// Does what the command line says.
    ///
    /// # Panics
    ///
    /// When something that is measured fails.
    pub fn main(&self) {
        let options = Options::parse();
        // Two, as many as the cores that the figures are for.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        if let Some(name) = &options.weigh {
            let weight = self.weights.iter().find(|weight| weight.name == name);
            let weighing = weight.unwrap().weigh(options.sessions);
            println!("{}", runtime.block_on(weighing));
            return;
        }
        if options.node {
            runtime.block_on(cluster::serve(&self.clusters));
            return;
        }
        let results = runtime.block_on(self.measure(&options));
        let tables = results.tables();
        println!("{tables}");
        if let Some(folder) = &options.results {
            std::fs::create_dir_all(folder).unwrap();
            let figures = serde_json::to_string_pretty(&results).unwrap();
            std::fs::write(folder.join("results.json"), figures).unwrap();
            std::fs::write(folder.join("results.md"), &tables).unwrap();
        }
        if let Some(path) = &options.page {
            let page = std::fs::read_to_string(path).unwrap();
            let text = format!("{}\n\n{}", machine(), tables.trim_end());
            std::fs::write(path, replaced(&page, &text).unwrap()).unwrap();
        }
    }

    async fn measure(&self, options: &Options) -> Results {
        let filter = Filter::new(&options.filter);
        let (length, http_length, cluster_length, sessions) = if options.quick {
            let cluster = ClusterLength::QUICK;
            (Length::QUICK, HttpLength::QUICK, cluster, 100_000)
        } else {
            let cluster = ClusterLength::WHOLE;
            (Length::WHOLE, HttpLength::WHOLE, cluster, 1_000_000)
        };
        let mut results = Results {
            seed: options.seed,
            ..Results::default()
        };
        results.bytes = weight::measure(&self.weights, &filter, sessions);
        results.stores = stores::measure(&self.groups, &filter, length, options.seed).await;
        results.http = http::measure(&self.sites, &filter, http_length, options.seed).await;
        results.clusters = cluster::measure_clusters(
            &self.clusters,
            &std::env::current_exe().unwrap(),
            &filter,
            cluster_length,
            options.seed,
        )
        .await;
        results.targets = target::all(&results);
        results
    }
}

/// Where the figures of a run begin and end on a page.
const BEGIN: &str = "<!-- the last whole run -->\n";
const END: &str = "<!-- its end -->";

/// The page with `text` between the two comments; nothing if they are not there.
fn replaced(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{text}\n\n{END}{after}"))
}

/// What the figures are of, in a line. Linux only.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let field = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name))?.to_owned();
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = field("/proc/cpuinfo", "model name").unwrap_or_default();
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    format!(
        "{cores} cores ({model}), {memory} of memory; clients, servers and load on the same cores: ratios count."
    )
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

/// Everything that a run measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    seed: u64,
    pub(crate) targets: Vec<Target>,
    pub(crate) stores: Vec<Row>,
    pub(crate) http: Vec<SiteRow>,
    pub(crate) clusters: Vec<ClusterRow>,
    pub(crate) bytes: Vec<WeightRow>,
}

impl Results {
    #[cfg(test)]
    pub(crate) fn of(stores: Vec<Row>) -> Self {
        Self {
            stores,
            ..Self::default()
        }
    }

    fn tables(&self) -> String {
        [
            table::targets(&self.targets),
            table::stores(&self.stores),
            table::http(&self.http),
            table::clusters(&self.clusters),
            table::bytes(&self.bytes),
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_what_stands_around_the_figures() {
        let page = format!("# Speed\n{BEGIN}old\n{END}\nThe rest.\n");
        let once = replaced(&page, "new").unwrap();
        assert_eq!(once, format!("# Speed\n{BEGIN}\nnew\n\n{END}\nThe rest.\n"));
        assert_eq!(replaced(&once, "new"), Some(once.clone()));
        assert_eq!(replaced("no place for them", "new"), None);
    }
}
