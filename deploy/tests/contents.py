"""The list of what is in each image names its crates, each with a checksum, and none that only tests are built with: contents.py"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from sbom import sbom  # noqa: E402

SERVICES = ["ingest-gateway", "capi-forwarder", "retry-worker", "attribution", "monitor", "rastro-sandbox"]


def check():
    for service in SERVICES:
        components = {component["name"]: component for component in sbom(service)["components"]}
        for name in ("tokio", "serde", "actix-web"):
            if name not in components:
                yield f"{service}: {name} is not in its list"
        for name in ("rastro-test-support", "proptest", "wiremock"):
            if name in components:
                yield f"{service}: {name} is for tests only"
        for name, component in components.items():
            if "hashes" not in component and not name.startswith("rastro-"):
                yield f"{service}: {name} has no checksum"


def main():
    problems = list(check())
    print("\n".join(problems) or "each image has a list of what is in it")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
