#!/bin/sh
# Makes golang:1 (and golang:latest) from Debian's golang-go, with git: build.sh OUT.tar
#
# The debian recipe does the work, and says what it needs (root, a mirror).
set -eu
out=${1:?usage: build.sh OUT.tar}
PACKAGES=golang-go,ca-certificates,git NAMES='golang:1 golang:latest' CMD='["bash"]' \
    exec "$(dirname "$0")/../debian/build.sh" "$out"
