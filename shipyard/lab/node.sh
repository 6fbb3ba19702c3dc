# Makes a lab node: started in fresh mount, pid, network, uts, ipc and cgroup namespaces, it builds the node's file
# system, moves into it, and becomes its pid 1 (init.sh). Arguments: the node's folder on the machine, its name, its
# runtime. Standard input: the lock whose being held means that the node is alive.
set -eu
disk=$1 name=$2 runtime=$3
root=$disk/root

# The machine's /proc is still in place, so this is the pid by which the machine knows us.
read -r pid _ </proc/self/stat
echo "$pid" >"$disk/pid.new"
mv "$disk/pid.new" "$disk/pid"

# The node's own disk is its root; what is installed on this machine lies beneath, written to by nobody.
mount --bind "$root" "$root"
for part in usr etc; do
    mount -t overlay -o "lowerdir=/$part,upperdir=$disk/$part,workdir=$disk/work.$part" overlay "$root/$part"
done
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/sys"
for place in run:755 tmp:1777 dev:755; do
    mount -t tmpfs -o "mode=${place#*:}" tmpfs "$root/${place%:*}"
done

# Few devices: no node should be able to reach the machine's disks by accident.
for device in null zero full random urandom tty fuse net; do
    [ ! -e "/dev/$device" ] || cp -a "/dev/$device" "$root/dev/"
done
chmod 666 "$root/dev/fuse" "$root/dev/net/tun" || true
mkdir "$root/dev/pts" "$root/dev/shm" "$root/run/sshd" "$root/run/lock"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"

# The node's own part of each cgroup hierarchy, where it sees it as the whole.
while read -r machine node kind; do
    if [ "$node" != /sys/fs/cgroup ] && [ ! -d "$root$node" ]; then
        mountpoint -q "$root/sys/fs/cgroup" || mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
        mkdir -p "$root$node"
    fi
    mount --bind "$machine" "$root$node"
    if [ "$kind" = cgroup2-whole ]; then
        # A cgroup with processes of its own can't hand its controllers on: ours go one level down.
        mkdir -p "$root$node/init"
        echo 0 >"$root$node/init/cgroup.procs"
        for controller in $(cat "$root$node/cgroup.controllers"); do
            echo "+$controller" >"$root$node/cgroup.subtree_control" || true
        done
    fi
done <"$disk/cgroups"

hostname "$name"
cd "$root"
mkdir -p .old
pivot_root . .old
cd /
umount -l /.old
rmdir /.old
ip link set lo up
exec /bin/sh /usr/sbin/lab-init "$runtime"
