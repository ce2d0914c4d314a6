"""Holds the commands of proto-docs/operation.md and of comments in deploy/ to what would happen: docs.py

kubectl says the namespace; a compose installation leaves the demo before it gets another dataset, as keys stay with the one that they
were first seen with; secrets are named by those that scripts/secrets.sh makes; numbers of rules are those that there are; the script
for pages has the version of everything else.
"""

import json
import pathlib
import re
import sys
import tomllib

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
# These name their namespace in what they are given.
OF_ITS_OWN = ("kubectl create namespace", "kubectl apply -k", "kubectl kustomize")


def blocks(text):
    return re.findall(r"^ *```sh\n(.*?)^ *```", text, flags=re.M | re.S)


def kubectl(where, text):
    for command in re.findall(r"kubectl [^`\n]*", text):
        if not command.startswith(OF_ITS_OWN) and re.match(r"kubectl (-n|\w+ .*-n |delete|get|wait|exec|create|rollout)", command):
            if not re.match(r"kubectl -n rastro(-a)? ", command):
                yield f"{where}: without a namespace: {command}"


def check():
    operation = (ROOT / "proto-docs/operation.md").read_text(encoding="utf-8")
    # What is broken over two lines is one command.
    yield from kubectl("operation.md", re.sub(r"(`[^`\n]*)\n([^`\n]*`)", r"\1 \2", operation))
    for path in sorted((ROOT / "deploy").rglob("*.yaml")):
        yield from kubectl(path.relative_to(ROOT), path.read_text(encoding="utf-8"))

    switch = [block for block in blocks(operation) if "deploy/secrets/dataset_id" in block]
    if len(switch) != 1:
        yield "operation.md: one block should say how compose goes from the demo to Meta"
    for block in switch:
        lines = [line.split("#")[0].strip() for line in block.splitlines()]
        if lines[0] != "scripts/compose.sh down -v" or "make compose" not in lines:
            yield "operation.md: keys of the demo's dataset would keep the gateway from starting: first `down -v`, then `make compose`"
        if any("reseed" in line for line in lines):
            yield "operation.md: reseed asks for keys first, which are another dataset's"
    # An `up` with arguments builds nothing.
    upgrade = operation.split("## Upgrade")[1].split("\n## ")[0]
    if re.search(r"IMAGE_TAG[^.]*scripts/compose.sh up", upgrade):
        yield "operation.md: images that were not built would be looked for at Docker Hub"

    made = set(re.findall(r"\| make (\w+)$", (ROOT / "scripts/secrets.sh").read_text(encoding="utf-8"), flags=re.M))
    for secret in re.findall(r"--from-file=(\w+)", operation):
        if secret not in made:
            yield f"operation.md: nobody makes the secret {secret}"

    rules = yaml.safe_load((ROOT / "deploy/prometheus/rules.yaml").read_text(encoding="utf-8"))
    count = sum(len(group["rules"]) for group in rules["groups"])
    for told in re.findall(r"(\d+) (?:rules evaluated|alerts with unit tests)", operation):
        if int(told) != count:
            yield f"operation.md: there are {count} alerts, not {told}"

    # A drill that was killed leaves its clusters running.
    lab = (ROOT / "scripts/lab.sh").read_text(encoding="utf-8")
    clusters = set(re.findall(r"for cluster in ([\w ]+);", lab)) | set(re.findall(r'destroy "\$LOCAL/\$command/(\w+)"', lab))
    down = re.search(r'"\$LOCAL"/\*/\{([\w,]+)\}', (ROOT / "scripts/down.sh").read_text(encoding="utf-8"))
    for cluster in " ".join(clusters).split():
        if not down or cluster not in down.group(1).split(","):
            yield f"down.sh --delete leaves the cluster {cluster} running"

    version = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]["version"]
    package = json.loads((ROOT / "crates/ingest-gateway/web/package.json").read_text(encoding="utf-8"))["version"]
    if package != version:
        yield f"package.json of the script for pages says {package}, everything else {version}"


def main():
    problems = list(check())
    print("\n".join(problems) or "commands in operation.md are such as work")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
