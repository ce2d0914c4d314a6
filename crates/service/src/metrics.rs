//! The numbers a service shows to Prometheus, in the OpenMetrics text format.
//!
//! A service registers its own metrics once, at start; their names get the prefix `rastro_`. Labels are enums
//! that derive `EncodeLabelValue`, so that a label's values are a closed set. The metrics of the process itself
//! keep the names every Prometheus client gives them (`process_...`).

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

mod process;

/// What a page of [`Metrics::encode`] must be served as.
/// Source: OpenMetrics 1.0.0, "Overall Structure" (media type of the text format).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of this process. Cloning is cheap and shares them.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Registry>);

impl Metrics {
    /// Makes the registry of a service, with the metrics of its process and `rastro_build_info`, and lets
    /// `register` add the service's own; what `register` returns (its handles on them) is handed back.
    ///
    /// `version` is the service's own: `env!("CARGO_PKG_VERSION")` in its crate.
    pub fn new<R>(
        service: &'static str,
        version: &'static str,
        register: impl FnOnce(&mut Registry) -> R,
    ) -> (Self, R) {
        let mut root = Registry::default();
        root.register_collector(Box::new(process::Process));
        let registry = root.sub_registry_with_prefix("rastro");
        let labels = [("service", service), ("version", version)];
        registry.register(
            "build",
            "The service and version this process runs",
            Info::new(labels.to_vec()),
        );
        let handles = register(registry);
        (Self(Arc::new(root)), handles)
    }

    /// The page to serve, as [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// When a collector or a label of the service cannot be written.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.0)?;
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelValue)]
    enum Outcome {
        Accepted,
    }

    #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
    struct Labels {
        outcome: Outcome,
    }

    #[test]
    fn a_page_holds_the_services_own_metrics_with_their_prefix_and_the_build() {
        let (metrics, attempts) = Metrics::new("capi-forwarder", "1.2.3", |registry| {
            let attempts = Family::<Labels, Counter>::default();
            registry.register("attempts", "Requests made", attempts.clone());
            attempts
        });
        attempts
            .get_or_create(&Labels {
                outcome: Outcome::Accepted,
            })
            .inc_by(3);
        let page = metrics.clone().encode().unwrap();
        let lines: Vec<_> = page.lines().collect();
        for expected in [
            "# TYPE rastro_attempts counter",
            r#"rastro_attempts_total{outcome="Accepted"} 3"#,
            "# TYPE rastro_build info",
            r#"rastro_build_info{service="capi-forwarder",version="1.2.3"} 1"#,
        ] {
            assert!(lines.contains(&expected), "{expected} is not in\n{page}");
        }
        assert_eq!(lines.last(), Some(&"# EOF"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_page_holds_the_metrics_of_the_process_under_their_usual_names() {
        let (metrics, ()) = Metrics::new("test", "0", |_| ());
        let page = metrics.encode().unwrap();
        let value = |name: &str| -> f64 {
            let line = page
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{name} is not in\n{page}"))
                .parse()
                .unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_open_fds") >= 3.0);
        assert!(page.contains("# TYPE process_cpu_seconds counter"), "{page}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_opened_file_is_counted() {
        let open_files = || -> i64 {
            let page = Metrics::new("test", "0", |_| ()).0.encode().unwrap();
            page.lines()
                .find_map(|line| line.strip_prefix("process_open_fds "))
                .unwrap()
                .parse()
                .unwrap()
        };
        // Many, so that tests of the same process that open or close a few cannot hide them.
        let before = open_files();
        let files: Vec<_> = (0..100)
            .map(|_| std::fs::File::open("/proc/self/stat").unwrap())
            .collect();
        assert!(open_files() - before > 50);
        drop(files);
    }
}
