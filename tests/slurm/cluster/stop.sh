#!/usr/bin/env bash
# End what start.sh started, by its pid files, and remove its state and its settings.
set -uo pipefail
state=${ISHEEP_SLURM:-${TMPDIR:-/tmp}/isheep-slurm}

end() { # pid file
    local pid
    [ -s "$1" ] || return 0
    pid=$(cat "$1")
    kill "$pid" 2>/dev/null
    for ((i = 0; i < 100; i++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$pid" 2>/dev/null
    rm -f "$1"
}

[ -d "$state" ] || exit 0
scancel --quiet --user="$(id --user --name)" 2>/dev/null
for ((i = 0; i < 100; i++)); do [ -z "$(squeue --noheader 2>/dev/null)" ] && break; sleep 0.1; done
for file in "$state"/run/slurmd.*.pid; do end "$file" & done
wait
for file in run/slurmctld run/slurmdbd database/mariadbd run/munged; do end "$state/$file.pid"; done
rm -rf "$state" /etc/slurm/{slurm,gres,slurmdbd}.conf
