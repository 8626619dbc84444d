#!/bin/sh
# Builds the firmware of one architecture in a copy of the tree with an empty build cache and compares it with the one in
# build/firmware.
set -eu
target=$1
tree=$(git rev-parse --show-toplevel)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/tree" "$copy/cache"
(cd "$tree" && git ls-files -z --cached --others --exclude-standard | xargs -0 tar cf - --ignore-failed-read) | tar xf - -C "$copy/tree"
commit=$(git -C "$tree" rev-parse --short=12 HEAD)
GOCACHE="$copy/cache" make -s -C "$copy/tree" firmware TARGET="$target" COMMIT="$commit" >/dev/null
cmp "$tree/build/firmware/kestrel-agent-linux-$target" "$copy/tree/build/firmware/kestrel-agent-linux-$target"
echo "kestrel-agent-linux-$target: two builds are the same"
