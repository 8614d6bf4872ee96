#!/bin/sh
# Writes words.txt: every instruction that the arm64 kernels spell as a WORD, as
# GNU as encodes it. Made with GNU binutils 2.40 (Debian's
# binutils-aarch64-linux-gnu). Run it after a change of the *_arm64.s files.
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
sed -n 's|^\tWORD \$0x[0-9a-f]* // ||p' ../../*_arm64.s | LC_ALL=C sort -u >"$tmp/text"
aarch64-linux-gnu-as -march=armv8.2-a+dotprod -o "$tmp/o" "$tmp/text"
aarch64-linux-gnu-objcopy -O binary -j .text "$tmp/o" "$tmp/bin"
od -An -v -tx4 -w4 --endian=little "$tmp/bin" | paste -d ' ' - "$tmp/text" | sed 's/^ //' >words.txt
