#!/bin/sh
# Builds one program of the workspace for its image: build.sh PACKAGE. The Dockerfiles run it; it is not for your machine.
# /src is the checkout, /build is kept from one build to the next by all images, /out/PACKAGE is the result.
set -eu
package=$1

# cargo takes a file for unchanged while it is older than what was built of it, and files of a fresh checkout are as old
# as the checkout. So what differs is copied over the copy of last time, and is new; what is the same keeps its time.
mkdir -p /build/src /out
cd /src
find . -type f | sort >/build/now
while IFS= read -r file; do
    cmp -s "$file" "/build/src/$file" && continue
    mkdir -p "/build/src/${file%/*}"
    cp "$file" "/build/src/$file"
done </build/now
cd /build/src
find . -type f | sort >/build/before
comm -13 /build/now /build/before | while IFS= read -r gone; do rm "$gone"; done

# Linked with nothing, so that it runs where there is nothing. Lines of backtraces cost as much as the program itself;
# names of functions stay. With --target the flags are for the program only, not for what runs during the build.
target=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-C target-feature=+crt-static"
export CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_STRIP=debuginfo
cargo build --locked --release -p "$package" --target "$target" --target-dir /build/target
# One package has one program, whatever it is called.
cp "/build/target/$target/release/$package" "/out/$package"
