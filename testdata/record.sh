#!/bin/sh
# Records capture.klog.gz: what a working machine does, as kestrel sees it. Needs root, Debian, and gcc, make, git, curl,
# wget, dpkg-deb, busybox (package busybox-static) and the programs of a base system.
#
#   make build && testdata/record.sh build/kestrel testdata/capture.klog.gz
#
# The work is done in a directory made for it and as a child of this script, and only what its processes did is kept
# (testdata/trim), under a host name made up: the capture says nothing of the machine it was recorded on.
set -eu
kestrel=$1
out=$2
trim=$(mktemp)
(cd "$(dirname "$0")/trim" && go build -o "$trim" .)
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/home/dev LC_ALL=C
work=/home/dev
test ! -e "$work" || { echo "$0: $work exists" >&2; exit 1; }
log=$(mktemp)
trap 'rm -rf "$work" "$log" "$trim" /var/tmp/kestrel-demo /dev/shm/kestrel-demo; dpkg -r meter >/dev/null 2>&1 || true' EXIT

"$kestrel" record --output "$log" &
recorder=$!
sleep 2
mkdir -p "$work"
cp "$(dirname "$0")/workload.sh" "$work/day.sh"
(cd "$work" && exec setsid sh "$work/day.sh" >"$work/day.out" 2>&1) &
root=$!
wait $root
sleep 1
kill -TERM $recorder
wait $recorder
"$trim" -root $root "$log" | gzip -9n >"$out"
ls -l "$out"
