"""Looks into every layer of an image for what does not belong there: layers.py SAVED.tar PROGRAM [FILE_WITH_A_SECRET...]

SAVED.tar is what `docker save` or `podman save` writes. An image holds its program, the licence and the certificate authorities,
and nothing else in any of its layers; no file of it, and nothing that its settings say, contains one of the secrets or what looks
like one.
"""

import io
import json
import pathlib
import re
import sys
import tarfile

# What never occurs in a program by chance: keys as scripts/secrets.sh makes them, private keys, tokens of Meta.
LIKE_A_SECRET = re.compile(rb"\b[spav]k_[0-9a-f]{40}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/]{40}|\bEAA[A-Za-z0-9]{60,}")


def look(saved, program, secrets):
    allowed = {program, "LICENSE", "etc/ssl/certs/ca-certificates.crt"}
    seen = set()
    opened = tarfile.open(fileobj=saved) if isinstance(saved, io.BytesIO) else tarfile.open(saved)
    with opened as archive:
        manifest = json.load(archive.extractfile("manifest.json"))
        for image in manifest:
            texts = [(image["Config"], archive.extractfile(image["Config"]).read())]
            for layer in image["Layers"]:
                member = archive.getmember(layer)
                # Docker names an equal layer by a link to the first.
                if member.issym():
                    member = archive.getmember(str(pathlib.PurePosixPath(layer).parent.parent / member.linkname[3:]))
                with tarfile.open(fileobj=io.BytesIO(archive.extractfile(member).read())) as files:
                    for entry in files:
                        if entry.isdir():
                            continue
                        name = entry.name.removeprefix("./").lstrip("/")
                        seen.add(name)
                        if name not in allowed:
                            yield f"{name} is in a layer"
                        if entry.isfile():
                            texts.append((name, files.extractfile(entry).read()))
            for name, text in texts:
                if LIKE_A_SECRET.search(text):
                    yield f"{name} holds what looks like a secret"
                for file, secret in secrets.items():
                    if secret in text:
                        yield f"{name} holds the secret of {file}"
    for name in allowed - seen:
        yield f"{name} is missing"


def self_test():
    """A saved image with a file too many in its first layer, a program that holds a secret, and a setting that is one."""
    def packed(files):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, text in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text))
        return buffer.getvalue()

    key = b"sk_" + b"0123456789abcdef" * 2 + b"01234567"
    files = {"LICENSE": b"", "etc/ssl/certs/ca-certificates.crt": b""}
    manifest = json.dumps([{"Config": "c.json", "Layers": ["1.tar", "2.tar"]}]).encode()
    saved = packed({
        "manifest.json": manifest,
        "c.json": b'{"Env": ["KEY=' + key + b'"]}',
        "1.tar": packed({"root/.env": b"", **files}),
        "2.tar": packed({"monitor": b"...the pepper of this installation..."}),
    })
    found = list(look(io.BytesIO(saved), "monitor", {"pepper": b"pepper of this installation"}))
    expected = ["root/.env is in a layer", "c.json holds what looks like a secret", "monitor holds the secret of pepper"]
    return [] if sorted(found) == sorted(expected) else [f"self-test: found {found}"]


def main(arguments):
    if arguments == ["--self-test"]:
        problems = self_test()
        print("\n".join(problems) or "what does not belong into an image is noticed in each layer")
        return 1 if problems else 0
    saved, program, *files = arguments
    read = {file: pathlib.Path(file).read_bytes().strip() for file in files}
    # What is short, as a stand-in's token is, occurs by chance.
    problems = list(look(saved, program, {file: text for file, text in read.items() if len(text) >= 20}))
    print("\n".join(f"{program}: {problem}" for problem in problems) or f"{program}: its layers hold nothing else")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
