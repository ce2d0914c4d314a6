"""Runs scripts/compose.sh in a copy of what it needs, with an engine that only writes down what it is asked: start.py

What the first start makes, what is built and what is not, what is refused before anything is started.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Everything is there but images, until they are built; every container is well.
ENGINE = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$ASKED"
case "$1 ${2:-}" in
    'image inspect')
        grep -q -- "^build .* -t ${*: -1} " "$ASKED" && echo 1000000 ;;
esac
"""


class Machine:
    """A checkout that nobody has started yet."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        for name in ("scripts", "deploy", "Cargo.toml"):
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.folder / name, ignore=shutil.ignore_patterns("secrets", ".env"))
            else:
                shutil.copy(source, self.folder / name)
        self.programs = self.folder / "programs"
        self.programs.mkdir()
        (self.programs / "engine").write_text(ENGINE, encoding="utf-8")
        # Without it images.sh ends before it looks into layers, which are not there.
        (self.programs / "python3").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        for program in self.programs.iterdir():
            program.chmod(0o755)
        self.asked = self.folder / "asked"

    def compose(self, *arguments):
        """What it said, its exit code, and what the engine was asked."""
        self.asked.write_text("", encoding="utf-8")
        done = subprocess.run(
            [self.folder / "scripts/compose.sh", *arguments], capture_output=True, text=True, check=False,
            env={"PATH": f"{self.programs}:/usr/bin:/bin", "HOME": self.folder, "ENGINE": "engine", "ASKED": self.asked},
        )
        return done.stdout + done.stderr, done.returncode, self.asked.read_text(encoding="utf-8").splitlines()

    def set(self, name, value):
        path = self.folder / "deploy/.env"
        lines = path.read_text(encoding="utf-8").splitlines()
        assert any(line.startswith(f"{name}=") for line in lines), name
        lines = [f"{name}={value}" if line.startswith(f"{name}=") else line for line in lines]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def builds(asked):
    return [line.split(" -t ")[1].split()[0] for line in asked if line.startswith("build ")]


def check(folder):
    machine = Machine(folder)
    said, code, asked = machine.compose("ps")
    if code or not (machine.folder / "deploy/.env").is_file():
        yield f"the first start makes no settings: {said}"
        return
    # Ports of this machine are not what this is about.
    for name in ("GATEWAY_PORT", "OPERATORS_PORT", "DASHBOARD_PORT", "SANDBOX_PORT"):
        machine.set(name, "1")

    said, code, asked = machine.compose()
    built = builds(asked)
    if code or len(built) != 6 or not all(image.startswith("localhost/rastro/") for image in built):
        yield f"a start without images builds {built}: {said}"
    if "minutes" not in said:
        yield "nobody is told that building takes minutes"
    if not any("compose" in line and " up -d" in line for line in asked):
        yield f"nothing is started: {asked}"

    # The version of a registry is neither built nor taken for one.
    machine.set("IMAGE_PREFIX", "registry.example.com/rastro")
    said, code, asked = machine.compose()
    if code or builds(asked):
        yield f"images of a registry are built here: {said}"
    machine.set("IMAGE_PREFIX", "localhost/rastro")
    # What is put there by hand can be read by another user than the one who did it.
    token = machine.folder / "deploy/secrets/access_token"
    token.chmod(0o644)
    token.write_text("of Events Manager", encoding="utf-8")
    token.chmod(0o600)
    machine.compose("up", "-d")
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in token.parent.iterdir()}
    if set(modes.values()) != {"0o444"} or token.read_text(encoding="utf-8") != "of Events Manager":
        yield f"containers cannot read every secret, or one was changed: {modes}"
    if token.parent.stat().st_mode & 0o077:
        yield "secrets are open to other users of this machine"

    machine.set("COMPOSE_PROFILES", "tls")
    for arguments in ((), ("up", "-d")):
        said, code, asked = machine.compose(*arguments)
        if code == 0 or "DASHBOARD_TRUSTED_PROXIES" not in said or any(" up " in line for line in asked):
            yield f"tls starts although all visitors would share one address: {said}"
    said, code, _ = machine.compose("down")
    if code:
        yield f"what is refused at a start keeps one from stopping: {said}"
    machine.set("DASHBOARD_TRUSTED_PROXIES", "172.16.0.0/12")
    said, code, asked = machine.compose("up", "-d")
    if code or not any(" up -d" in line for line in asked):
        yield f"tls does not start: {said}"


def main():
    with tempfile.TemporaryDirectory() as folder:
        problems = list(check(folder))
    print("\n".join(problems) or "compose.sh makes, builds and refuses what it should")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
