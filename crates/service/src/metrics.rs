//! The numbers a service shows to Prometheus, in the OpenMetrics text format.
//!
//! A service declares its own metrics with [`metrics!`](crate::metrics!), a line each, and registers them
//! once, at start; their names get the prefix `rastro_`. Labels are declared with
//! [`labels!`](crate::labels!): an enum, so that a label's values are a closed set. The metrics of the
//! process itself keep the names every Prometheus client gives them (`process_...`).

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

mod process;

/// Declares a service's metrics: `name: Type => "help",`, with `= "other_name"` before the help where the
/// metric is not called as the field is, and the buckets of a histogram in brackets after its type. A name
/// that ends in `_seconds` has that unit. The struct gets `register`, for [`Metrics::new`]; clones share the
/// metrics.
#[macro_export]
macro_rules! metrics {
    (
        $(#[$doc:meta])*
        $vis:vis struct $name:ident in $prefix:literal {
            $(
                $(#[$field_doc:meta])*
                $field:ident: $type:ty $([$($bucket:expr),+])? $(= $called:literal)? => $help:literal,
            )+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone)]
        $vis struct $name {
            $($(#[$field_doc])* pub(crate) $field: $type,)+
        }

        impl $name {
            #[doc = concat!("Registers the metrics; their names begin with `rastro_", $prefix, "_`.")]
            $vis fn register(registry: &mut $crate::metrics::prometheus_client::registry::Registry) -> Self {
                let metrics = $name {
                    $($field: $crate::metrics!(@new $type $(, [$($bucket),+])?),)+
                };
                let registry = registry.sub_registry_with_prefix($prefix);
                $(
                    let name = $crate::metrics!(@name $field $(, $called)?);
                    $crate::metrics::register(registry, name, $help, metrics.$field.clone());
                )+
                metrics
            }
        }
    };
    (@new $type:ty) => { <$type>::default() };
    (@new $type:ty, [$($bucket:expr),+]) => { <$type>::new([$($bucket),+]) };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident, $called:literal) => { $called };
}

/// Declares the one label of a metric family and its values: `Labels { label: Values [first, second] }`.
#[macro_export]
macro_rules! labels {
    ($labels:ident { $label:ident: $values:ident [$($(#[$doc:meta])* $value:ident),+ $(,)?] }) => {
        #[derive(Clone, Debug, PartialEq, Eq, Hash, prometheus_client::encoding::EncodeLabelSet)]
        pub(crate) struct $labels {
            pub(crate) $label: $values,
        }

        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, prometheus_client::encoding::EncodeLabelValue)]
        #[expect(
            non_camel_case_types,
            reason = "the names are label values, which are lower case"
        )]
        pub(crate) enum $values {
            $($(#[$doc])* $value,)+
        }
    };
}

/// What [`metrics!`](crate::metrics!) writes its types with.
pub use prometheus_client;

/// Registers one metric. Seconds are a unit, which OpenMetrics wants said.
#[doc(hidden)]
pub fn register(registry: &mut Registry, name: &str, help: &str, metric: impl Metric) {
    match name.strip_suffix("_seconds") {
        Some(name) => registry.register_with_unit(name, help, Unit::Seconds, metric),
        None => registry.register(name, help, metric),
    }
}

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
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::histogram::Histogram;

    use super::*;

    crate::labels! { Labels { outcome: Outcome [accepted, /** Never accepted. */ refused] } }

    crate::metrics! {
        /// Some of each kind.
        struct Sample in "send" {
            attempts: Family<Labels, Counter> => "Requests made",
            request_seconds: Histogram[0.5, 1.0] => "Time of a request",
            lost: Counter = "leases_lost" => "Leases that ended too early",
        }
    }

    #[test]
    fn a_page_holds_the_services_own_metrics_with_their_prefix_and_the_build() {
        let (metrics, own) = Metrics::new("capi-forwarder", "1.2.3", Sample::register);
        for (outcome, count) in [(Outcome::accepted, 3), (Outcome::refused, 1)] {
            own.attempts.get_or_create(&Labels { outcome }).inc_by(count);
        }
        own.request_seconds.observe(0.7);
        own.lost.inc();
        let page = metrics.clone().encode().unwrap();
        let lines: Vec<_> = page.lines().collect();
        for expected in [
            "# HELP rastro_send_attempts Requests made.",
            "# TYPE rastro_send_attempts counter",
            r#"rastro_send_attempts_total{outcome="accepted"} 3"#,
            r#"rastro_send_attempts_total{outcome="refused"} 1"#,
            "# UNIT rastro_send_request_seconds seconds",
            r#"rastro_send_request_seconds_bucket{le="0.5"} 0"#,
            r#"rastro_send_request_seconds_bucket{le="1.0"} 1"#,
            "rastro_send_leases_lost_total 1",
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
