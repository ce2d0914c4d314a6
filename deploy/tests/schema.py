"""Validates rendered overlays against the strict schemas of Kubernetes: schema.py OLDEST OVERLAY.yaml...

Every minor version from OLDEST (such as 1.29) to the newest that `kubernetes-validate` carries. Strict: a field that the
version does not know is an error, as it is with `kubectl apply --validate=strict`.
"""

import sys

import kubernetes_validate
import yaml


def main(arguments):
    oldest, *paths = arguments
    newest = kubernetes_validate.latest_version()
    first, last = (int(version.split(".")[1]) for version in (oldest, newest))
    objects = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for thing in yaml.safe_load_all(file):
                if thing:
                    # The same object in two overlays is validated once.
                    objects[yaml.safe_dump(thing)] = (path, thing)
    errors = 0
    for minor in range(first, last + 1):
        for path, thing in objects.values():
            try:
                kubernetes_validate.validate(thing, f"1.{minor}", strict=True)
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
                errors += 1
                print(f"{path}: {thing['kind']}/{thing['metadata']['name']} with Kubernetes 1.{minor}: {error}")
    # A validator that takes everything would take this, too.
    broken = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": {"replica": 1}}
    try:
        kubernetes_validate.validate(broken, newest, strict=True)
        errors += 1
        print("a Deployment without a template passed")
    except kubernetes_validate.ValidationError:
        pass
    print(f"{len(objects)} objects, Kubernetes {oldest} to {newest}: {errors} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
