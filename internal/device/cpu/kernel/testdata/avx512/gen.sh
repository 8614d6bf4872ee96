#!/bin/sh
# Writes words.txt: every instruction that the amd64 kernels spell as LONG, WORD
# and BYTE, as GNU as encodes it. The comment above such a group holds the
# instruction in Go's spelling, whose operand order is AT&T's too. Made with GNU
# binutils 2.40 (Debian's binutils). Run it after a change of the *_amd64.s
# files.
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
awk 'FNR == 1 { text = "" }
     /^\t(LONG|WORD|BYTE) / { if (text != "") print text; text = ""; next }
     { text = "" }
     sub(/^\t\/\/ /, "") { text = $0 }' ../../*_amd64.s | LC_ALL=C sort -u >"$tmp/text"
sed 's/\<[XYZ]\([0-9][0-9]*\)\>/%&/g; s/%X/%xmm/g; s/%Y/%ymm/g; s/%Z/%zmm/g; s/^[A-Z0-9]*/\L&/' "$tmp/text" >"$tmp/s"
as --64 -march=generic64+avx512_bf16 -al="$tmp/list" --listing-lhs-width=4 -o "$tmp/o" "$tmp/s"
# A line of the listing: number, address, bytes in hexadecimal, source.
awk '$1 ~ /^[0-9]+$/ && $2 ~ /^[0-9a-f]+$/ { sub(/^ *[0-9]+ [0-9a-f]+ /, ""); split($0, part, "\t"); gsub(" ", "", part[1]); print tolower(part[1]) }' "$tmp/list" | paste -d ' ' - "$tmp/text" >words.txt
