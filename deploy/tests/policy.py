"""What every rendered overlay has to hold: policy.py OVERLAY.yaml...

Prints each breach as a line that names the overlay, the object and the rule; ends with 1 if there is any. The rules are the
table in proto-docs/operation.md. `--self-test` breaks a good overlay in each of the ways that a rule is about, and fails
unless every one of them is noticed.
"""

import copy
import pathlib
import re
import sys
import tomllib
from collections import defaultdict
from urllib.parse import urlsplit

import yaml

# Pods that are ours, by the label that says so; what a laptop runs beside them is held to the security rules only.
OURS = "rastro"
# Seconds that a process may take after SIGTERM, by its own configuration: drain and shutdown of the gateway; the request and
# the lease of a forwarder; steps of a second of the others.
LEAST_GRACE = {"ingest-gateway": 26, "capi-forwarder": 101, "retry-worker": 11, "attribution": 31, "monitor-dashboard": 11}
LEAST_REPLICAS = {"ingest-gateway": 2, "capi-forwarder": 1, "retry-worker": 1, "attribution": 1, "monitor-dashboard": 1}
SECRET_WORDS = ("url", "token", "password", "secret", "sealing", "pepper", "_key")
# Where images of ours come from on a laptop: what scripts/images.sh calls them.
IMAGES = pathlib.Path(__file__).resolve().parents[2] / "scripts/images.sh"
# A service without its own address is asked by nobody.
WITH_SERVICE = {"ingest-gateway", "monitor-dashboard"}

# What each must reach outside of the cluster: Meta, Mercado Pago, Google, Slack by 443; mail by 465 and 587.
OUTSIDE = {
    "ingest-gateway": {443}, "capi-forwarder": {443}, "attribution": {443}, "monitor-dashboard": {443, 465, 587},
    "monitor-check": {443, 465, 587},
}


def name_of(thing):
    metadata = thing["metadata"]
    return f'{metadata.get("namespace", "-")}/{thing["kind"]}/{metadata["name"]}'


def label(thing):
    return thing["metadata"].get("labels", {}).get("app.kubernetes.io/name")


def pod_of(thing):
    """The pod template of a workload, or None."""
    spec = thing.get("spec", {})
    if thing["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec.get("template") if thing["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob") else None


def wave(thing):
    """When Argo CD makes it, beside the others of one sync."""
    return int(thing["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave", "0"))


def needs(thing):
    """What a pod cannot start without, as kinds and names; and the namespace and its policies, which it goes by."""
    spec = pod_of(thing)["spec"]
    yield "Namespace", thing["metadata"].get("namespace")
    yield "ServiceAccount", spec["serviceAccountName"]
    yield "NetworkPolicy", "database-dns-and-traces"
    for container in spec["containers"]:
        for source in container.get("envFrom", []):
            yield "ConfigMap", source["configMapRef"]["name"]
    for volume in spec.get("volumes", []):
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]


def is_ours(thing):
    pod = pod_of(thing)
    return bool(pod) and pod["metadata"].get("labels", {}).get("app.kubernetes.io/part-of") == OURS


class Overlay:
    """The objects of one rendered overlay, and what is wrong with them."""

    def __init__(self, title, objects, is_laptop):
        self.title, self.objects, self.is_laptop = title, objects, is_laptop
        self.breaches = []
        self.by_kind = defaultdict(list)
        for thing in objects:
            self.by_kind[thing["kind"]].append(thing)

    def expect(self, holds, thing, rule):
        if not holds:
            self.breaches.append(f"{self.title}: {name_of(thing)}: {rule}")

    def check(self):
        for thing in self.objects:
            pod = pod_of(thing)
            if pod:
                self.security(thing, pod["spec"])
            if is_ours(thing):
                self.images(thing, pod)
                self.workload(thing, pod)
                self.reach(thing, pod)
        for deployment in self.by_kind["Deployment"]:
            if is_ours(deployment):
                self.deployment(deployment)
        for job in self.by_kind["CronJob"]:
            self.cron_job(job)
        for job in self.by_kind["Job"]:
            self.migration(job)
        self.namespaces()
        return self.breaches

    # The "restricted" Pod Security Standard, and a little more.
    def security(self, thing, spec):
        pod = spec.get("securityContext", {})
        self.expect(pod.get("runAsNonRoot") is True, thing, "runs as root")
        self.expect(pod.get("runAsUser", 0) > 0, thing, "has no user of its own")
        self.expect(pod.get("seccompProfile", {}).get("type") == "RuntimeDefault", thing, "has no seccomp profile")
        self.expect(spec.get("automountServiceAccountToken") is False, thing, "has a token of the Kubernetes API")
        self.expect(spec.get("enableServiceLinks") is False, thing, "gets variables of all services of the namespace")
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            self.expect(not spec.get(key), thing, f"{key} is set")
        allowed = {"configMap", "secret", "emptyDir", "persistentVolumeClaim", "projected", "downwardAPI"}
        for volume in spec.get("volumes", []):
            self.expect(set(volume) - {"name"} <= allowed, thing, f'volume {volume["name"]} is of the host')
        for container in spec["containers"] + spec.get("initContainers", []):
            own = container.get("securityContext", {})
            self.expect(own.get("allowPrivilegeEscalation") is False, thing, "may gain privileges")
            self.expect(own.get("readOnlyRootFilesystem") is True, thing, "may write to its root file system")
            self.expect(own.get("capabilities", {}).get("drop") == ["ALL"], thing, "keeps capabilities")
            self.expect(not own.get("capabilities", {}).get("add"), thing, "adds capabilities")
            resources = container.get("resources", {})
            self.expect({"cpu", "memory"} <= set(resources.get("requests", {})), thing, "requests no processor or memory")
            self.expect("memory" in resources.get("limits", {}), thing, "has no memory limit")
            self.expect("cpu" not in resources.get("limits", {}), thing, "has a CPU limit, which throttles")
            image = container["image"]
            self.expect(":" in image.rsplit("/", 1)[-1] and not image.endswith(":latest"), thing, f"image {image} has no version")

    def images(self, thing, pod):
        """A name without a registry is one of Docker Hub, which is somebody else's."""
        for container in pod["spec"]["containers"]:
            prefix = container["image"].rsplit("/", 1)[0]
            host = prefix.split("/")[0]
            self.expect("." in host or host == "localhost", thing, f"{container['image']} is pulled from Docker Hub")
            built = re.search(r"IMAGE_PREFIX:-([^}]+)\}", IMAGES.read_text(encoding="utf-8")).group(1)
            self.expect(not self.is_laptop or prefix == built, thing, f"{prefix} is not what `make images` builds ({built})")

    # What holds for everything that is ours: secrets are files that exist, a service account without rights.
    def workload(self, thing, pod):
        spec, namespace = pod["spec"], thing["metadata"].get("namespace")
        accounts = [a for a in self.by_kind["ServiceAccount"] if a["metadata"].get("namespace") == namespace]
        account = next((a for a in accounts if a["metadata"]["name"] == spec.get("serviceAccountName")), None)
        self.expect(account is not None, thing, "has no service account of its own")
        self.expect(account is None or account.get("automountServiceAccountToken") is False, thing, "its account has a token")
        mounts = {}
        for container in spec["containers"]:
            for mount in container.get("volumeMounts", []):
                self.expect(mount.get("readOnly") is True, thing, f'{mount["mountPath"]} is not mounted read-only')
                mounts[mount["mountPath"]] = mount["name"]
            self.expect(
                not any("secretRef" in source for source in container.get("envFrom", [])), thing, "takes secrets as variables"
            )
            for variable in container.get("env", []):
                self.variable(thing, spec, mounts, variable)
        for volume in spec.get("volumes", []):
            if "secret" in volume:
                mode = volume["secret"].get("defaultMode")
                self.expect(mode in (0o440, 0o400), thing, f'secret {volume["name"]} can be read by everyone')
                self.expect(spec["securityContext"].get("fsGroup") == 65532, thing, "could not read its secrets")

    def reach(self, thing, pod):
        """All is denied by default, so that a service that calls outside needs a policy which lets it."""
        ports = set()
        for policy in self.by_kind["NetworkPolicy"]:
            same = policy["metadata"].get("namespace") == thing["metadata"].get("namespace")
            selector = policy["spec"]["podSelector"].get("matchLabels", {})
            if not same or not selector or not selector.items() <= pod["metadata"]["labels"].items():
                continue
            for rule in policy["spec"].get("egress", []):
                if any(to.get("ipBlock", {}).get("cidr") == "0.0.0.0/0" for to in rule.get("to", [])):
                    ports |= {port["port"] for port in rule["ports"]}
        wanted = OUTSIDE.get(pod["metadata"]["labels"].get("app.kubernetes.io/name"), set())
        self.expect(wanted <= ports, thing, f"cannot reach the outside by {sorted(wanted - ports)}")

    def variable(self, thing, spec, mounts, variable):
        name = variable["name"]
        self.expect(not variable.get("valueFrom", {}).get("secretKeyRef"), thing, f"{name} is a secret in a variable")
        # Where the stand-in for Meta is, is no secret, although it is a URL.
        if name.endswith("_FILE") or name == "RASTRO__GRAPH_API__URL":
            if name.endswith("_FILE"):
                folder = variable["value"].rsplit("/", 1)[0]
                volume = next((v for v in spec["volumes"] if v["name"] == mounts.get(folder)), {})
                self.expect("secret" in volume, thing, f"{name} names a file that no secret is mounted for")
        else:
            looks_secret = any(word in name.lower() for word in SECRET_WORDS)
            self.expect(not looks_secret, thing, f"{name} looks like a secret and is not a file")

    def deployment(self, thing):
        name, spec, pod = label(thing), thing["spec"], pod_of(thing)
        container = pod["spec"]["containers"][0]
        rollout = spec.get("strategy", {}).get("rollingUpdate", {})
        self.expect(rollout == {"maxSurge": 1, "maxUnavailable": 0}, thing, "a rollout takes capacity away")
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        wanted = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
        for probe, path in wanted.items():
            get = container.get(probe, {}).get("httpGet", {})
            self.expect(get.get("path") == path and get.get("port") == "health", thing, f"{probe} does not ask {path}")
        self.expect("health" in ports, thing, "has no health port")
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
        self.expect(grace >= LEAST_GRACE.get(name, 0), thing, f"is killed after {grace} s, before it has drained")
        spread = pod["spec"].get("topologySpreadConstraints", [])
        by_host = [s for s in spread if s["topologyKey"] == "kubernetes.io/hostname"]
        matches = by_host and by_host[0]["labelSelector"]["matchLabels"] == spec["selector"]["matchLabels"]
        self.expect(bool(matches), thing, "is not spread over hosts")
        self.expect(self.selecting("PodDisruptionBudget", thing, "selector"), thing, "has no disruption budget")
        self.expect(self.selecting("NetworkPolicy", thing, "podSelector"), thing, "has no network policy of its own")
        if name in WITH_SERVICE:
            self.expect(self.service(thing, ports), thing, "no service reaches it")
        self.replicas(thing, name, spec)

    def replicas(self, thing, name, spec):
        scalers = [
            h for h in self.by_kind["HorizontalPodAutoscaler"]
            if h["metadata"].get("namespace") == thing["metadata"].get("namespace")
            and h["spec"]["scaleTargetRef"]["name"] == thing["metadata"]["name"]
        ]
        self.expect(not (scalers and "replicas" in spec), thing, "says replicas that an autoscaler says, too")
        replicas = scalers[0]["spec"]["minReplicas"] if scalers else spec.get("replicas", 1)
        least = 1 if self.is_laptop else LEAST_REPLICAS.get(name, 1)
        self.expect(replicas >= least, thing, f"{replicas} replicas, {least} are needed")

    def selecting(self, kind, deployment, key):
        """Whether an object of this kind is about exactly the pods of this deployment."""
        for other in self.by_kind[kind]:
            same = other["metadata"].get("namespace") == deployment["metadata"].get("namespace")
            if same and other["spec"].get(key, {}).get("matchLabels") == deployment["spec"]["selector"]["matchLabels"]:
                if kind != "PodDisruptionBudget" or other["spec"].get("maxUnavailable") == 1:
                    return True
        return False

    def service(self, deployment, ports):
        for service in self.by_kind["Service"]:
            same = service["metadata"].get("namespace") == deployment["metadata"].get("namespace")
            if same and service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]:
                targets = {port["targetPort"] for port in service["spec"]["ports"]}
                # Metrics and operators' requests are not for whoever reaches the service.
                return targets <= set(ports) and "health" not in targets
        return False

    def cron_job(self, thing):
        spec, job = thing["spec"], thing["spec"]["jobTemplate"]["spec"]
        wanted = {
            "schedule": "* * * * *", "concurrencyPolicy": "Forbid", "startingDeadlineSeconds": 50,
            "successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 3,
        }
        for key, value in wanted.items():
            self.expect(spec.get(key) == value, thing, f"{key} is {spec.get(key)}, not {value}")
        self.expect(job.get("activeDeadlineSeconds") == 55, thing, "a run that hangs is not ended within its minute")
        self.expect(job.get("backoffLimit") == 0, thing, "a run is repeated")
        self.expect(job["template"]["spec"]["restartPolicy"] == "Never", thing, "a run is restarted")

    def migration(self, thing):
        notes = thing["metadata"].get("annotations", {})
        self.expect(notes.get("argocd.argoproj.io/hook") == "Sync", thing, "is no part of a sync (Argo CD)")
        self.expect(wave(thing) < 0, thing, "does not run before the rollout (Argo CD)")
        self.expect("ttlSecondsAfterFinished" in thing["spec"], thing, "stays in the way of the next one")
        # Argo CD makes a wave when the one before it is there. A laptop's database would have to be, too.
        namespace = thing["metadata"].get("namespace")
        for kind, name in needs(thing):
            for other in self.by_kind[kind]:
                here = other["metadata"].get("namespace", namespace) == namespace and other["metadata"]["name"] == name
                earlier = wave(other) < wave(thing) or self.is_laptop
                self.expect(not here or earlier, thing, f"waits for ever for its {kind} {name} (Argo CD)")

    # Per namespace: nothing may be reached but by a rule, and an ingress leads to a service that is there.
    def namespaces(self):
        names = {thing["metadata"].get("namespace") for thing in self.objects if is_ours(thing)}
        for namespace in names:
            policies = [p for p in self.by_kind["NetworkPolicy"] if p["metadata"].get("namespace") == namespace]
            shut = [p for p in policies if p["spec"]["podSelector"] == {} and not p["spec"].get("ingress") and not p["spec"].get("egress")]
            here = next((n for n in self.by_kind["Namespace"] if n["metadata"]["name"] == namespace), None)
            self.expect(here is not None, {"kind": "Namespace", "metadata": {"name": str(namespace)}}, "is not declared")
            if here is None:
                continue
            self.expect(any(set(p["spec"]["policyTypes"]) == {"Ingress", "Egress"} for p in shut), here, "denies nothing by default")
            enforce = here["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce")
            self.expect(enforce == "restricted", here, "takes pods that are not restricted")
        for ingress in self.by_kind["Ingress"]:
            self.expect(ingress["spec"].get("tls"), ingress, "has no TLS")
            services = {
                s["metadata"]["name"] for s in self.by_kind["Service"]
                if s["metadata"].get("namespace") == ingress["metadata"].get("namespace")
            }
            for rule in ingress["spec"]["rules"]:
                for path in rule["http"]["paths"]:
                    backend = path["backend"]["service"]["name"]
                    self.expect(backend in services, ingress, f"leads to {backend}, which is not there")
        for settings in self.by_kind["ConfigMap"]:
            self.addresses(settings)

    def addresses(self, settings):
        """What the dashboard says of itself and of the gateway in messages and tags leads to this namespace's own."""
        dashboard = tomllib.loads(settings.get("data", {}).get("config.toml", "")).get("dashboard", {})
        hosts = defaultdict(set)
        for ingress in self.by_kind["Ingress"]:
            if ingress["metadata"].get("namespace") == settings["metadata"].get("namespace"):
                for rule in ingress["spec"]["rules"]:
                    for path in rule["http"]["paths"]:
                        hosts[path["backend"]["service"]["name"]].add(rule["host"])
        for key, service in (("public_url", "monitor-dashboard"), ("gateway_url", "ingest-gateway")):
            host = urlsplit(dashboard.get(key, "")).hostname
            if host and not self.is_laptop:
                self.expect(host in hosts[service], settings, f"{key} leads to {host}, and {service} is at {sorted(hosts[service])}")


def load(path):
    with open(path, encoding="utf-8") as file:
        return [thing for thing in yaml.safe_load_all(file) if thing]


def check(title, objects):
    return Overlay(title, objects, "laptop" in title).check()


def self_test(objects):
    """Each rule notices what it is about; what is broken is a copy of a good overlay."""
    def find(things, kind, name):
        return next(t for t in things if t["kind"] == kind and t["metadata"]["name"] == name)

    def spec(things, name="capi-forwarder"):
        return find(things, "Deployment", name)["spec"]["template"]["spec"]

    def container(things, name="capi-forwarder"):
        return spec(things, name)["containers"][0]

    def drop(kind, name):
        return lambda t: t.remove(find(t, kind, name))

    breaks = {
        "runs as root": lambda t: spec(t)["securityContext"].update(runAsNonRoot=False),
        "has no seccomp": lambda t: spec(t)["securityContext"].pop("seccompProfile"),
        "has a token": lambda t: spec(t).pop("automountServiceAccountToken"),
        "hostNetwork": lambda t: spec(t).update(hostNetwork=True),
        "of the host": lambda t: spec(t)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
        "may gain": lambda t: container(t)["securityContext"].pop("allowPrivilegeEscalation"),
        "may write": lambda t: container(t)["securityContext"].update(readOnlyRootFilesystem=False),
        "keeps capabilities": lambda t: container(t)["securityContext"].pop("capabilities"),
        "no memory limit": lambda t: container(t)["resources"].pop("limits"),
        "CPU limit": lambda t: container(t)["resources"]["limits"].update(cpu="1"),
        "has no version": lambda t: container(t).update(image="rastro/capi-forwarder"),
        "no service account": drop("ServiceAccount", "capi-forwarder"),
        "takes secrets as": lambda t: container(t)["envFrom"].append({"secretRef": {"name": "rastro-keys"}}),
        "looks like a secret": lambda t: container(t)["env"].append({"name": "RASTRO__DATABASE__PEPPER", "value": "x"}),
        "no secret is mounted": lambda t: container(t)["volumeMounts"].clear(),
        "can be read by everyone": lambda t: spec(t)["volumes"][1]["secret"].pop("defaultMode"),
        "takes capacity away": lambda t: find(t, "Deployment", "capi-forwarder")["spec"].pop("strategy"),
        "livenessProbe": lambda t: container(t)["livenessProbe"]["httpGet"].update(path="/readyz"),
        "readinessProbe": lambda t: container(t).pop("readinessProbe"),
        "before it has drained": lambda t: spec(t).pop("terminationGracePeriodSeconds"),
        "not spread": lambda t: spec(t).pop("topologySpreadConstraints"),
        "disruption budget": drop("PodDisruptionBudget", "capi-forwarder"),
        "network policy of its own": drop("NetworkPolicy", "capi-forwarder"),
        "cannot reach the outside": lambda t: find(t, "NetworkPolicy", "monitor-dashboard")["spec"].pop("egress"),
        "no service reaches": drop("Service", "ingest-gateway"),
        "replicas, 2 are needed": drop("HorizontalPodAutoscaler", "ingest-gateway"),
        "concurrencyPolicy": lambda t: find(t, "CronJob", "monitor-check")["spec"].update(concurrencyPolicy="Allow"),
        "a run is repeated": lambda t: find(t, "CronJob", "monitor-check")["spec"]["jobTemplate"]["spec"].pop("backoffLimit"),
        "no part of a sync": lambda t: find(t, "Job", "migrate")["metadata"].pop("annotations"),
        "before the rollout": lambda t: find(t, "Job", "migrate")["metadata"]["annotations"].update(
            {"argocd.argoproj.io/sync-wave": "0"}),
        "for its ServiceAccount migrate": lambda t: find(t, "ServiceAccount", "migrate")["metadata"].pop("annotations"),
        "for its ConfigMap rastro-common": lambda t: find(t, "ConfigMap", "rastro-common")["metadata"].pop("annotations"),
        "for its Namespace rastro": lambda t: find(t, "Namespace", "rastro")["metadata"].pop("annotations"),
        "pulled from Docker Hub": lambda t: container(t).update(image="rastro/capi-forwarder:0.2.0"),
        "gateway_url leads to": lambda t: find(t, "Ingress", "ingest-gateway")["spec"]["rules"][0].update(host="events.ours.test"),
        "public_url leads to": lambda t: find(t, "Ingress", "monitor-dashboard")["spec"]["rules"][0].update(host="ours.test"),
        "denies nothing": drop("NetworkPolicy", "default-deny"),
        "not restricted": lambda t: find(t, "Namespace", "rastro")["metadata"].pop("labels"),
        "has no TLS": lambda t: find(t, "Ingress", "ingest-gateway")["spec"].pop("tls"),
    }
    missed = []
    for words, broken in breaks.items():
        things = copy.deepcopy(objects)
        broken(things)
        if not any(words in breach for breach in check("self-test", things)):
            missed.append(f"self-test: nobody noticed what breaks '{words}'")
    return missed, len(breaks)


def main(arguments):
    if arguments[:1] == ["--self-test"]:
        breaches, count = self_test(load(arguments[1]))
        done = f"{count} ways to break an overlay, all noticed"
    else:
        breaches = [breach for path in arguments for breach in check(path.rsplit("/", 1)[-1], load(path))]
        done = f"{len(arguments)} overlays hold the policy"
    print("\n".join(breaches) or done)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
