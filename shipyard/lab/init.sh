# The first process of a lab node, as systemd is that of a server: starts sshd and docker's daemon, starts them again
# when they stop, and takes in processes whose parents ended. Argument: the node's runtime. Standard input: the lock
# whose being held means that the node is alive; nothing that is started here may have it.
set -u

keep() {
    while :; do
        "$@"
        sleep 1
    done
}

# What systemd would do with the unit that shipyard leaves: the network of the cluster is back before anything uses it.
for up in /var/lib/shipyard/*/net/up; do
    [ ! -e "$up" ] || sh "$up" >>/var/log/shipyard-network.log 2>&1
done

keep /usr/sbin/sshd -D -e >>/var/log/sshd.log 2>&1 </dev/null &
if [ "$1" = docker ]; then
    keep dockerd >>/var/log/dockerd.log 2>&1 </dev/null &
fi
while :; do
    wait
done
