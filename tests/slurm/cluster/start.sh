#!/usr/bin/env bash
# Start a throw-away SLURM cluster on this machine, as root and without systemd: 8 nodes, 6 of them with 2 fake GPUs.
# Debian's packages are installed when they are missing. Started twice, it leaves the running cluster as it is.
# State lives in $ISHEEP_SLURM (by default isheep-slurm in the folder for temporary files); stop.sh ends it all.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
state=${ISHEEP_SLURM:-${TMPDIR:-/tmp}/isheep-slurm}
host=$(hostname -s)
nodes="cpu1 cpu2 gpu1 gpu2 drain1 drain2 down1 down2"
mark="# A throw-away SLURM on one machine"

say() { printf '[%3ds] %s\n' "$SECONDS" "$*"; }
fail() { printf 'start.sh: %s\n' "$*" >&2; exit 1; }
wait_for() { # seconds, command ...
    local tries=$(($1 * 10)); shift
    for ((i = 0; i < tries; i++)); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
    fail "gave up waiting for: $*"
}
all_idle() { [ "$(sinfo --noheader --Node --format=%N --states=idle | sort --unique | wc -l)" = "$(wc -w <<<"$nodes")" ]; }

[ "$(id -u)" = 0 ] || fail "needs root"
if [ -s /etc/slurm/slurm.conf ] && ! grep --quiet "^$mark" /etc/slurm/slurm.conf; then
    fail "/etc/slurm/slurm.conf is another cluster's; not touched"
fi
missing=0
for program in slurmctld slurmd slurmdbd munged mariadbd; do command -v $program >/dev/null || missing=1; done
if [ $missing = 1 ]; then
    "$here/../../install.sh" slurm-wlm slurm-client slurmdbd munge mariadb-server
    say "packages installed"
fi
if scontrol ping 2>/dev/null | grep --quiet "is UP"; then say "already running"; exit; fi

mkdir -p "$state"/{run,log,controller,spool,dev,database}
chmod 755 "$state" "$state"/*
for i in 0 1; do [ -e "$state/dev/gpu$i" ] || mknod "$state/dev/gpu$i" c 1 3; done
fill() { sed -e "s#@HOST@#$host#g" -e "s#@STATE@#$state#g" "$here/$1.in" >"$2/$1"; } # template, folder
mkdir -p /etc/slurm /run/slurm
# The snakemake plugin clears SLURM_CONF for its job steps: no other place than /etc/slurm would be found.
for file in slurm.conf gres.conf slurmdbd.conf; do fill $file /etc/slurm; done
chmod 600 /etc/slurm/slurmdbd.conf
fill task-prolog.sh "$state"
chmod 755 "$state/task-prolog.sh"
touch "$state/log/devices" && chmod 666 "$state/log/devices"

if ! (munge --no-input | unmunge) >/dev/null 2>&1; then
    install --directory --owner=munge --group=munge --mode=755 /run/munge
    install --directory --owner=munge --group=munge --mode=700 /var/log/munge /var/lib/munge
    runuser --user munge -- munged
    wait_for 5 sh -c 'munge --no-input | unmunge'
    cp /run/munge/munged.pid "$state/run/munged.pid"
fi

if [ ! -d "$state/database/mysql" ]; then
    chown mysql "$state/database"
    mariadb-install-db --user=mysql --datadir="$state/database" --skip-test-db \
        --auth-root-authentication-method=socket --auth-root-socket-user=root >"$state/log/database.log" 2>&1
fi
install --directory --owner=mysql /run/mysqld
setsid mariadbd --user=mysql --datadir="$state/database" --pid-file="$state/database/mariadbd.pid" --skip-networking \
    --socket=/run/mysqld/mysqld.sock --innodb-buffer-pool-size=64M --innodb-flush-log-at-trx-commit=0 \
    >>"$state/log/database.log" 2>&1 </dev/null &
wait_for 30 mariadb-admin --socket=/run/mysqld/mysqld.sock ping
slurmdbd
wait_for 30 sacctmgr --noheader show cluster
sacctmgr --immediate --quiet add cluster isheep >/dev/null || true
sacctmgr --immediate --quiet add account tests cluster=isheep >/dev/null || true
sacctmgr --immediate --quiet add user "$(id --user --name)" account=tests >/dev/null || true
say "accounting answers"

slurmctld
wait_for 20 sh -c 'scontrol ping | grep "is UP"'
for node in $nodes; do mkdir -p "$state/spool/$node"; slurmd -N "$node"; done
wait_for 30 all_idle
say "$(wc -w <<<"$nodes") nodes are idle"
