#!/bin/sh
# Packs one root filesystem tar as an image archive: an OCI layout that also carries
# Docker's manifest.json and repositories, as `docker save` writes since Docker 25.
# The same inputs and SOURCE_DATE_EPOCH give the same bytes. Needs no root.
#
#   SOURCE_DATE_EPOCH=N pack.sh OUT.tar ROOTFS.tar RUN_CONFIG_JSON CREATED_BY NAME:TAG...
#
# RUN_CONFIG_JSON is the image configuration's `config` object, CREATED_BY the text of the
# layer's history line. Names are familiar ones (busybox:latest) on docker.io/library.
set -eu
export LC_ALL=C TZ=UTC
umask 022

: "${SOURCE_DATE_EPOCH:?pack.sh: SOURCE_DATE_EPOCH must be set}"
if [ $# -lt 5 ]; then
    sed -n 's/^#   //p' "$0" >&2
    exit 2
fi
out=$1 rootfs=$2 run_config=$3 created_by=$4
shift 4

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
blobs=$work/image/blobs/sha256
mkdir -p "$blobs"

# Moves a file under its digest and prints the hex.
store() {
    hex=$(sha256sum <"$1" | cut -d' ' -f1)
    mv "$1" "$blobs/$hex"
    printf %s "$hex"
}
size() { stat -c %s "$blobs/$1"; }

created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
architecture=$(dpkg --print-architecture)
diff_id=$(sha256sum <"$rootfs" | cut -d' ' -f1)

gzip -9n <"$rootfs" >"$work/layer"
layer=$(store "$work/layer")

printf '{"created":"%s","architecture":"%s","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"%s","created_by":"%s"}]}' \
    "$created" "$architecture" "$run_config" "$diff_id" "$created" "$created_by" >"$work/config"
config=$(store "$work/config")

manifest_type=application/vnd.oci.image.manifest.v1+json
printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s","size":%s}]}' \
    "$manifest_type" "$config" "$(size "$config")" "$layer" "$(size "$layer")" >"$work/manifest"
manifest=$(store "$work/manifest")

descriptors='' tags='' repositories=''
for name; do
    repository=${name%:*} tag=${name##*:}
    descriptors="$descriptors${descriptors:+,}{\"mediaType\":\"$manifest_type\",\"digest\":\"sha256:$manifest\",\"size\":$(size "$manifest"),\"annotations\":{\"io.containerd.image.name\":\"docker.io/library/$name\",\"org.opencontainers.image.ref.name\":\"$tag\"},\"platform\":{\"architecture\":\"$architecture\",\"os\":\"linux\"}}"
    tags="$tags${tags:+,}\"$name\""
    repositories="$repositories${repositories:+,}\"$tag\":\"$layer\""
done
printf '{"imageLayoutVersion":"1.0.0"}' >"$work/image/oci-layout"
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s]}' \
    "$descriptors" >"$work/image/index.json"
printf '[{"Config":"blobs/sha256/%s","RepoTags":[%s],"Layers":["blobs/sha256/%s"]}]' \
    "$config" "$tags" "$layer" >"$work/image/manifest.json"
printf '{"%s":{%s}}' "$repository" "$repositories" >"$work/image/repositories"

# Written aside, so that an interrupted run leaves no half archive under the final name.
tar --create --file "$out.tmp.$$" --directory "$work/image" --format=ustar --sort=name \
    --owner=root:0 --group=root:0 --mode=go=rX,u+rw --mtime="@$SOURCE_DATE_EPOCH" \
    blobs index.json manifest.json oci-layout repositories
mv "$out.tmp.$$" "$out"
printf '%s sha256:%s\n' "$out" "$config"
