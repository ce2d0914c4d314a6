"""Holds what deploy/ says to the services' own keys: config.py RENDERED.yaml...

Each variable and each key of a mounted config.toml is one that its service knows, as an unknown one stops the start. What a
service has no default for (an empty text or list, a false) has its place in compose.yaml and in the manifests, unless
RARE says why not.
"""

import pathlib
import re
import sys
import tomllib

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICES = ["ingest-gateway", "capi-forwarder", "retry-worker", "attribution", "monitor"]
# Keys with an empty default that most installations leave alone, so that they have no place of their own.
RARE = {
    "database.sealing_key": "sealing_keys is given",
    "database.plan_cache_mode": "for Citus (deploy/citus)",
    "gateway.operators_on_public_listener": "operators come through the private port",
    "gateway.max_events_per_second_per_key": "no limit",
    "graph_api.partner_agent": "has no meaning in these services",
    "mercado_pago.allow_insecure_http": "for tests",
    "google_ads.allow_insecure_http": "for tests",
    "crediting.lookback_by_channel": "one window for all channels",
    "sync.account_id": "for `attribution sync`, which somebody runs by hand",
    "sync.dataset_id": "the same",
    "sync.access_token": "the same",
    "sync.domain": "the same",
    "seed.publishable_event_names": "all that browsers may send",
    "seed.cookie_domain": "set by `dataset set --cookie-domain`",
    "seed.test_event_code": "set in the dashboard",
    "seed.test_event_code_until": "set in the dashboard",
    "check.api_version_ends": "published by Meta once it is near",
    "notify.slack.bot_token": "a webhook is enough",
    "notify.slack.channel": "a webhook is enough",
}
# Ports and hosts of a cluster are its ingress's matter; these are for who runs compose or adds a component.
ONLY_COMPOSE_OR_COMPONENT = ("seed.", "account.", "meta_spend.", "google_ads.", "reports.", "notify.", "dashboard.replica_url", "check.heartbeat_url",
                             "graph_api.allow_insecure_http")


def keys(table, path=()):
    """All keys of a TOML table with their defaults, by their dotted names."""
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from keys(value, (*path, name))
        else:
            yield ".".join((*path, name)), value


def known(service):
    merged = {}
    for file in (ROOT / "crates/boot/common.default.toml", ROOT / f"crates/{service}/config.default.toml"):
        merged.update(keys(tomllib.loads(file.read_text(encoding="utf-8"))))
    return merged


def key_of(variable):
    name = re.fullmatch(r"RASTRO__([A-Z0-9_]+?)(_FILE)?", variable)
    return name and name.group(1).lower().replace("__", ".")


def service_of(image):
    return re.search(r"/([\w-]+)(:|$)", image).group(1)


def of_compose():
    """Pairs of a service and the keys that compose.yaml gives it."""
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))
    for name, service in compose["services"].items():
        if "${IMAGE_PREFIX" in service["image"] and name not in ("sandbox", "migrate"):
            yield service_of(service["image"]), {key_of(variable) for variable in service.get("environment", {})} - {None}


def of_manifests(path):
    with open(path, encoding="utf-8") as file:
        things = [thing for thing in yaml.safe_load_all(file) if thing]
    data = {thing["metadata"]["name"]: thing["data"] for thing in things if thing["kind"] == "ConfigMap"}
    for thing in things:
        spec = thing.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if not template or thing["kind"] not in ("Deployment", "CronJob"):
            continue
        for container in template["spec"]["containers"]:
            service = service_of(container["image"])
            if service not in SERVICES:
                continue
            given = {key_of(entry["name"]) for entry in container.get("env", [])}
            for source in container.get("envFrom", []):
                given |= {key_of(name) for name in data[source["configMapRef"]["name"]]}
            for volume in template["spec"]["volumes"]:
                text = data.get(volume.get("configMap", {}).get("name"), {}).get("config.toml")
                given |= {name for name, _ in keys(tomllib.loads(text))} if text else set()
            yield service, given - {None}


def check(paths):
    given = {"compose.yaml": list(of_compose())}
    given |= {path.rsplit("/", 1)[-1]: list(of_manifests(path)) for path in paths}
    for where, pairs in given.items():
        for service, names in pairs:
            for name in sorted(names - set(known(service))):
                yield f"{where}: {service} does not know {name}, and would not start"
    for where in ("compose.yaml", "production.yaml"):
        for service in SERVICES:
            names = set().union(*(names for other, names in given[where] if other == service))
            for name, default in known(service).items():
                # A seed's file and a threshold of 0 are values like any other.
                is_empty = default in ("", [], {}) or default is False
                if name.startswith("alerts.") or not is_empty or name in RARE or name in names:
                    continue
                if where == "production.yaml" and name.startswith(ONLY_COMPOSE_OR_COMPONENT):
                    continue
                if service == "attribution" and name == "graph_api.allow_insecure_http":
                    continue
                if service == "ingest-gateway" and name.startswith("graph_api."):
                    continue
                yield f"{where}: {service} has no place for {name}"
    everything = set().union(*(known(service) for service in SERVICES))
    for name in RARE:
        if name not in everything:
            yield f"config.py: nobody knows {name} any more"


def main(arguments):
    problems = list(check(arguments))
    print("\n".join(problems) or "every setting in deploy/ is one that its service knows, and none lacks its place")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
