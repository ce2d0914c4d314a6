"""Checks what watches the services: observe.py PROMTOOL

Rules by their own unit tests; every query of the dashboards for its syntax; every metric and label in both against what the
services' sources declare, so that a renamed metric does not leave an alert behind that can never fire; every runbook link
against the headings that are there; no alert mixes two cells; memory is told of before its limit kills.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
# What every Prometheus client and Prometheus itself call theirs (crates/service/src/metrics/process.rs).
PROCESS = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "rastro_build_info"}
SUFFIXES = {"Counter": ["_total"], "Gauge": [""], "Histogram": ["_bucket", "_sum", "_count"]}


def declared():
    """The series that the sources declare with `metrics!`, and for each the label it has with its values, if any."""
    series = {name: None for name in PROCESS}
    for path in ROOT.glob("crates/*/src/**/metrics.rs"):
        source = re.sub(r"^\s*//.*$", "", path.read_text(encoding="utf-8"), flags=re.M)
        labels = {
            name: (label, set(re.findall(r"\w+", values)))
            for name, label, values in re.findall(r"(\w+) \{ *\s*(\w+): \w+ \[([^\]]*)\]", source)
        }
        labels |= {
            name: (label, None)
            for name, label in re.findall(r"struct (\w+Labels) \{\s*pub\(crate\) (\w+): u16", source)
        }
        for prefix, body in re.findall(r'pub struct \w+ in "(\w+)" \{(.*?)\n    \}', source, flags=re.S):
            fields = re.findall(r'(\w+): ([\w<>, ]+?)(?:\[[^\]]*\])?\s*(?:= "(\w+)")?\s*=> "', body)
            for field, kind, called in fields:
                base = re.search(r"(Counter|Gauge|Histogram)", kind).group(1)
                family = re.search(r"Family<(\w+)", kind)
                for suffix in SUFFIXES[base]:
                    series[f"rastro_{prefix}_{called or field}{suffix}"] = labels.get(family.group(1)) if family else None
    return series


def used(query):
    """The series that a query names, and the labels that it asks of each."""
    for name, matchers in re.findall(r"\b((?:rastro|process)_\w+|up)\b(?:\{([^}]*)\})?", query):
        yield name, re.findall(r'(\w+)(=~|=|!~|!=)"([^"]*)"', matchers)


def check_names(where, query, series):
    for name, matchers in used(query):
        if name not in series:
            yield f"{where}: no service has {name}"
            continue
        for label, operator, value in matchers:
            if label in ("job", "service", "instance", "le"):
                continue
            known = series[name]
            if not known or known[0] != label:
                yield f"{where}: {name} has no label {label}"
            elif known[1] is not None and operator in ("=", "=~"):
                unknown = set(value.split("|")) - known[1]
                if unknown:
                    yield f"{where}: {name} has no {label} {unknown}"


def rules():
    for group in yaml.safe_load((PROMETHEUS / "rules.yaml").read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule


def dashboard_queries():
    for path in sorted((ROOT / "deploy/grafana/dashboards").glob("*.json")):
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(ids) == len(set(ids)), f"{path.name}: two panels have one id"
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                if "rawSql" in target:
                    continue  # of PostgreSQL: crates/monitor/tests/bi.rs runs it
                query = target["expr"].replace("$__rate_interval", "1m").replace("$service", ".*")
                yield f'{path.stem}, {panel["title"]}', query


def check_links():
    headings = {}
    for name, rule in rules():
        document, _, anchor = rule["annotations"]["runbook"].partition("#")
        if document not in headings:
            text = (ROOT / document).read_text(encoding="utf-8")
            titles = re.findall(r"^#+ (.*)$", text, flags=re.M)
            headings[document] = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
        if anchor not in headings[document]:
            yield f"{name}: {document} has no heading #{anchor}"


def check_tested():
    """Each alert has a time at which it fires in the tests."""
    tests = yaml.safe_load((PROMETHEUS / "rules.test.yaml").read_text(encoding="utf-8"))["tests"]
    fired = {check["alertname"] for test in tests for check in test["alert_rule_test"] if check["exp_alerts"]}
    for name, _ in rules():
        if name not in fired:
            yield f"{name}: no test lets it fire"


def check_cells():
    """A sum over all namespaces hides one cell's trouble behind another's health."""
    for name, rule in rules():
        for function, by in re.findall(r"\b(sum|max|min|avg)\s*(by \([\w, ]*\))?\s*\(", rule["expr"]):
            if "namespace" not in by:
                yield f"{name}: {function} is over all cells"


def check_memory():
    """RastroMemory is told of each service, below what kills it in a cluster and in compose."""
    expression = dict(rules())["RastroMemory"]["expr"]
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))["services"]
    units = {"Mi": 2**20, "m": 2**20}
    for path in sorted((ROOT / "deploy").glob("*/deployment.yaml")) + [ROOT / "deploy/monitor/dashboard.yaml"]:
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["template"]
        service = spec["metadata"]["labels"]["app.kubernetes.io/name"]
        limits = [spec["spec"]["containers"][0]["resources"]["limits"]["memory"], compose[path.parent.name]["mem_limit"]]
        least = min(int(limit.rstrip("Mim")) * units[limit.lstrip("0123456789")] for limit in limits)
        told = [
            float(threshold)
            for operator, names, threshold in re.findall(r'service(=|!~)"([^"]+)"\} > (\S+)', expression)
            if (operator == "=") == (service in names.split("|"))
        ]
        if len(told) != 1 or told[0] > 0.9 * least:
            yield f"RastroMemory: {service} is told of at {told}, and killed at {least / 1e6:.0f}e6"


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True, cwd=PROMETHEUS, check=False)
    return [] if result.returncode == 0 else [result.stdout + result.stderr]


def check_kubernetes(promtool):
    """Distributions build promtool without service discovery, so it sees the file with a plain list in its place."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", dir=PROMETHEUS) as file:
        config = yaml.safe_load((PROMETHEUS / "kubernetes.yaml").read_text(encoding="utf-8"))
        for job in config["scrape_configs"]:
            assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
            job["static_configs"] = [{"targets": ["pod:9101"]}]
        yaml.safe_dump(config, file)
        file.flush()
        return run(promtool, "check", "config", file.name)


def main(promtool):
    series = declared()
    problems = []
    # A parser of ours that finds nothing would call everything unknown, or nothing.
    assert series["rastro_forward_events_total"][1] >= {"success", "dead"}, "the sources are not understood any more"
    queries = list(dashboard_queries())
    for name, rule in rules():
        problems += check_names(name, rule["expr"], series)
    for where, query in queries:
        problems += check_names(where, query, series)
    problems += check_links()
    problems += check_tested()
    problems += check_cells()
    problems += check_memory()
    problems += run(promtool, "check", "rules", "rules.yaml")
    problems += run(promtool, "check", "config", "scrape.yaml")
    problems += check_kubernetes(promtool)
    problems += run(promtool, "test", "rules", "rules.test.yaml")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        recorded = [{"record": f"query:{number}", "expr": query} for number, (_, query) in enumerate(queries)]
        yaml.safe_dump({"groups": [{"name": "dashboards", "rules": recorded}]}, file)
        file.flush()
        problems += run(promtool, "check", "rules", file.name)
    print("\n".join(problems) or f"{len(list(rules()))} alerts and {len(queries)} queries of dashboards are in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
