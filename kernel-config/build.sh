#!/usr/bin/env bash
# Build the guest kernel from a kernel source tarball.
#
#   build.sh TARBALL WORKDIR OUTDIR
#
# Leaves in OUTDIR: vmlinux (stripped ELF), System.map and config. Everything
# that could differ between two builds of the same inputs is pinned here, so the
# result's sha256 is a function of the tarball, the fragment, this file and the
# compiler. `cargo xtask kernel` calls it and keeps the result in a cache.
set -euo pipefail
[ $# -eq 3 ] || { sed -n 4p "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
tarball=$1 work=$2 out=$3

export LC_ALL=C TZ=UTC
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970'
export KBUILD_BUILD_USER=hull KBUILD_BUILD_HOST=hull KBUILD_BUILD_VERSION=1
# A caller's own build settings must not reach the kernel's makefiles.
unset MAKEFLAGS MFLAGS MAKELEVEL CFLAGS CPPFLAGS LDFLAGS KCFLAGS LOCALVERSION CROSS_COMPILE ARCH

mkdir -p "$work/src" "$out"
tar -C "$work/src" --strip-components=1 -xf "$tarball"
cd "$work/src"
make KCONFIG_ALLCONFIG="$here/x86_64.config" allnoconfig >"$work/config.log" 2>&1 || { cat "$work/config.log" >&2; exit 1; }
nice -n 5 make -j"$(nproc)" vmlinux >"$work/build.log" 2>&1 || { tail -n 50 "$work/build.log" >&2; exit 1; }

# Symbols are of no use to a guest; the notes stay (PVH entry).
strip --strip-all -o "$out/vmlinux" vmlinux
cp System.map "$out/System.map"
cp .config "$out/config"
