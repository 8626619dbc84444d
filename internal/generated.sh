#!/bin/sh
# Proves that the generated files are what `make generate` makes: generates them in a copy of the tree and compares.
# The kernel programs need the clang they were made with; without it they are left out, and that is said.
set -eu
tree=$(git rev-parse --show-toplevel)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
(cd "$tree" && git ls-files -z --cached --others --exclude-standard | xargs -0 tar cf - --ignore-failed-read) | tar xf - -C "$copy"
cd "$copy"
go generate ./event
go run ./cmd/kestrel compile --rules rules/default --output image/defaults/default.kri >/dev/null
if command -v clang-14 >/dev/null && command -v llvm-strip-14 >/dev/null; then
	sh bpf/check-generated.sh
else
	echo "generated.sh: no clang-14 and llvm-strip-14 here: the kernel programs are not compared"
fi
failed=0
for f in docs/FIELDS.md image/defaults/default.kri bpf/c/event_gen.h; do
	if test -f "$f" && ! cmp -s "$f" "$tree/$f"; then
		echo "not as generated: $f" >&2
		failed=1
	fi
done
exit $failed
