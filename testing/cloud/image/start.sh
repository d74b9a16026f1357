#!/bin/bash
# What /start.sh of RunPod's images does, in its order, with its habits: a hook that fails ends the container, and
# /etc/rp_environment is written without any quoting of what stands in a value.
set -e

run_hook() {
    if [ -f "$1" ]; then
        echo "running $1"
        bash "$1"
    fi
}

start_sshd() {
    [ -n "$PUBLIC_KEY" ] || return 0
    mkdir -p ~/.ssh
    printf '%s\n' "$PUBLIC_KEY" >> ~/.ssh/authorized_keys
    chmod 700 -R ~/.ssh
    for kind in ed25519 ecdsa; do
        key=/etc/ssh/ssh_host_${kind}_key
        [ -f "$key" ] || ssh-keygen -q -t "$kind" -f "$key" -N ''
    done
    mkdir -p /run/sshd
    /usr/sbin/sshd
}

publish_environment() {
    printenv | grep -E '^[A-Z_][A-Z0-9_]*=' | grep -v '^PUBLIC_KEY' |
        awk -F = '{ value = substr($0, length($1) + 2); print "export " $1 "=\"" value "\"" }' > /etc/rp_environment
    echo 'source /etc/rp_environment' >> ~/.bashrc
}

run_hook /pre_start.sh
echo 'Pod Started'
start_sshd
publish_environment
echo 'Start script(s) finished, Pod is ready to use.'
run_hook /post_start.sh
sleep infinity
