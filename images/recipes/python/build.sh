#!/bin/sh
# Makes python:3 (and python:latest) from Debian's python3, with pip and venv: build.sh OUT.tar
#
# The debian recipe does the work, and says what it needs (root, a mirror).
set -eu
out=${1:?usage: build.sh OUT.tar}
PACKAGES=python3,python3-pip,python3-venv NAMES='python:3 python:latest' CMD='["python3"]' \
    exec "$(dirname "$0")/../debian/build.sh" "$out"
