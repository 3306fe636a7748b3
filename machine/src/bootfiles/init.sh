#!/bin/busybox sh
# First in the machine: load modules, take the host's files as /, hand over to hull.
# HULL_STATE and HULL_ROLE come from the kernel's command line.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
cd /m
for chain in chain-*; do
	while read -r module; do $b insmod "$module" || echo "machine: no module $module"; done < "$chain" &
done
cd /
$b mount -t virtiofs root /r || { echo "machine: cannot mount the host's files"; $b poweroff -f; }
$b mount -t tmpfs -o mode=755 run /r/run
for f in proc sys dev; do $b mount --move "/$f" "/r/$f"; done
wait
# QEMU's user network and its fixed addresses.
$b ip link set lo up
$b ip addr add 10.0.2.15/24 dev eth0
$b ip link set eth0 up
$b ip route add default via 10.0.2.2
$b hostname hull-machine
exec $b switch_root -c /dev/console /r "$HULL_STATE/program" machine role guest
