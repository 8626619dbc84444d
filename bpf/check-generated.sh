#!/bin/sh
# Generates the kernel programs twice, in two directories of different names and depths, and compares the results with
# each other and with what is checked in. The objects are the same bytes for the same version of clang (14.0.6).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0
for copy in one a/longer/way/to/two; do
	mkdir -p "$work/$copy/bpf"
	cp "$here/../go.mod" "$here/../go.sum" "$work/$copy/"
	cp -r "$here/doc.go" "$here/c" "$work/$copy/bpf/"
	(cd "$work/$copy/bpf" && go generate .)
	for file in "$work/$copy"/bpf/*_bpfel.*; do
		if ! cmp "$file" "$here/$(basename "$file")"; then
			echo "check-generated: $(basename "$file") is not what go generate makes with $(clang-14 --version | head -n 1)" >&2
			status=1
		fi
		if grep -qF -e "$work" -e "$here" "$file"; then
			echo "check-generated: $(basename "$file") holds a path of the machine it was made on" >&2
			status=1
		fi
	done
done
exit $status
