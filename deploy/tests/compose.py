"""Checks deploy/compose.yaml without a container engine: compose.py

Our services are hardened and wait for the migration; every secret is a file that scripts/secrets.sh makes; every setting is
in .env.example, which sets no secret; nothing but Caddy listens beyond this machine; every file that is mounted is there; what is not
built is not pulled from a stranger; what others run on this machine is not taken for ours.
"""

import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
HARDENED = {"user": "65532:65532", "read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}


def ours(service):
    return "${IMAGE_PREFIX" in service["image"]


def check():
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    compose = yaml.safe_load(text)
    services = compose["services"]
    for name, service in services.items():
        if ours(service):
            for key, value in HARDENED.items():
                if service.get(key) != value:
                    yield f"{name}: {key} is {service.get(key)}"
            image = re.search(r"\}/([\w-]+):", service["image"]).group(1)
            # `rastro/...` would be docker.io/rastro/...: whoever has that name there.
            if not service["image"].startswith("${IMAGE_PREFIX:-localhost/"):
                yield f"{name}: {service['image']} is pulled from Docker Hub where it was not built"
            if not (DEPLOY / image / "Dockerfile").is_file():
                yield f"{name}: there is no deploy/{image}/Dockerfile"
            condition = service.get("depends_on", {}).get("migrate", {}).get("condition")
            if name not in ("migrate", "sandbox") and condition != "service_completed_successfully":
                yield f"{name}: does not wait for the migration"
        for port in service.get("ports", []):
            if name != "caddy" and not port.startswith("127.0.0.1:"):
                yield f"{name}: port {port} is open to the network"
        if name not in ("postgres", "migrate") and "mem_limit" not in service:
            yield f"{name}: has no memory limit"
        for secret in service.get("secrets", []):
            if secret not in compose["secrets"]:
                yield f"{name}: secret {secret} is not declared"
        environment = service.get("environment", {})
        for variable, value in environment.items():
            file = re.fullmatch(r"/run/secrets/(\w+)", str(value))
            if file and file.group(1) not in service.get("secrets", []):
                yield f"{name}: {variable} names a secret that it is not given"
            if re.search(r"(PASSWORD|TOKEN|SECRET|KEY|PEPPER)S?$", variable):
                yield f"{name}: {variable} is a secret in a variable"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./") and not (DEPLOY / source).exists():
                yield f"{name}: {source} is not there"
    made = set(re.findall(r"\| make (\w+)$", (ROOT / "scripts/secrets.sh").read_text(encoding="utf-8"), flags=re.M))
    example = (DEPLOY / ".env.example").read_text(encoding="utf-8")
    for secret, where in compose["secrets"].items():
        if where != {"file": f"./secrets/{secret}"} or secret not in made:
            yield f"secret {secret} is not made by scripts/secrets.sh"
        if not re.search(rf"^#.*\b{secret}\b", example, flags=re.M):
            yield f".env.example does not name the secret {secret}"
    # `up --remove-orphans` removes containers of a project of the same name, which is else the folder's.
    if not re.search(r"^COMPOSE_PROJECT_NAME=rastro$", example, flags=re.M):
        yield ".env.example lacks COMPOSE_PROJECT_NAME: the project would be called like every folder `deploy`"
    if not re.search(r"^IMAGE_PREFIX=localhost/", example, flags=re.M):
        yield ".env.example: images are pulled from Docker Hub where they were not built"
    settings = set(re.findall(r"^([A-Z_]+)=", example, flags=re.M)) - {"COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME"}
    asked = set(re.findall(r"\$\{([A-Z_]+)", text))
    if settings - asked:
        yield f".env.example has what nobody asks for: {sorted(settings - asked)}"
    # Other images and proxies are for those who know that they want them.
    rare = {variable for variable in asked if variable.endswith("_IMAGE")} | {"TRUSTED_PROXIES"}
    if asked - settings - rare:
        yield f".env.example lacks {sorted(asked - settings - rare)}"


def main():
    problems = list(check())
    print("\n".join(problems) or "compose.yaml is in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
