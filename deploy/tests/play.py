"""Runs the manifests without a cluster: play.py OVERLAY.yaml IMAGE_OF_POSTGRES SECRETS_DIR [NAME...]

`podman kube play` knows Pods and Deployments, but neither Jobs nor Services. So the migration's pod is played as a Pod, before
the others, and the names of Services become those that Podman gives to pods. Podman 4 mounts Secrets without decoding them, so
they are mounted as ConfigMaps. Everything else is played as it was rendered: users, capabilities, read-only roots, limits,
mounts. Then 2,000 events go through, ten copies of some, and
what the gateway said is compared with what the stand-in for Meta counted. NAME: only these of our services.
"""

import base64
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import yaml

EVENTS = 2_000
NETWORK = "rastro-play"
# The names of Services, and what Podman calls their pods.
SERVICES = {"postgres": "postgres-pod-0", "sandbox": "sandbox-pod-0"}


def podman(*arguments, check=True):
    result = subprocess.run(["podman", *arguments], capture_output=True, text=True, check=False)
    if check and result.returncode != 0:
        sys.exit(f"podman {' '.join(arguments)}: {result.stderr}")
    return result


def until(what, seconds, holds):
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            for name in podman("ps", "-a", "--format", "{{.Names}}").stdout.split():
                log = podman("logs", "--tail", "5", name, check=False)
                print(f"{name}: {log.stdout}{log.stderr}")
            sys.exit(f"{what}: not within {seconds} s")
        time.sleep(0.05)
    return time.monotonic() - began


def name_of(thing):
    labels = thing["metadata"].get("labels", {})
    return labels.get("app.kubernetes.io/name", thing["metadata"]["name"])


def readable(thing):
    """A Secret as a ConfigMap, and a pod that mounts it as one."""
    if thing["kind"] == "Secret":
        data = {name: base64.b64decode(value).decode() for name, value in thing["data"].items()}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": thing["metadata"], "data": data}
    if thing["kind"] in ("Deployment", "Job"):
        for volume in thing["spec"]["template"]["spec"].get("volumes", []):
            if "secret" in volume:
                volume["configMap"] = {"name": volume.pop("secret")["secretName"]}
    return thing


class Play:
    """What is being played, file by file, to be taken down in the end."""

    def __init__(self, objects, folder):
        self.objects, self.folder, self.files = objects, folder, []
        self.shared = [thing for thing in objects if thing["kind"] == "ConfigMap"]

    def start(self, name, kinds=("Deployment", "PersistentVolumeClaim")):
        things = [thing for thing in self.objects if thing["kind"] in kinds and name_of(thing) == name]
        if kinds == ("Job",):
            template = things[0]["spec"]["template"]
            metadata = {"name": name, "labels": template["metadata"]["labels"]}
            things = [{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}]
        file = pathlib.Path(self.folder) / f"{name}.yaml"
        file.write_text(yaml.safe_dump_all(self.shared + things), encoding="utf-8")
        podman("kube", "play", "--network", NETWORK, str(file))
        self.files.append(file)

    def down(self):
        for file in reversed(self.files):
            podman("kube", "down", str(file), check=False)
        maps = [thing["metadata"]["name"] for thing in self.shared]
        podman("volume", "rm", "-f", "postgres", *maps, check=False)
        podman("network", "rm", "-f", NETWORK, check=False)


def container(name):
    return f"{name}-pod-0-{name}"


def address(name):
    """Of the pod, which Podman knows by its infrastructure container."""
    pod = json.loads(podman("pod", "inspect", f"{name}-pod-0").stdout)
    infra = json.loads(podman("inspect", pod["InfraContainerID"]).stdout)[0]
    return infra["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]


def post(url, key, body):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def event(number):
    return {
        "event_name": "Lead", "event_id": f"play-{number}", "event_time": int(time.time()),
        "action_source": "system_generated", "user_data": {"em": f"ana{number}@example.com"},
    }


def send(gateway, key):
    """What the gateway said: accepted, and refused as copies."""
    url = f"http://{gateway}:8080/api/meta/conversions"
    accepted = duplicate = 0
    for first in range(0, EVENTS, 100):
        status, answer = post(url, key, {"events": [event(number) for number in range(first, first + 100)]})
        assert status == 200, answer
        accepted += answer["accepted"]
    for _ in range(10):
        status, answer = post(url, key, event(7))
        assert status == 409, answer
        duplicate += 1
    status, answer = post(url, "sk_wrong", event(1))
    assert status == 401, answer
    return accepted, duplicate


def counted(sandbox):
    with urllib.request.urlopen(f"http://{sandbox}:8090/sandbox/counts", timeout=10) as answer:
        datasets = json.load(answer)["datasets"].values()
    return sum(d["unique"] for d in datasets), sum(d["repeated"] for d in datasets)


def main(overlay, postgres, secrets, only):
    text = pathlib.Path(overlay).read_text(encoding="utf-8")
    for service, pod in SERVICES.items():
        text = text.replace(f"http://{service}:", f"http://{pod}:")
    objects = [readable(thing) for thing in yaml.safe_load_all(text) if thing]
    names = [name_of(thing) for thing in objects if thing["kind"] == "Deployment"]
    ours = [name for name in names if name not in SERVICES and (not only or name in only)]
    for thing in objects:
        if name_of(thing) == "postgres" and thing["kind"] == "Deployment":
            thing["spec"]["template"]["spec"]["containers"][0]["image"] = postgres
    podman("network", "create", NETWORK, check=False)
    with tempfile.TemporaryDirectory() as folder:
        play = Play(objects, folder)
        try:
            run(play, ours, secrets)
        finally:
            play.down()


def run(play, ours, secrets):
    play.start("postgres")
    play.start("sandbox")
    is_ready = ["exec", container("postgres"), "pg_isready", "-h", "127.0.0.1", "-U", "rastro"]
    until("PostgreSQL", 30, lambda: podman(*is_ready, check=False).returncode == 0)

    # Before the migration: it lives, and says what it waits for.
    play.start("retry-worker")
    worker = container("retry-worker")
    until("it lives", 10, lambda: podman("exec", worker, "/retry-worker", "healthcheck", check=False).returncode == 0)
    waiting = podman("exec", worker, "/retry-worker", "healthcheck", "ready", check=False)
    assert waiting.returncode != 0 and "ingest-gateway migrate" in waiting.stderr, waiting
    print(f"without a schema: {waiting.stderr.strip()[:160]}")

    play.start("migrate", kinds=("Job",))
    podman("wait", "migrate-migrate")
    code = podman("inspect", "migrate-migrate", "--format", "{{.State.ExitCode}}").stdout.strip()
    assert code == "0", podman("logs", "migrate-migrate").stdout
    for name in ours:
        binary = "/monitor" if name == "monitor-dashboard" else f"/{name}"
        if name != "retry-worker":
            play.start(name)
        check = ["exec", container(name), binary, "healthcheck", "ready"]
        took = until(f"{name} is ready", 30, lambda: podman(*check, check=False).returncode == 0)
        print(f"{name}: ready {took:.2f} s after it was there")

    key = (pathlib.Path(secrets) / "secret_key").read_text(encoding="utf-8")
    accepted, duplicate = send(address("ingest-gateway"), key)
    sandbox = address("sandbox")
    took = until("all are at Meta", 60, lambda: counted(sandbox)[0] >= accepted)
    unique, repeated = counted(sandbox)
    print(f"accepted {accepted}, refused {duplicate} copies; Meta counts {unique}, {repeated} of them again; {took:.1f} s")
    assert (accepted, duplicate, unique, repeated) == (EVENTS, 10, EVENTS, 0)

    for name in ours:
        facts = json.loads(podman("inspect", container(name)).stdout)[0]
        assert facts["HostConfig"]["ReadonlyRootfs"] and not facts["EffectiveCaps"], name
        pid = facts["State"]["Pid"]
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        uid = next(line.split()[1] for line in status.splitlines() if line.startswith("Uid"))
        print(f"{name}: user {uid}, no capabilities, read-only, {memory / 1024:.1f} MB")
        began = time.monotonic()
        podman("stop", "-t", "60", container(name))
        ended = json.loads(podman("inspect", container(name)).stdout)[0]["State"]["ExitCode"]
        print(f"{name}: ended with {ended}, {time.monotonic() - began:.1f} s after SIGTERM")
        assert ended == 0, name


if __name__ == "__main__":
    main(*sys.argv[1:4], set(sys.argv[4:]))
