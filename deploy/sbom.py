"""What is compiled into an image's program, as CycloneDX: sbom.py SERVICE [OUTPUT]      (needs Python 3.11, and no cargo)

From Cargo.lock: every crate that the service's package reaches, with its checksum. Of our own packages only what they are built
with; of others also what they need on other systems and while they are built, so that the list is rather too long than too short.
"""

import json
import pathlib
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def own_packages():
    """Our packages' names, each with the names of what it is built with."""
    own = {}
    for file in ROOT.glob("crates/*/Cargo.toml"):
        manifest = tomllib.loads(file.read_text(encoding="utf-8"))
        needs = manifest.get("dependencies", {}) | manifest.get("build-dependencies", {})
        workspace = {key: value for key, value in needs.items()}
        own[manifest["package"]["name"]] = {renamed(name, value) for name, value in workspace.items()}
    return own


def renamed(name, value):
    return value.get("package", name) if isinstance(value, dict) else name


def reached(service):
    """Every package of the lock file that the service needs, by name and version."""
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))["package"]
    by_name = {}
    for package in packages:
        by_name.setdefault(package["name"], []).append(package)
    own = own_packages()
    found, waiting = {}, [by_name[service][0]]
    while waiting:
        package = waiting.pop()
        key = (package["name"], package["version"])
        if key in found:
            continue
        found[key] = package
        for need in package.get("dependencies", []):
            # "name", or "name version" where there are several.
            name, *version = need.split(" ")
            if package["name"] in own and name not in own[package["name"]]:
                continue
            waiting += [other for other in by_name[name] if not version or other["version"] == version[0]]
    return found


def sbom(service):
    found = reached(service)
    components = []
    for (name, version), package in sorted(found.items()):
        if name == service:
            continue
        component = {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:cargo/{name}@{version}",
            "bom-ref": f"pkg:cargo/{name}@{version}",
        }
        if "checksum" in package:
            component["hashes"] = [{"alg": "SHA-256", "content": package["checksum"]}]
        components.append(component)
    version = next(version for name, version in found if name == service)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": service, "version": version,
                                   "purl": f"pkg:cargo/{service}@{version}"}},
        "components": components,
    }


def main(arguments):
    text = json.dumps(sbom(arguments[0]), indent=1) + "\n"
    if len(arguments) > 1:
        pathlib.Path(arguments[1]).write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main(sys.argv[1:])
